//! minijinja's filters, tests and functions, and Python's methods, with the budget asked before each.

use minijinja::{
    Environment, Error, State, Value, filters, functions, tests,
    value::{Rest, ValueKind},
};

use crate::{
    budget::{Budget, made},
    growth,
};

/// How much of its value a filter reads.
#[derive(Clone, Copy)]
enum Reads {
    /// All that is in it.
    All,
    /// Its length, or one element.
    Little,
}

macro_rules! functions_of {
    ($module:ident: $($function:ident),* $(,)?) => {
        [$((stringify!($function), Value::from_function($module::$function))),*]
    };
}

/// Adds the filters.
pub(crate) fn add_to(environment: &mut Environment<'static>) {
    let all = functions_of!(filters:
        escape, lower, upper, title, capitalize, replace, dictsort, trim, join, split, lines, min, max, sort, list, string,
        batch, slice, sum, indent, select, reject, selectattr, rejectattr, map, groupby, unique, chain, zip, pprint, format,
        tojson, reverse, items,
    );
    let little =
        functions_of!(filters: safe, length, default, round, abs, int, float, attr, first, last, bool);
    let filters = all.map(|(name, filter)| (name, filter, Reads::All)).into_iter();
    for (name, filter, reads) in filters.chain(little.map(|(name, filter)| (name, filter, Reads::Little))) {
        let names: &[&'static str] = match name {
            "escape" => &["escape", "e"],
            "length" => &["length", "count"],
            "default" => &["default", "d"],
            _ => &[name],
        };
        for &alias in names {
            let filter = filter.clone();
            environment.add_filter(alias, move |state: &State<'_, '_>, arguments: Rest<Value>| {
                call(state, name, &filter, reads, &arguments)
            });
        }
    }
}

fn call(
    state: &State<'_, '_>,
    name: &str,
    filter: &Value,
    reads: Reads,
    arguments: &[Value],
) -> Result<Value, Error> {
    let budget = Budget::of(state);
    match (reads, arguments) {
        (Reads::All, arguments) => budget.charge_values(arguments)?,
        (Reads::Little, [value, ..]) if value.kind() == ValueKind::String => {
            budget.charge(value.as_str().map_or(0, str::len) as u64)?;
        }
        (Reads::Little, [value, ..]) => budget.charge(value.len().unwrap_or(0) as u64 + 1)?,
        (Reads::Little, []) => {}
    }
    if let [value, rest @ ..] = arguments {
        budget.charge_growth(growth::of_call(name, value, rest)?)?;
    }
    let made_here = filter.call(state, arguments)?;
    match reads {
        Reads::All => made(state, made_here),
        Reads::Little => Ok(made_here),
    }
}

/// Adds the tests.
pub(crate) fn add_tests_to(environment: &mut Environment<'static>) {
    let known = functions_of!(tests:
        is_undefined, is_defined, is_none, is_safe, is_boolean, is_odd, is_even, is_divisibleby, is_number, is_integer,
        is_float, is_string, is_sequence, is_iterable, is_mapping, is_true, is_false, is_filter, is_test, is_sameas,
    );
    let reading = functions_of!(tests: is_startingwith, is_endingwith, is_lower, is_upper, is_eq, is_ne, is_lt, is_le, is_gt, is_ge, is_in);
    let known = known.into_iter().map(|test| (test, Reads::Little));
    for ((function, test), reads) in known.chain(reading.into_iter().map(|test| (test, Reads::All))) {
        let name = function.strip_prefix("is_").unwrap_or(function);
        let others: &[&'static str] = match name {
            "safe" => &["escaped"],
            "integer" => &["int"],
            "eq" => &["equalto", "=="],
            "ne" => &["!="],
            "lt" => &["lessthan", "<"],
            "le" => &["<="],
            "gt" => &["greaterthan", ">"],
            "ge" => &[">="],
            _ => &[],
        };
        for &alias in [name].iter().chain(others) {
            let test = test.clone();
            environment.add_test(alias, move |state: &State<'_, '_>, arguments: Rest<Value>| {
                if let Reads::All = reads {
                    Budget::of(state).charge_values(&arguments)?;
                }
                test.call(state, &arguments).map(|result| result.is_true())
            });
        }
    }
}

/// Adds the functions, and Python's methods of texts, lists and maps.
pub(crate) fn add_functions_to(environment: &mut Environment<'static>) {
    for (name, function) in functions_of!(functions: range, dict, namespace) {
        environment.add_function(name, move |state: &State<'_, '_>, arguments: Rest<Value>| {
            Budget::of(state).charge_values(&arguments)?;
            made(state, function.call(state, &arguments)?)
        });
    }
    environment.set_unknown_method_callback(call_method);
}

/// Calls one of Python's methods of texts, lists and maps, within the rendering's budget: for a callback of one's own that has
/// more methods.
///
/// # Errors
/// Where there is no such method, where it fails, or where it would exceed a bound.
pub fn call_method(
    state: &State<'_, '_>,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let budget = Budget::of(state);
    match value.kind() {
        // Looking up a field of a map reads that field.
        ValueKind::Map => budget.charge(value.len().unwrap_or(0) as u64 + 1)?,
        _ => budget.charge_values(std::slice::from_ref(value))?,
    }
    budget.charge_values(arguments)?;
    budget.charge_growth(growth::of_call(method, value, arguments)?)?;
    let result = minijinja_contrib::pycompat::unknown_method_callback(state, value, method, arguments)?;
    match value.kind() {
        ValueKind::Map => Ok(result),
        _ => made(state, result),
    }
}
