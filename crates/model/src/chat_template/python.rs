//! Values as Python sees them: `str`, `repr`, and what counts as iterable.

use std::fmt::{self, Display, Formatter};

use minijinja::{Error, State, Value, value::ValueKind};

/// `str(value)`: texts as they are, everything else by [`Repr`]; nothing for an undefined value.
pub(super) struct Text<'a>(pub(super) &'a Value);

/// The filter `string`.
pub(super) fn string(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    lancer_jinja::charge_reading(state, value)?;
    let text = Text(value).to_string();
    lancer_jinja::charge(state, text.len())?;
    Ok(text)
}

/// `repr(value)`.
struct Repr<'a>(&'a Value);

impl Display for Text<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match (self.0.kind(), self.0.as_str()) {
            (ValueKind::Undefined, _) => Ok(()),
            (_, Some(text)) => out.write_str(text),
            _ => Repr(self.0).fmt(out),
        }
    }
}

impl Display for Repr<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            ValueKind::Undefined => out.write_str("Undefined"),
            ValueKind::None => out.write_str("None"),
            ValueKind::Bool => out.write_str(if self.0.is_true() { "True" } else { "False" }),
            ValueKind::Number => {
                let mut text = String::new();
                push_number(self.0, &mut text);
                out.write_str(&text)
            }
            ValueKind::String => quoted(self.0.as_str().unwrap_or_default(), out),
            ValueKind::Seq => {
                out.write_str("[")?;
                for (place, item) in self.0.try_iter().into_iter().flatten().enumerate() {
                    write!(out, "{}{}", if place > 0 { ", " } else { "" }, Repr(&item))?;
                }
                out.write_str("]")
            }
            // A namespace or a macro is shown by the library.
            ValueKind::Map if self.0.try_iter().is_ok() => {
                out.write_str("{")?;
                for (place, key) in self.0.try_iter().into_iter().flatten().enumerate() {
                    let item = self.0.get_item(&key).unwrap_or_default();
                    write!(out, "{}{}: {}", if place > 0 { ", " } else { "" }, Repr(&key), Repr(&item))?;
                }
                out.write_str("}")
            }
            _ => write!(out, "{}", self.0),
        }
    }
}

/// A text in quotes: single ones, unless it holds single and no double ones.
fn quoted(text: &str, out: &mut Formatter<'_>) -> fmt::Result {
    use fmt::Write;

    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.write_char(quote)?;
    for character in text.chars() {
        match character {
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            same if same == quote => write!(out, "\\{same}")?,
            low if low.is_control() && (low as u32) < 0x100 => write!(out, "\\x{:02x}", low as u32)?,
            other => out.write_char(other)?,
        }
    }
    out.write_char(quote)
}

/// A number as `repr` and `json.dumps` write it: `1`, `1.0`, `1e+16`, `1e-05`.
pub(super) fn push_number(value: &Value, out: &mut String) {
    use fmt::Write;

    if value.is_integer() {
        out.push_str(&value.to_string());
        return;
    }
    let Ok(number) = f64::try_from(value.clone()) else {
        out.push_str(&value.to_string());
        return;
    };
    if !number.is_finite() {
        out.push_str(match number {
            number if number.is_nan() => "NaN",
            number if number > 0.0 => "Infinity",
            _ => "-Infinity",
        });
        return;
    }
    // Rust writes the same digits, and an exponent for no or for every number.
    if number == 0.0 || (1e-4..1e16).contains(&number.abs()) {
        // Writing to a text cannot fail.
        let _ = write!(out, "{number:?}");
        return;
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "{digits}e{sign}{:02}", exponent.abs());
}

/// Jinja2's test `iterable`: texts and undefined values are.
pub(super) fn is_iterable(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Undefined)
        || value.try_iter().is_ok() && !value.is_none()
}

/// Jinja2's test `sequence`: what has a length and items, so texts and maps too.
pub(super) fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Undefined | ValueKind::Seq | ValueKind::Map)
}
