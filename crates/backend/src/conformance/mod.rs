//! The suite that every engine passes.
//!
//! An engine's tests call each [`Case`] of [`BACKEND`] with an engine that has loaded a small model, each of
//! [`LEARNER`] with a function that loads one afresh, [`backends_agree`] and [`learner_agrees`] where two engines have the
//! same weights, [`difference_of_scores`] and [`greedy_is_the_same`] with what another program has said of the
//! model, and, where prompts are shared and samples written side by side, [`common_beginnings_are_read_once`] and
//! [`samples_are_replaced_at_once`]. A case panics with what it expected and what it found.
//!
//! ```
//! use lancer_backend::{conformance, scripted::ScriptedBackend};
//!
//! let mut engine = ScriptedBackend::new(|prompt, seed| format!("Answer {} to {} characters.", seed.0 % 1000, prompt.len()));
//! for case in conformance::BACKEND {
//!     (case.run)(&mut engine);
//! }
//! ```

mod agreement;
mod backend;
mod learner;
mod penalties;
mod reference;
mod scheduling;
mod tiny;

pub use agreement::{backends_agree, greedy_agrees, learner_agrees};
pub use backend::BACKEND;
pub use learner::LEARNER;
pub use penalties::penalties_are_obeyed;
pub use reference::{Reference, difference_of_scores, greedy_is_the_same};
pub use scheduling::{common_beginnings_are_read_once, samples_are_replaced_at_once};
pub use tiny::{TINY_MODELS, variants};

/// One requirement and how it is tested.
#[derive(Debug, Clone, Copy)]
pub struct Case<Run> {
    /// What is required, in a few words.
    pub name: &'static str,
    /// Tests it; panics where it does not hold.
    pub run: Run,
}

/// Two log-probabilities from the same weights may differ by this much within one engine: what else is in the batch
/// changes the order of sums, and so the rounding.
pub const TOLERANCE: f32 = 1e-3;

fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(
        found.len(),
        expected.len(),
        "{what}: {} log-probabilities, expected {}",
        found.len(),
        expected.len()
    );
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance,
            "{what}: log-probability {place} is {found}, expected {expected} within {tolerance}"
        );
    }
}
