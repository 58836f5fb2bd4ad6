//! Whether a program uses large pages.

use std::{
    env,
    error::Error,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

/// Whether a program uses large pages. It does, unless it or the environment says otherwise ([`LargePages::VARIABLE`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargePages {
    /// Where the system has them.
    On,
    /// Nothing is asked of the system and nothing is moved.
    Off,
}

/// What the program has chosen.
static CHOICE: Mutex<Option<LargePages>> = Mutex::new(None);

impl LargePages {
    /// The environment variable that turns them off: `LANCER_LARGE_PAGES=0`.
    pub const VARIABLE: &str = "LANCER_LARGE_PAGES";

    /// Chooses for the whole program, whatever the environment says. To be called before models are loaded: what has been
    /// moved stays where it is.
    pub fn choose(self) {
        *CHOICE.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    /// What the environment says; `None` where it says nothing.
    ///
    /// # Errors
    /// Where the value is none of those that there are.
    pub fn of_environment() -> Result<Option<Self>, UnknownLargePages> {
        let value = env::var_os(Self::VARIABLE);
        value.map(|value| value.to_string_lossy().parse()).transpose()
    }

    /// What holds: what the program has chosen, else what the environment says, else that they are used.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) fn chosen() -> Self {
        let choice = *CHOICE.lock().unwrap_or_else(PoisonError::into_inner);
        // A program that wants to report a wrong value asks for it (`of_environment`).
        choice.or_else(|| Self::of_environment().ok().flatten()).unwrap_or(Self::On)
    }
}

impl FromStr for LargePages {
    type Err = UnknownLargePages;

    fn from_str(value: &str) -> Result<Self, UnknownLargePages> {
        match value {
            "1" | "on" => Ok(Self::On),
            "0" | "off" => Ok(Self::Off),
            _ => Err(UnknownLargePages(value.into())),
        }
    }
}

/// The environment's value is not one that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLargePages(String);

impl fmt::Display for UnknownLargePages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is {:?}; it may be 0 (off) or 1 (on)", LargePages::VARIABLE, self.0)
    }
}

impl Error for UnknownLargePages {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_a_wrong_one_is_named() {
        for (value, expected) in
            [("0", LargePages::Off), ("off", LargePages::Off), ("1", LargePages::On), ("on", LargePages::On)]
        {
            assert_eq!(value.parse(), Ok(expected));
        }
        let error = "no".parse::<LargePages>().unwrap_err().to_string();
        assert!(
            error.contains("LANCER_LARGE_PAGES") && error.contains("\"no\"") && error.contains("0 (off)")
        );
    }
}
