//! Personal data and secrets in texts, by patterns.
//!
//! What is found is what looks like it. A name or an address is not found, and a phone number that is written in an unusual
//! way is not either.

mod frame;

use std::{ops::Range, sync::LazyLock};

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use frame::personal_data_frame;

/// What is done with each kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PersonalDataSettings {
    /// E-mail addresses.
    pub email: Handling,
    /// Phone numbers with a country's code, or in the groups of North America.
    pub phone: Handling,
    /// Numbers of payment cards, by their check digit.
    pub card: Handling,
    /// IPv4 addresses but those that are nobody's own, such as 127.0.0.1 and 192.168.0.1.
    pub ip_address: Handling,
    /// Private keys, and the tokens of services that begin in a known way (AWS, GitHub, `OpenAI`, Slack, Google, JWT).
    pub secret: Handling,
}

/// What is done with what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// Nothing.
    Keep,
    /// Its kind in angle brackets stands in its place, such as `<email>`.
    #[default]
    Mask,
    /// The whole record goes.
    Drop,
}

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonalKind {
    /// A private key or a token.
    Secret,
    /// An e-mail address.
    Email,
    /// A payment card's number.
    Card,
    /// An IPv4 address.
    IpAddress,
    /// A phone number.
    Phone,
}

/// Something found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalData {
    /// What it is.
    pub kind: PersonalKind,
    /// Where it is, in bytes.
    pub range: Range<usize>,
}

/// What becomes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treated {
    /// Nothing was found, or what was found may stay.
    AsItIs,
    /// The text with what was found masked, and how often that was.
    Masked(String, usize),
    /// The record is to be dropped: this was found.
    Dropped(PersonalKind),
}

