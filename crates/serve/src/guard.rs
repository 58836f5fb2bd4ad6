//! Who may ask: decided for every request, before anything is looked up.
//!
//! * The host that a browser was told must be this page's. A name that an attacker points at this address is another one, so that
//!   their page cannot read this one (DNS rebinding).
//! * Where there is a token it must be given: as a header, or as the cookie that the first visit with `?token=` sets.
//! * What changes anything must come from this page: its `Origin` is compared with the host. There are no CORS headers, so other
//!   pages can read nothing.
//! * Every answer forbids scripts, styles, frames and connections but the page's own.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::{
    error::ApiError,
    http::{Method, Reply, Request},
};

/// The cookie that holds the token.
const COOKIE: &str = "lancer_token";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Every answer has these.
pub(crate) const HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Who may ask.
#[derive(Debug)]
pub(crate) struct Guard {
    address: SocketAddr,
    token: Option<String>,
    hosts: Vec<String>,
}

impl Guard {
    pub(crate) fn new(address: SocketAddr, token: Option<String>, hosts: Vec<String>) -> Arc<Self> {
        let hosts = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        Arc::new(Self { address, token, hosts })
    }

    /// Whether a `Host` header names this page: its address, `localhost` on this machine, or a name that was given.
    fn is_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port.parse().ok()),
            _ => (host.as_str(), Some(80)),
        };
        if self.hosts.iter().any(|known| known == name) {
            // Behind a proxy the port is the proxy's.
            return true;
        }
        let ip: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let is_address = match ip {
            // An address that is written out cannot be pointed elsewhere; where all of the machine's are listened at, each is right.
            Some(ip) => self.address.ip() == ip || self.address.ip().is_unspecified(),
            None => self.address.ip().is_loopback() && name == "localhost",
        };
        is_address && port == Some(self.address.port())
    }

    /// Whether the token was given.
    fn is_known(&self, request: &Request) -> bool {
        let Some(token) = &self.token else { return true };
        let bearer = request.one("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let cookie = request
            .all("cookie")
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find_map(|(name, value)| (name == COOKIE).then_some(value));
        [bearer, cookie].into_iter().flatten().any(|given| is_same(given, token))
    }

    /// Whether a request that changes something comes from this page.
    fn is_ours(request: &Request) -> bool {
        let origin = request.one("origin");
        let name = origin
            .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
        let site = request.one("sec-fetch-site");
        name.is_some() && name == request.one("host") && site.is_none_or(|site| site == "same-origin")
    }

    /// Lets a request through, or says why not.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self, request: &Request) -> Result<(), ApiError> {
        // A request with two hosts may mean one thing to a proxy and another here.
        if !request.one("host").is_some_and(|host| self.is_host(host)) {
            let text = "this page has another name; `lancer serve --host NAME` adds one";
            return Err(ApiError::new(421, text));
        }
        if !self.is_known(request) {
            let text = "the token is missing or wrong; open the address that `lancer serve` printed";
            return Err(ApiError::new(401, text));
        }
        if request.method != Method::Get && !Self::is_ours(request) {
            let text = "only this page may change anything: its Origin has to be the host";
            return Err(ApiError::new(403, text));
        }
        let is_foreign = matches!(request.one("sec-fetch-site"), Some("cross-site" | "same-site"));
        if is_foreign && request.path.starts_with("/api/") {
            return Err(ApiError::new(403, "another page may not ask for this"));
        }
        Ok(())
    }

    /// The first visit, with the token in the address: the cookie is set, and the address is the page's without it.
    pub(crate) fn visit(&self, request: &Request) -> Option<Reply> {
        let token = self.token.as_ref()?;
        let given = request.query.split('&').find_map(|part| part.strip_prefix("token="))?;
        let is_page = request.path == "/" && request.method == Method::Get;
        let is_host = request.one("host").is_some_and(|host| self.is_host(host));
        if !(is_page && is_host && is_same(given, token)) {
            return None;
        }
        let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/");
        let headers = vec![("set-cookie", cookie), ("location", "/".to_owned())];
        Some(Reply { status: 303, headers, ..Reply::of("text/plain", "") })
    }
}

/// Whether two texts are the same, in a time that does not tell how far they are.
fn is_same(given: &str, expected: &str) -> bool {
    given.len() == expected.len()
        && given.bytes().zip(expected.bytes()).fold(0, |differences, (one, two)| differences | (one ^ two))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pages_own_names_are_hosts() {
        let guard = Guard::new("127.0.0.1:7788".parse().unwrap(), None, vec!["Runs.example".into()]);
        for host in ["127.0.0.1:7788", "localhost:7788", "LOCALHOST:7788", "runs.example", "runs.example:443"]
        {
            assert!(guard.is_host(host), "{host}");
        }
        for host in [
            "evil.example:7788",
            "localhost",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.2:7788",
            "localhost.evil.example:7788",
            "[::1]:7788",
            "",
            ":7788",
            "10.0.0.1:7788",
            "localhost:7788:7788",
            "localhost:77880000000",
        ] {
            assert!(!guard.is_host(host), "{host}");
        }
        let all = Guard::new("0.0.0.0:7788".parse().unwrap(), Some("t".into()), Vec::new());
        assert!(all.is_host("192.168.1.5:7788") && !all.is_host("evil.example:7788"));
    }

    #[test]
    fn tokens_are_compared_whole() {
        assert!(is_same("abc", "abc"));
        assert!(!is_same("ab", "abc") && !is_same("abd", "abc") && !is_same("", "abc"));
    }
}
