//! The instructions of a template with those in whose place, or before which, the budget is asked.

use std::collections::BTreeMap;

use minijinja::{
    Environment, Error, State, Value,
    machinery::{Instruction, Instructions, Vm, make_string_output},
    value::Rest,
};

use crate::{
    budget::{Budget, made, refused},
    growth, slice,
};

/// Functions that no template can name: a name in Jinja has no space.
const ADD: &str = "lancer +";
const MULTIPLY: &str = "lancer *";
const CONCATENATE: &str = "lancer ~";
const SLICE: &str = "lancer [:]";
const LIST: &str = "lancer []";
const MAP: &str = "lancer {}";
const READ: &str = "lancer read";

/// A template's own text up to this length is written without asking: the steps bound it.
const SHORT: usize = 64;

/// The instructions of a template with those in whose place, or before which, the budget is asked.
pub(crate) fn bounded<'s>(instructions: &Instructions<'s>) -> Result<Instructions<'s>, Error> {
    let mut replaced: Vec<(u32, Instruction<'s>)> = Vec::with_capacity(instructions.len());
    // Where each instruction is now, for jumps; one may be jumped to that is after the last.
    let mut places = Vec::with_capacity(instructions.len() + 1);
    for (place, instruction) in each(instructions) {
        places.push(replaced.len() as u32);
        let two = Some(2);
        match instruction {
            Instruction::Add => replaced.push((place, Instruction::CallFunction(ADD, two))),
            Instruction::Mul => replaced.push((place, Instruction::CallFunction(MULTIPLY, two))),
            Instruction::StringConcat => {
                replaced.push((place, Instruction::CallFunction(CONCATENATE, two)));
            }
            Instruction::Slice => replaced.push((place, Instruction::CallFunction(SLICE, Some(4)))),
            Instruction::BuildList(Some(count @ 1..)) => {
                replaced.push((place, Instruction::CallFunction(LIST, Some(parts(*count)?))));
            }
            Instruction::BuildMap(pairs @ 1..) => {
                replaced.push((place, Instruction::CallFunction(MAP, Some(parts(2 * pairs)?))));
            }
            Instruction::EmitRaw(text) if text.len() > SHORT => {
                replaced.push((place, Instruction::LoadConst(Value::from(*text))));
                replaced.push((place, Instruction::Emit));
            }
            Instruction::Eq
            | Instruction::Ne
            | Instruction::Gt
            | Instruction::Gte
            | Instruction::Lt
            | Instruction::Lte
            | Instruction::In
            | Instruction::CompareAndPreserve(_) => {
                replaced.push((place, Instruction::CallFunction(READ, Some(1))));
                replaced.push((place, instruction.clone()));
            }
            Instruction::Include(_) | Instruction::LoadBlocks => {
                return Err(refused("a template cannot include or extend another: it reads no file".into()));
            }
            other => replaced.push((place, other.clone())),
        }
    }
    places.push(replaced.len() as u32);
    let mut bounded = Instructions::new(instructions.name(), instructions.source());
    for (place, mut instruction) in replaced {
        if let Instruction::Jump(target)
        | Instruction::JumpIfFalse(target)
        | Instruction::JumpIfFalseOrPop(target)
        | Instruction::JumpIfTrueOrPop(target)
        | Instruction::Iterate(target)
        | Instruction::BuildMacro(_, target, _) = &mut instruction
        {
            *target = places.get(*target as usize).copied().unwrap_or(*target);
        }
        match (instructions.get_span(place), instructions.get_line(place)) {
            (Some(span), _) => bounded.add_with_span(instruction, span),
            (None, Some(line)) => bounded.add_with_line(instruction, u16::try_from(line).unwrap_or(u16::MAX)),
            (None, None) => bounded.add(instruction),
        };
    }
    Ok(bounded)
}

/// The instructions with their places.
pub(crate) fn each<'i, 's>(
    instructions: &'i Instructions<'s>,
) -> impl Iterator<Item = (u32, &'i Instruction<'s>)> {
    (0..).map_while(|place| Some((place, instructions.get(place)?)))
}

fn parts(count: usize) -> Result<u16, Error> {
    u16::try_from(count).map_err(|_| refused(format!("a list or map of {count} parts is too long")))
}

/// Adds the functions that take the place of instructions.
pub(crate) fn add_to(environment: &mut Environment<'static>) {
    environment.add_function(ADD, |state: &State<'_, '_>, operands: Rest<Value>| {
        joined(state, &operands, Instruction::Add)
    });
    environment.add_function(CONCATENATE, |state: &State<'_, '_>, operands: Rest<Value>| {
        joined(state, &operands, Instruction::StringConcat)
    });
    environment.add_function(MULTIPLY, |state: &State<'_, '_>, operands: Rest<Value>| {
        Budget::of(state).charge_growth(growth::of_product(&operands)?)?;
        computed(state, &operands, Instruction::Mul)
    });
    environment.add_function(SLICE, |state: &State<'_, '_>, operands: Rest<Value>| {
        Budget::of(state).charge_values(&operands[..1])?;
        match slice::slice(state, &operands)? {
            Some(sliced) => Ok(sliced),
            None => computed(state, &operands, Instruction::Slice),
        }
    });
    environment
        .add_function(LIST, |state: &State<'_, '_>, items: Rest<Value>| made(state, Value::from(items.0)));
    environment.add_function(MAP, |state: &State<'_, '_>, items: Rest<Value>| {
        let pairs = items.0.as_chunks::<2>().0.iter();
        made(state, pairs.map(|[key, value]| (key.clone(), value.clone())).collect())
    });
    environment.add_function(READ, |state: &State<'_, '_>, value: Value| -> Result<Value, Error> {
        Budget::of(state).charge_values(std::slice::from_ref(&value))?;
        Ok(value)
    });
}

/// The sum of two values or the text of both.
fn joined(
    state: &State<'_, '_>,
    operands: &[Value],
    instruction: Instruction<'static>,
) -> Result<Value, Error> {
    Budget::of(state).charge_growth(growth::of_sum(operands)?)?;
    let texts: Option<Vec<&str>> = operands.iter().map(Value::as_str).collect();
    match texts {
        Some(texts) => Ok(Value::from(texts.concat())),
        None => computed(state, operands, instruction),
    }
}

/// What minijinja's own instruction makes of operands.
fn computed(
    state: &State<'_, '_>,
    operands: &[Value],
    instruction: Instruction<'static>,
) -> Result<Value, Error> {
    let mut instructions = Instructions::new("", "");
    for operand in operands {
        instructions.add(Instruction::LoadConst(operand.clone()));
    }
    instructions.add(instruction);
    let (mut text, blocks) = (String::new(), BTreeMap::new());
    let mut output = make_string_output(&mut text);
    let (value, _) = Vm::new(state.env()).eval(
        &instructions,
        Value::UNDEFINED,
        &blocks,
        &mut output,
        state.auto_escape(),
    )?;
    Ok(value.unwrap_or_default())
}