/// The patterns, those that leave less room for doubt first.
static PATTERNS: LazyLock<Vec<(PersonalKind, Regex)>> = LazyLock::new(|| {
    [
        (
            PersonalKind::Secret,
            r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        ),
        (PersonalKind::Secret, r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        (PersonalKind::Secret, r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b"),
        (PersonalKind::Secret, r"\bsk-[A-Za-z0-9_-]{20,}"),
        (PersonalKind::Secret, r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        (PersonalKind::Secret, r"\bAIza[0-9A-Za-z_-]{35}"),
        (PersonalKind::Secret, r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        (
            PersonalKind::Email,
            r"(?i)\b[a-z0-9][a-z0-9._%+-]*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}\b",
        ),
        (PersonalKind::Card, r"\b[0-9](?:[ -]?[0-9]){12,18}\b"),
        (PersonalKind::IpAddress, r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"),
        (
            PersonalKind::Phone,
            r"\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9](?:[ .-]?[0-9]){5,11}\b",
        ),
        (PersonalKind::Phone, r"(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[.-])[2-9][0-9]{2}[.-][0-9]{4}\b"),
    ]
    .map(|(kind, pattern)| (kind, Regex::new(pattern).expect("a test compiles every pattern")))
    .into()
});

/// What is found in a text, in its order; nothing overlaps.
pub fn personal_data(text: &str) -> Vec<PersonalData> {
    let mut found: Vec<PersonalData> = Vec::new();
    for (kind, pattern) in PATTERNS.iter() {
        for place in pattern.find_iter(text) {
            let range = place.range();
            let is_free =
                found.iter().all(|other| other.range.end <= range.start || range.end <= other.range.start);
            if is_free && is_meant(*kind, text, &range) {
                found.push(PersonalData { kind: *kind, range });
            }
        }
    }
    found.sort_by_key(|data| data.range.start);
    found
}

/// Does with a text what the settings say.
///
/// ```
/// use lancer_data::{Handling, PersonalDataSettings, PersonalKind, Treated, treat_personal_data};
///
/// let text = "Write to ann@example.org or call +49 30 1234567.";
/// let masked = treat_personal_data(text, &PersonalDataSettings::default());
/// assert_eq!(masked, Treated::Masked("Write to <email> or call <phone>.".into(), 2));
/// let settings = PersonalDataSettings { phone: Handling::Drop, ..PersonalDataSettings::default() };
/// assert_eq!(treat_personal_data(text, &settings), Treated::Dropped(PersonalKind::Phone));
/// ```
pub fn treat_personal_data(text: &str, settings: &PersonalDataSettings) -> Treated {
    let found = personal_data(text);
    if let Some(data) = found.iter().find(|data| settings.of(data.kind) == Handling::Drop) {
        return Treated::Dropped(data.kind);
    }
    let (mut masked, mut end, mut count) = (String::new(), 0, 0);
    for data in found.iter().filter(|data| settings.of(data.kind) == Handling::Mask) {
        masked.push_str(&text[end..data.range.start]);
        masked.push('<');
        masked.push_str(data.kind.as_str());
        masked.push('>');
        (end, count) = (data.range.end, count + 1);
    }
    if count == 0 {
        return Treated::AsItIs;
    }
    masked.push_str(&text[end..]);
    Treated::Masked(masked, count)
}

impl PersonalDataSettings {
    /// The same for every kind.
    pub fn all(handling: Handling) -> Self {
        Self { email: handling, phone: handling, card: handling, ip_address: handling, secret: handling }
    }

    fn of(self, kind: PersonalKind) -> Handling {
        match kind {
            PersonalKind::Secret => self.secret,
            PersonalKind::Email => self.email,
            PersonalKind::Card => self.card,
            PersonalKind::IpAddress => self.ip_address,
            PersonalKind::Phone => self.phone,
        }
    }
}

impl PersonalKind {
    /// Its name, as it is serialised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Card => "card",
            Self::IpAddress => "ip_address",
            Self::Phone => "phone",
        }
    }
}

/// What a pattern alone cannot say.
fn is_meant(kind: PersonalKind, text: &str, range: &Range<usize>) -> bool {
    let found = &text[range.clone()];
    match kind {
        PersonalKind::Card => has_check_digit(found),
        PersonalKind::IpAddress => {
            // A number with four parts goes on in a version such as 1.2.3.4.5.
            let goes_on = text[range.end..]
                .strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            let address: Result<std::net::Ipv4Addr, _> = found.parse();
            !goes_on
                && address.is_ok_and(|address| {
                    !(address.is_private()
                        || address.is_loopback()
                        || address.is_unspecified()
                        || address.is_broadcast())
                })
        }
        PersonalKind::Secret | PersonalKind::Email | PersonalKind::Phone => true,
    }
}

/// Luhn's check: every second digit from the last one doubled, the digits of all add up to a multiple of ten.
fn has_check_digit(number: &str) -> bool {
    let digits = number.chars().rev().filter_map(|c| c.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, doubled) => doubled / 10 + doubled % 10,
        })
        .sum();
    sum > 0 && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&'static str, &str)> {
        personal_data(text).into_iter().map(|data| (data.kind.as_str(), &text[data.range])).collect()
    }

    #[test]
    fn every_kind_is_found() {
        for (text, kind, data) in [
            ("mail o'neil.j+x@mail.example.co.uk now", "email", "neil.j+x@mail.example.co.uk"),
            ("call +44 20 7946 0958.", "phone", "+44 20 7946 0958"),
            ("call (415) 555-2671!", "phone", "(415) 555-2671"),
            ("pay with 4111 1111 1111 1111 today", "card", "4111 1111 1111 1111"),
            ("the host 8.8.4.4 answers", "ip_address", "8.8.4.4"),
            ("key AKIAIOSFODNN7EXAMPLE in code", "secret", "AKIAIOSFODNN7EXAMPLE"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc", "secret", "-----BEGIN RSA PRIVATE KEY-----\nabc"),
        ] {
            assert_eq!(found(text), [(kind, data)], "{text}");
        }
        let token = format!("ghp_{}", "a1B2".repeat(9));
        assert_eq!(found(&format!("token={token};")), [("secret", token.as_str())]);
    }

    #[test]
    fn other_numbers_are_left() {
        for text in [
            "4111 1111 1111 1112",
            "version 1.2.3.4.5 and 999.1.1.1",
            "at 127.0.0.1 or 192.168.0.1",
            "2024-05-06 and 1,234,567.89",
            "a@b and @name, sk-learn",
            "3 + 4 = 7, 12 + 1234567",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn masks_leave_the_rest() {
        let settings = PersonalDataSettings { email: Handling::Keep, ..PersonalDataSettings::default() };
        assert_eq!(treat_personal_data("a@b.org", &settings), Treated::AsItIs);
        let text = "8.8.8.8, a@b.org, 9.9.9.9";
        let masked = "<ip_address>, a@b.org, <ip_address>";
        assert_eq!(treat_personal_data(text, &settings), Treated::Masked(masked.into(), 2));
        assert_eq!(found(masked).len(), 1);
    }
}
