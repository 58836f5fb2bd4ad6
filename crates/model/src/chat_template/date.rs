//! `strftime_now`: today's date, which some templates write into the system prompt.

use std::env;

use jiff::{Timestamp, Zoned, fmt::strtime, tz::TimeZone};
use minijinja::{Error, ErrorKind};

/// The variable by which a caller fixes the date, so that the same chat is the same text on another day
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The longest format: each of its fields may be padded to any width.
const MAX_FORMAT_BYTES: usize = 256;

/// The local date and time in a format of C's `strftime`. `SOURCE_DATE_EPOCH`, in seconds, takes the place of the clock.
pub(super) fn strftime_now(format: &str) -> Result<String, Error> {
    if format.len() > MAX_FORMAT_BYTES {
        let reason = format!("the template asks for the date by more than {MAX_FORMAT_BYTES} bytes");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    let refused = |error: jiff::Error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("the template asks for the date as `{format}`: {error}"),
        )
    };
    let fixed = env::var(EPOCH).ok().and_then(|seconds| seconds.trim().parse().ok());
    let now = match fixed {
        Some(seconds) => Timestamp::from_second(seconds).map_err(refused)?.to_zoned(TimeZone::UTC),
        None => Zoned::now(),
    };
    strtime::format(format, &now).map_err(refused)
}
