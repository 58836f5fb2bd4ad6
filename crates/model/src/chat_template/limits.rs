//! Bounds on what a template may do: it comes from the internet, and may not hang or fill the memory.

use minijinja::Environment;

/// Instructions of one rendering. The longest template known takes some hundred for each message.
const STEPS: u64 = 20_000_000;

/// Calls and blocks within each other.
const DEPTH: usize = 100;

pub(super) fn set(environment: &mut Environment<'_>) {
    environment.set_fuel(Some(STEPS));
    environment.set_recursion_limit(DEPTH);
}
