//! Python's methods: what the library has, and the ones of texts that it lacks.

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{ValueKind, from_args},
};

/// Those that are here.
const METHODS: [&str; 6] = ["removeprefix", "removesuffix", "partition", "rpartition", "rsplit", "index"];

/// Calls `value.method(args)`.
pub(super) fn call(
    state: &State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let (ValueKind::String, Some(text)) = (value.kind(), value.as_str())
        && METHODS.contains(&method)
    {
        // What these give is no longer than the text, but for the list around it; a list may have an item for each character.
        let list = if method == "rsplit" { 32 * text.len() } else { 64 };
        lancer_jinja::charge(state, 2 * text.len() + list)?;
        let Some(result) = of_text(text, method, args) else {
            return lancer_jinja::call_method(state, value, method, args);
        };
        return result;
    }
    lancer_jinja::call_method(state, value, method, args)
}

/// `None` where the library has the method, or nobody.
fn of_text(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let separated = |found: Option<(&str, &str)>, separator: &str, otherwise: [&str; 3]| {
        let parts = found.map_or(otherwise, |(before, after)| [before, separator, after]);
        Value::from(parts.map(String::from).to_vec())
    };
    let argument = || from_args::<(&str,)>(args).map(|(argument,)| argument);
    Some(match method {
        "removeprefix" => argument().map(|prefix| text.strip_prefix(prefix).unwrap_or(text).into()),
        "removesuffix" => argument().map(|suffix| text.strip_suffix(suffix).unwrap_or(text).into()),
        "partition" => argument().map(|by| separated(text.split_once(by), by, [text, "", ""])),
        "rpartition" => argument().map(|by| separated(text.rsplit_once(by), by, ["", "", text])),
        "rsplit" => from_args::<(&str, Option<usize>)>(args).map(|(by, at_most)| {
            let mut parts: Vec<String> = match at_most {
                Some(at_most) => text.rsplitn(at_most.saturating_add(1), by).map(String::from).collect(),
                None => text.rsplit(by).map(String::from).collect(),
            };
            parts.reverse();
            parts.into()
        }),
        "index" => argument().and_then(|part| match text.find(part) {
            Some(place) => Ok(text[..place].chars().count().into()),
            None => Err(Error::new(ErrorKind::InvalidOperation, format!("`{part}` is not in the text"))),
        }),
        _ => return None,
    })
}
