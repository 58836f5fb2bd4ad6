//! `--large-pages`: whether models are moved into large pages.

use clap::{Args, ValueEnum};
use lancer_memory::LargePages;

use crate::failure::Failure;

/// Whether this program uses large pages.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LargePagesOption {
    /// Whether models are moved into Linux's large pages, where they run faster; `LANCER_LARGE_PAGES=0` in the environment says
    /// `off` too.
    #[arg(long, global = true, value_enum, value_name = "ON_OR_OFF", display_order = 1000)]
    large_pages: Option<OnOrOff>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnOrOff {
    /// Where the system has them; the default.
    On,
    /// Nothing is moved.
    Off,
}

impl LargePagesOption {
    /// Chooses for the whole program: what the command line says, else the environment.
    pub(crate) fn apply(self) -> Result<(), Failure> {
        match self.large_pages {
            Some(OnOrOff::On) => LargePages::On.choose(),
            Some(OnOrOff::Off) => LargePages::Off.choose(),
            // It is read where it is needed; what is wrong with it is reported before anything is done.
            None => {
                LargePages::of_environment().map_err(|error| Failure::Usage(error.into()))?;
            }
        }
        Ok(())
    }
}
