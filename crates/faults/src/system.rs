//! Linux on `x86_64`: system calls are handed to a handler within the program.

mod call;
mod clock;
mod filter;
mod handler;
mod raw;
mod signals;
mod state;

pub use clock::advance;
pub use signals::{asked_to_stop, raise, watch_signals};

use std::{env, sync::Once};

use crate::{Plan, VARIABLE};

/// Whether faults can be injected here.
pub const IS_SUPPORTED: bool = true;

/// Installs the plan of the environment; nothing where there is none. Only the first call does anything.
///
/// It is called before the program has threads and works on files.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let Ok(text) = env::var(VARIABLE) else { return };
        match text.parse::<Plan>() {
            Ok(plan) => {
                state::set(&plan);
                handler::install();
            }
            Err(error) => {
                eprintln!("error: {error}");
                std::process::exit(2);
            }
        }
    });
}

/// Installs the plan in a program into which this library is loaded.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = {
    extern "C" fn at_start() {
        install();
    }
    at_start
};
