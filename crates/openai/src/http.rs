//! One request and its answer over HTTP.

use std::{
    io::ErrorKind,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use ureq::Agent;

use crate::{ApiKey, ServerAddress};

/// The longest answer that is read: log-probabilities of the longest prompts take some megabytes.
const LONGEST_ANSWER: u64 = 64 << 20;

/// How long it may take until a server has taken a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends requests, each over a connection of its own. What a server sends beyond its answer can so never be taken for the
/// answer to another request.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    key: Option<ApiKey>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// For how long it asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("cannot be reached ({0})")]
    Unreachable(String),
    #[error("gave no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("broke off its answer ({0})")]
    Cut(String),
}

impl Client {
    pub(crate) fn new(timeout: Duration, key: Option<ApiKey>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(CONNECT.min(timeout)))
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            // The key is for the server that was named.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("lancer/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), key }
    }

    /// A text of a server's that may be shown: without the key, and not longer than a few lines.
    pub(crate) fn shown(&self, text: &str) -> String {
        const LONGEST: usize = 600;
        let text = self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.hide(text));
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    pub(crate) fn get(&self, server: &ServerAddress, path: &str) -> Result<Answer, NoAnswer> {
        let mut request = self.agent.get(server.path(path)).header("connection", "close");
        if let Some(key) = &self.key {
            request = request.header("authorization", key.header());
        }
        self.answer(request.call())
    }

    pub(crate) fn post(&self, server: &ServerAddress, path: &str, body: &Value) -> Result<Answer, NoAnswer> {
        let mut request = self
            .agent
            .post(server.path(path))
            .header("connection", "close")
            .header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", key.header());
        }
        self.answer(request.send(body.to_string().as_bytes()))
    }

    fn answer(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, NoAnswer> {
        let mut response = sent.map_err(|error| self.no_answer(&error))?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let retry_after = retry_after(&header("retry-after"));
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
        let body = body.map_err(|error| match self.no_answer(&error) {
            // It was reached: the beginning of its answer is there.
            NoAnswer::Unreachable(reason) => NoAnswer::Cut(reason),
            other => other,
        })?;
        Ok(Answer { status, retry_after, body })
    }

    fn no_answer(&self, error: &ureq::Error) -> NoAnswer {
        let shown = self.shown(&error.to_string());
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                NoAnswer::Unreachable(format!("it took no connection within {} s", CONNECT.as_secs()))
            }
            ureq::Error::Timeout(_) => {
                NoAnswer::Timeout(self.agent.config().timeouts().global.unwrap_or_default())
            }
            ureq::Error::Io(source) => match source.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    NoAnswer::Cut(shown)
                }
                _ => NoAnswer::Unreachable(shown),
            },
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => NoAnswer::Unreachable(shown),
            _ => NoAnswer::Cut(shown),
        }
    }
}

impl Answer {
    /// The answer as JSON.
    pub(crate) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| error.to_string())
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the server says of its error: the text in the JSON of one of the usual forms, else all of it.
    pub(crate) fn error_text(&self) -> String {
        let all = || String::from_utf8_lossy(&self.body).into_owned();
        let Ok(json) = self.json() else { return all() };
        ["/error/message", "/message", "/detail", "/error"]
            .iter()
            .find_map(|place| json.pointer(place).and_then(Value::as_str).map(str::to_owned))
            .unwrap_or_else(all)
    }
}

/// The time that the header `Retry-After` asks for: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = http_date(value)?;
    Some(then.duration_since(SystemTime::now()).unwrap_or_default())
}

/// A date in the form of RFC 9110, 5.6.7, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.strip_suffix(" GMT")?.split([' ', ':']);
    let mut part = || parts.next();
    let day: u64 = part()?.parse().ok()?;
    let name = part()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = part()?.parse().ok()?;
    let (hours, minutes, seconds): (u64, u64, u64) =
        (part()?.parse().ok()?, part()?.parse().ok()?, part()?.parse().ok()?);
    if !(1970..=9999).contains(&year)
        || !(1..=31).contains(&day)
        || hours > 23
        || minutes > 59
        || seconds > 60
    {
        return None;
    }
    // Days since 1970 by the civil calendar, whose years are counted from March.
    let (march_year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let days =
        march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year - 719_468;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + hours * 3600 + minutes * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read() {
        // The example of RFC 9110, and `date -u -d @1709210096`.
        for (text, seconds) in
            [("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Thu, 29 Feb 2024 12:34:56 GMT", 1_709_210_096)]
        {
            assert_eq!(http_date(text), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
        }
        for text in ["", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Foo 1994 08:49:37 GMT"] {
            assert_eq!(http_date(text), None, "{text}");
        }
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
    }
}
