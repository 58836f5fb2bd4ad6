//! What a run tells about itself: its plan, a record for each step and evaluation, and how it ended.

use serde::{Deserialize, Serialize};

use crate::{
    loss::{PairLogProb, PreferenceLoss},
    set_aside::SetAside,
};

/// Why an example is not trained on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum SkipReason {
    /// It is longer than the longest sequence allowed.
    #[error("its {tokens} tokens are more than the {limit} allowed")]
    TooLong {
        /// Its tokens, prompt and response; of a pair, the longer side's.
        tokens: usize,
        /// How many were allowed.
        limit: usize,
    },
    /// Its prompt alone leaves no room for a response.
    #[error("its prompt of {tokens} tokens leaves no room for a response within the {limit} allowed")]
    PromptTooLong {
        /// The prompt's tokens.
        tokens: usize,
        /// How many were allowed for both.
        limit: usize,
    },
    /// Both sides of a pair are the same tokens, so there is nothing to prefer.
    #[error("its two sides are the same")]
    SameSides,
    /// The model's chat template refuses it.
    #[error("{said}")]
    Refused {
        /// In the template's words.
        said: String,
    },
    /// Its weight is 0.
    #[error("its weight is 0")]
    NoWeight,
}

/// An example that is not trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The example's key.
    pub key: String,
    /// Why.
    #[serde(flatten)]
    pub reason: SkipReason,
}

/// What a run is going to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingPlan {
    /// Optimizer steps of the whole run.
    pub steps: u64,
    /// Steps made before, where the run is resumed.
    pub done: u64,
    /// Examples that are trained on.
    pub examples: usize,
    /// Examples that are held out.
    pub held_out: usize,
    /// Tokens of all training examples, prompts included.
    pub tokens: u64,
    /// Examples of both sets that are left out, and why.
    pub skipped: Vec<Skipped>,
    /// Keys of the examples of both sets whose responses were cut at the end.
    pub truncated: Vec<String>,
    /// What the loss lacks in these examples, and what is done about it.
    pub notes: Vec<String>,
}

/// Means over the pairs of a step or of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PreferenceMetrics {
    /// Implicit reward of the chosen responses, see [`PreferenceLoss::rewards`].
    pub chosen_reward: f64,
    /// Implicit reward of the rejected responses.
    pub rejected_reward: f64,
    /// Chosen less rejected reward.
    pub reward_margin: f64,
    /// The part of the pairs in which the chosen reward is the larger, 0 to 1.
    pub accuracy: f64,
    /// Log-probability of a chosen response, the sum over its tokens.
    pub chosen_log_prob: f64,
    /// Log-probability of a rejected response, the sum over its tokens.
    pub rejected_log_prob: f64,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's number in the run, from 1. A step all of whose examples are set aside is not made and has no record.
    pub step: u64,
    /// The batch's loss before the step.
    pub loss: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Examples of the step.
    pub examples: usize,
    /// Their tokens, prompts and both sides of pairs included.
    pub tokens: u64,
    /// The tokens that were trained on, the responses'.
    pub target_tokens: u64,
    /// For preference training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceMetrics>,
}

/// An example of a step, and what it contributed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepExample {
    /// The example's key.
    pub key: String,
    /// Before the step: for fine-tuning nats a token of the response, for preference training the pair's own loss.
    pub loss: f64,
    /// For preference training: chosen less rejected implicit reward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

/// The held-out examples after some step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Steps made until then.
    pub step: u64,
    /// Loss of all held-out examples as one batch.
    pub loss: f64,
    /// Examples.
    pub examples: usize,
    /// The responses' tokens.
    pub target_tokens: u64,
    /// For preference training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<PreferenceMetrics>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All steps were made.
    Finished,
    /// The observer ended it. Where the run has a folder for checkpoints, at least one step was made and the observer could
    /// store what was reported, there is one of this step.
    Interrupted {
        /// Steps made, those before a resume included.
        step: u64,
    },
}

/// What a run did, from where it was started or resumed.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingReport {
    /// What it was going to do.
    pub plan: TrainingPlan,
    /// The steps it made.
    pub steps: Vec<StepRecord>,
    /// The evaluations it made.
    pub evaluations: Vec<EvaluationRecord>,
    /// The examples that are set aside, those before a resume included.
    pub set_aside: Vec<SetAside>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Sums over the micro-batches of a step, of which the records are made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) loss: f64,
    pub(crate) tokens: u64,
    pub(crate) target_tokens: u64,
    pairs: usize,
    correct: usize,
    chosen_reward: f64,
    rejected_reward: f64,
    chosen_log_prob: f64,
    rejected_log_prob: f64,
}

impl Tally {
    pub(crate) fn add_pair(&mut self, loss: &PreferenceLoss, policy: PairLogProb, reference: PairLogProb) {
        let (chosen, rejected) = loss.rewards(policy, reference);
        self.pairs += 1;
        self.correct += usize::from(chosen > rejected);
        self.chosen_reward += chosen;
        self.rejected_reward += rejected;
        self.chosen_log_prob += policy.chosen.sum;
        self.rejected_log_prob += policy.rejected.sum;
    }

    /// `None` where no pair was added.
    pub(crate) fn preference(&self) -> Option<PreferenceMetrics> {
        let pairs = self.pairs as f64;
        (self.pairs > 0).then(|| PreferenceMetrics {
            chosen_reward: self.chosen_reward / pairs,
            rejected_reward: self.rejected_reward / pairs,
            reward_margin: (self.chosen_reward - self.rejected_reward) / pairs,
            accuracy: self.correct as f64 / pairs,
            chosen_log_prob: self.chosen_log_prob / pairs,
            rejected_log_prob: self.rejected_log_prob / pairs,
        })
    }
}
