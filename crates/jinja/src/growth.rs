//! How long a result becomes, before it is made.

use minijinja::{Error, Value, value::ValueKind};

use crate::budget::{MAX_VALUE_BYTES, refused, size};

/// Values are looked at so many levels deep; deeper ones are refused where they are made.
const LEVELS: usize = 80;
/// What an element of a list takes.
const ELEMENT_BYTES: u64 = 16;
/// The longest number of digits of a whole number, in words of a format such as `%d`.
const NUMBER_BYTES: u64 = 40;

/// The bytes of two values together.
pub(crate) fn of_sum(operands: &[Value]) -> Result<u64, Error> {
    operands.iter().try_fold(0_u64, |sum, operand| Ok(sum.saturating_add(size(operand, LEVELS)?)))
}

/// The bytes of a text or list times a number; of two numbers little.
pub(crate) fn of_product(operands: &[Value]) -> Result<u64, Error> {
    let mut bytes = ELEMENT_BYTES;
    let mut times = 1;
    for operand in operands {
        match operand.kind() {
            ValueKind::Number => times = operand.as_usize().unwrap_or(1).max(1) as u64,
            _ => bytes = bytes.max(size(operand, LEVELS)?),
        }
    }
    let is_repeated = operands.iter().any(|operand| operand.kind() != ValueKind::Number);
    Ok(if is_repeated { bytes.saturating_mul(times) } else { ELEMENT_BYTES })
}

/// The bytes that a filter or method makes of a value and its arguments beyond what it reads, where it can make many from few.
pub(crate) fn of_call(name: &str, value: &Value, arguments: &[Value]) -> Result<u64, Error> {
    let text = value.as_str();
    Ok(match name {
        "replace" => match (text, arguments) {
            (Some(text), [from, to, ..]) => {
                let to = match to.as_str() {
                    Some(to) => to.len() as u64,
                    None => size(to, LEVELS)?,
                };
                let times = match from.as_str() {
                    Some("") | None => text.chars().count() + 1,
                    Some(from) => text.matches(from).count(),
                };
                to.saturating_mul(times as u64)
            }
            _ => 0,
        },
        // The filter's value is the parts, and the method's is what stands between them.
        "join" => {
            let argument = arguments.first();
            let between = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, str::len) as u64;
            let parts = |value: Option<&Value>| value.and_then(Value::len).unwrap_or(0) as u64;
            let as_filter = between(argument).saturating_mul(parts(Some(value)));
            let as_method = between(Some(value)).saturating_mul(parts(argument));
            as_filter.max(as_method)
        }
        "indent" => {
            let lines = text.map_or(0, |text| text.matches('\n').count() + 1) as u64;
            largest(arguments)?.saturating_mul(lines)
        }
        "tojson" => largest(arguments)?.saturating_mul(size(value, LEVELS)?),
        "split" | "rsplit" => {
            let parts = text.map_or(0, |text| match arguments.first().and_then(Value::as_str) {
                Some("") => text.len(),
                Some(separator) => text.matches(separator).count() + 1,
                None => text.len().div_ceil(2),
            });
            (parts as u64).saturating_mul(ELEMENT_BYTES)
        }
        "lines" | "splitlines" => {
            let lines = text.map_or(0, |text| text.matches(['\n', '\r']).count() + 1) as u64;
            lines.saturating_mul(ELEMENT_BYTES)
        }
        // Of a text they make a list of its characters.
        "list" | "sort" | "unique" | "map" | "select" | "reject" | "selectattr" | "rejectattr"
        | "groupby" | "zip" | "chain" => (text.map_or(0, str::len) as u64).saturating_mul(ELEMENT_BYTES),
        "batch" | "slice" if text.is_some() => {
            let characters = text.map_or(0, str::len) as u64;
            largest(arguments)?.max(characters).saturating_mul(ELEMENT_BYTES)
        }
        "batch" | "slice" => largest(arguments)?.saturating_mul(ELEMENT_BYTES),
        "format" => {
            let format = text.unwrap_or_default();
            // Widths may be numbers in the text or, for `*` and `{}` in braces, among the arguments.
            let widths = format.split(|character: char| !character.is_ascii_digit());
            let longest =
                widths.map(|width| if width.is_empty() { 0 } else { width.parse().unwrap_or(u64::MAX) });
            let longest = longest.max().unwrap_or(0);
            let given = if takes_widths(format) { largest(arguments)? } else { 0 };
            let fields = format.matches(['%', '{']).count() as u64;
            longest.max(given).saturating_add(NUMBER_BYTES).saturating_mul(fields)
        }
        _ => 0,
    })
}

/// Whether a format takes a width from its arguments: `%*d`, or a field within a field.
fn takes_widths(format: &str) -> bool {
    let mut depth = 0_usize;
    format.chars().any(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 1 || character == '*'
    })
}

/// The largest whole number among arguments, keyword arguments included.
fn largest(arguments: &[Value]) -> Result<u64, Error> {
    let mut largest = 0;
    for argument in arguments {
        match argument.kind() {
            ValueKind::Number => largest = largest.max(number(argument)),
            ValueKind::Map => {
                for name in argument.try_iter()? {
                    let value = argument.get_item(&name)?;
                    if value.kind() == ValueKind::Number {
                        largest = largest.max(number(&value));
                    }
                }
            }
            _ => {}
        }
    }
    if largest > MAX_VALUE_BYTES {
        return Err(refused(format!("the template gives the number {largest} for a length")));
    }
    Ok(largest)
}

fn number(value: &Value) -> u64 {
    value.as_usize().map_or(0, |number| number as u64)
}
