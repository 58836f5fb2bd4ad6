//! Requests and answers: as much of HTTP/1.1 as a page needs.
//!
//! A connection has one request. What a request may be is narrow: a path, headers of 16 KiB, a body with its length. Anything that
//! two readers could take for two things (several lengths, several hosts, chunks) is refused.

use std::fmt::Write as _;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{error::ApiError, feed::Feed};

/// The request's line and headers have at most so many bytes.
const LONGEST_HEAD: usize = 16 << 10;
/// There are at most so many headers.
const MOST_HEADERS: usize = 64;
/// A body has at most so many bytes.
const LONGEST_BODY: usize = 1 << 20;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Other,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// What follows the question mark.
    pub(crate) query: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a request is answered with.
pub(crate) enum Answer {
    Whole(Reply),
    /// Server-sent events, for as long as there are any.
    Events(Feed),
}

impl Reply {
    pub(crate) fn of(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(value: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(value).map_err(|error| ApiError::new(500, error.to_string()))?;
        Ok(Self::of("application/json", body))
    }

    /// Everything up to the body.
    pub(crate) fn head(&self) -> String {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
            self.status,
            reason(self.status),
            self.kind,
            self.body.len()
        );
        for (name, value) in &self.headers {
            // A string takes all that is written to it.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

/// The words of a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

impl Request {
    /// Reads a request. `None` where the other side has gone before its end.
    ///
    /// # Errors
    /// A status and a sentence for what is no request, or too large a one.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Self>, ApiError> {
        let mut bytes = Vec::new();
        loop {
            if let Some((mut request, end)) = Self::head(&bytes)? {
                let length = request.length()?;
                let mut body = bytes.split_off(end);
                while body.len() < length {
                    let mut more = vec![0; (length - body.len()).min(64 << 10)];
                    match stream.read(&mut more).await {
                        Ok(0) | Err(_) => return Ok(None),
                        Ok(read) => body.extend_from_slice(&more[..read]),
                    }
                }
                body.truncate(length);
                request.body = body;
                return Ok(Some(request));
            }
            if bytes.len() >= LONGEST_HEAD {
                return Err(ApiError::new(431, "the request's headers are too long"));
            }
            let mut more = [0; 4096];
            match stream.read(&mut more).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(read) => bytes.extend_from_slice(&more[..read]),
            }
        }
    }

    /// The request without its body, and where that begins; `None` where the headers have not come to their end.
    fn head(bytes: &[u8]) -> Result<Option<(Self, usize)>, ApiError> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let wrong = |reason: String| ApiError::bad(format!("this is no request: {reason}"));
        let end = match parsed.parse(bytes).map_err(|error| wrong(error.to_string()))? {
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(end) => end,
        };
        let method = match parsed.method {
            Some("GET") => Method::Get,
            Some("POST") => Method::Post,
            _ => Method::Other,
        };
        let place = parsed.path.unwrap_or_default();
        if !place.starts_with('/') {
            return Err(wrong("its address does not begin with `/`".into()));
        }
        let (path, query) = place.split_once('?').unwrap_or((place, ""));
        let headers = parsed
            .headers
            .iter()
            .map(|header| {
                let value =
                    std::str::from_utf8(header.value).map_err(|_| wrong("a header is no text".into()))?;
                Ok((header.name.to_ascii_lowercase(), value.to_owned()))
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        let (path, query) = (path.to_owned(), query.to_owned());
        Ok(Some((Self { method, path, query, headers, body: Vec::new() }, end)))
    }

    /// The length of the body that follows.
    fn length(&self) -> Result<usize, ApiError> {
        if self.all("transfer-encoding").next().is_some() {
            return Err(ApiError::bad("a body has to have its length: Transfer-Encoding is not taken"));
        }
        let mut lengths = self.all("content-length");
        let Some(length) = lengths.next() else { return Ok(0) };
        if lengths.next().is_some() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ApiError::bad("content-length: one number is needed"));
        }
        match length.parse() {
            Ok(length) if length <= LONGEST_BODY => Ok(length),
            _ => Err(ApiError::new(413, format!("a body may have {LONGEST_BODY} bytes"))),
        }
    }

    /// The values of a header, whose name is in lower case.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header that is there once.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The parameters of the address.
    pub(crate) fn asked<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_urlencoded::from_str(&self.query).map_err(|error| ApiError::bad(error.to_string()))
    }

    /// The body, which has to be called JSON: a form of another page cannot be.
    pub(crate) fn told<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let kind = self.one("content-type").and_then(|kind| kind.split(';').next()).map(str::trim);
        if kind != Some("application/json") {
            return Err(ApiError::new(415, "content-type: application/json is needed"));
        }
        serde_json::from_slice(&self.body).map_err(|error| ApiError::bad(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Request>, ApiError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Request::read(&mut &bytes[..]))
    }

    #[test]
    fn a_request_is_read_with_its_body() {
        let request = read(b"POST /api/x?a=1&b=c%20d HTTP/1.1\r\nHost: h\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 4\r\n\r\n[1]\nmore");
        let request = request.unwrap().unwrap();
        assert_eq!((request.method, request.path.as_str()), (Method::Post, "/api/x"));
        assert_eq!(request.told::<Vec<u8>>().unwrap(), [1]);
        let asked: Vec<(String, String)> = request.asked().unwrap();
        assert_eq!(asked[1].1, "c d");
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let status = |head: &str| match read(format!("{head}\r\n\r\n").as_bytes()) {
            Err(error) => error.status(),
            Ok(request) => request.map_or(0, |_| 200),
        };
        assert_eq!(status("GET / HTTP/1.1\r\nHost: h"), 200);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 1"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: +1"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked"), 400);
        assert_eq!(status("GET http://evil.example/ HTTP/1.1"), 400);
        assert_eq!(status("nonsense"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999"), 413);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(LONGEST_HEAD))), 431);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 5"), 0, "the body never comes");
    }
}
