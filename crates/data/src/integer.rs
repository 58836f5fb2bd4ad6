//! Whole numbers beyond 64 bits: kept digit by digit, as text with a mark that no other text has.
//!
//! The JSON library has no number for them and would round them to a fraction.

use std::borrow::Cow;

use serde_json::Value;

/// The mark, a character that Unicode never assigns.
const MARK: char = '\u{10FFFF}';

/// Digits that a whole number of 64 bits always has room for.
const SAFE_DIGITS: usize = 18;

/// JSON in which each whole number that does not fit into 64 bits is text, the mark before its digits.
pub(crate) fn quoted(json: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut copied, mut place, mut in_text) = (0, 0, false);
    let bytes = json.as_bytes();
    while let Some(&byte) = bytes.get(place) {
        match byte {
            b'\\' if in_text => place += 1,
            b'"' => in_text = !in_text,
            b'-' | b'0'..=b'9' if !in_text => {
                let number = number_at(bytes, place);
                let text = &json[place..place + number];
                if is_beyond(text) {
                    out.push_str(&json[copied..place]);
                    out.extend(['"', MARK]);
                    out.push_str(text);
                    out.push('"');
                    copied = place + number;
                }
                place += number - 1;
            }
            _ => {}
        }
        place += 1;
    }
    if copied == 0 { Cow::Borrowed(json) } else { Cow::Owned(out + &json[copied..]) }
}

/// The length of the number that begins at `place`.
fn number_at(bytes: &[u8], place: usize) -> usize {
    let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    bytes[place..].iter().take_while(is_part).count()
}

fn is_beyond(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() > SAFE_DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
        && number.parse::<i64>().is_err()
        && number.parse::<u64>().is_err()
}

/// JSON as it was before [`quoted`].
pub(crate) fn unquoted(json: String) -> String {
    if !json.contains(MARK) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(start) = rest.find(&format!("\"{MARK}")) {
        let after = &rest[start + 1 + MARK.len_utf8()..];
        let Some(end) = after.find('"') else { break };
        out.push_str(&rest[..start]);
        out.push_str(&after[..end]);
        rest = &after[end + 1..];
    }
    out + rest
}

/// The digits of a whole number, of any length; `None` for anything else.
pub(crate) fn digits(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::String(text) => text.strip_prefix(MARK).map(str::to_owned),
        _ => None,
    }
}

/// A text without the mark, for files that have text in the place of such numbers.
pub(crate) fn as_text(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_numbers_that_do_not_fit_become_text() {
        let json = r#"{"a": 123456789012345678901234567890, "b": [-99999999999999999999, 18446744073709551615], "c": "99999999999999999999", "d\"": 1.5e30}"#;
        let kept = quoted(json);
        let value: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(digits(&value["a"]).as_deref(), Some("123456789012345678901234567890"));
        assert_eq!(digits(&value["b"][0]).as_deref(), Some("-99999999999999999999"));
        assert_eq!(value["b"][1].as_u64(), Some(u64::MAX));
        assert_eq!(value["c"], "99999999999999999999");
        assert_eq!(unquoted(kept.into_owned()), json);
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(numbers in prop::collection::vec("-?[1-9][0-9]{0,30}", 0..6), text in "[a-z0-9\\\\\"]{0,12}") {
            let json = format!("{{\"n\":[{}],\"t\":{}}}", numbers.join(","), serde_json::to_string(&text).unwrap());
            let kept = quoted(&json).into_owned();
            prop_assert!(serde_json::from_str::<Value>(&kept).is_ok());
            prop_assert_eq!(unquoted(kept), json);
        }
    }
}
