//! The filter `tojson`, as transformers has it: Python's `json.dumps` with its arguments.

use std::fmt::Write as _;

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind},
};

use super::python;

/// Spaces for each level at most: with more, a small value makes a long text.
const MAX_INDENT: usize = 32;

/// The bytes of both separators at most, for the same reason.
const MAX_SEPARATORS: usize = 32;

/// How `json.dumps` lays a value out.
struct Layout {
    /// Spaces for each level; everything is on one line without it.
    indent: Option<usize>,
    between_items: String,
    after_key: String,
    is_ascii: bool,
    sorts_keys: bool,
}

/// `value|tojson(ensure_ascii, indent, separators, sort_keys)`.
#[expect(clippy::needless_pass_by_value, reason = "the library hands keyword arguments over by value")]
pub(super) fn to_json(
    state: &State<'_, '_>,
    value: &Value,
    indent: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let flag = |name| options.get::<Option<bool>>(name).map(|flag| flag == Some(true));
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get::<Option<Value>>("indent")?,
    };
    let indent = indent.filter(|indent| !indent.is_none()).and_then(|indent| indent.as_usize());
    if indent.is_some_and(|indent| indent > MAX_INDENT) {
        let reason = format!("tojson with an indent of more than {MAX_INDENT} spaces");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    let separators: Option<Value> = options.get("separators")?;
    let separator = |place, otherwise: &str| match separators.as_ref().filter(|given| !given.is_none()) {
        Some(given) => Ok::<_, Error>(given.get_item_by_index(place)?.to_string()),
        None => Ok(otherwise.to_owned()),
    };
    let layout = Layout {
        between_items: separator(0, if indent.is_some() { "," } else { ", " })?,
        after_key: separator(1, ": ")?,
        indent,
        is_ascii: flag("ensure_ascii")?,
        sorts_keys: flag("sort_keys")?,
    };
    options.assert_all_used()?;
    if layout.between_items.len() + layout.after_key.len() > MAX_SEPARATORS {
        let reason = format!("tojson with separators of more than {MAX_SEPARATORS} bytes");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    lancer_jinja::charge_reading(state, value)?;
    let mut out = String::new();
    layout.write(value, 0, &mut out)?;
    lancer_jinja::charge(state, out.len())?;
    // Safe: templates that switch on escaping for HTML get it as it is.
    Ok(Value::from_safe_string(out))
}

impl Layout {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => python::push_number(value, out),
            ValueKind::String => self.write_text(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.write_all(('[', ']'), depth, out, &items, |layout, item, out| {
                    layout.write(item, depth + 1, out)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorts_keys {
                    keys.sort();
                }
                self.write_all(('{', '}'), depth, out, &keys, |layout, key, out| {
                    layout.write_text(&key_text(key)?, out);
                    out.push_str(&layout.after_key);
                    layout.write(&value.get_item(key)?, depth + 1, out)
                })?;
            }
            other => {
                let reason = format!("a value of type {other} cannot be written as JSON");
                return Err(Error::new(ErrorKind::InvalidOperation, reason));
            }
        }
        Ok(())
    }

    fn write_all(
        &self,
        (open, close): (char, char),
        depth: usize,
        out: &mut String,
        items: &[Value],
        write: impl Fn(&Self, &Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                out.push_str(&self.between_items);
            }
            self.new_line(depth + 1, out);
            write(self, item, out)?;
        }
        if !items.is_empty() {
            self.new_line(depth, out);
        }
        out.push(close);
        Ok(())
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn write_text(&self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                low if low < ' ' => push_escape(u16::from(low as u8), out),
                wide if self.is_ascii && !wide.is_ascii() => {
                    wide.encode_utf16(&mut [0; 2]).iter().for_each(|&unit| push_escape(unit, out));
                }
                other => out.push(other),
            }
        }
        out.push('"');
    }
}

fn push_escape(unit: u16, out: &mut String) {
    // Writing to a text cannot fail.
    let _ = write!(out, "\\u{unit:04x}");
}

/// A key as Python writes it: what is no text is written as JSON.
fn key_text(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok(key.is_true().to_string()),
        ValueKind::Number => {
            let mut text = String::new();
            python::push_number(key, &mut text);
            Ok(text)
        }
        other => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a key of type {other} cannot be written as JSON"),
        )),
    }
}
