//! How results and messages are printed.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

use crate::{failure::Failure, shown};

/// Why results could not be printed, the first time.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line of a result on standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::print_result(format_args!($($text)*)) };
}

/// Prints a message on standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::print_message(format_args!($($text)*)) };
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Output {
    /// Prints a result: as JSON, or as `text` shows it.
    pub(crate) fn print<T: Serialize>(self, result: &T, text: impl FnOnce(&T)) {
        match self {
            Self::Text => text(result),
            // Results are structs of numbers, texts and lists, which JSON has.
            Self::Json => outln!("{}", escaped(&serde_json::to_string(result).unwrap_or_default())),
        }
    }
}

/// JSON in which no character controls a terminal. JSON's own writer escapes the older control characters; those from U+007F on, and
/// marks that turn the direction of writing, occur within texts only, where their escapes mean the same.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if shown::controls(character) {
            // A string takes all that is written to it; all of these have four digits.
            let _ = write!(escaped, "\\u{:04x}", character as u32);
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Whether standard output is for rows: results are then printed on standard error.
static FOR_ROWS: AtomicBool = AtomicBool::new(false);

/// From now on results go to standard error, since a command writes rows to standard output.
pub(crate) fn keep_for_rows() {
    FOR_ROWS.store(true, Ordering::Relaxed);
}

/// Copies rows to standard output. Where its reader has gone, nobody wants them.
pub(crate) fn print_rows(rows: &mut impl io::Read) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match io::copy(rows, &mut out).and_then(|_| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A line on standard output. Where its reader has gone, nobody wants it; any other failure is kept for [`printed`].
pub(crate) fn print_result(line: fmt::Arguments<'_>) {
    if FOR_ROWS.load(Ordering::Relaxed) {
        return print_message(line);
    }
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = FAILED.set(error);
        }
        _ => {}
    }
}

/// A line on standard error. Where nobody reads it, there is no place to say so.
pub(crate) fn print_message(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether all results could be printed, for as long as somebody read them.
pub(crate) fn printed() -> Result<(), Failure> {
    match io::stdout().lock().flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = FAILED.set(error);
        }
        _ => {}
    }
    match FAILED.get() {
        Some(error) => Err(Failure::failed(format!("cannot print the results: {error}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn json_controls_no_terminal_and_means_the_same() {
        let text = "a\u{1b}[31m\u{9b}2J\u{202e}\u{7f}\n grün";
        let json = escaped(&serde_json::to_string(text).unwrap());
        assert!(!json.chars().any(char::is_control) && json.contains("\\u009b2J\\u202e"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
