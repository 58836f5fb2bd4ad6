//! A learner small enough to check by hand: the next byte depends on the last one alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{CONTEXT_LENGTH, END_OF_TURN, VOCABULARY, bytes, turn};
use crate::{
    Conversation, Learner, LearnerError, Role, StepReport, StepSettings, TokenId, TrainedTurns,
    TrainingSequence, WeightFormat, softmax::log_sum_exp,
};

/// A learner whose model is one table `[vocabulary, vocabulary]` of logits: the next token by the last one.
///
/// Its gradient is exact and its arithmetic the same on every machine, so tests of training loops can compare weights.
#[derive(Debug, Clone)]
pub struct ScriptedLearner {
    state: State,
    gradient: Vec<f64>,
    batch: Option<Vec<TrainingSequence>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    step: u64,
    logits: Vec<f32>,
    first_moment: Vec<f64>,
    second_moment: Vec<f64>,
}

const SIZE: usize = VOCABULARY * VOCABULARY;

/// The state's file within a checkpoint or an exported folder.
const FILE: &str = "bigram.json";

impl Default for ScriptedLearner {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedLearner {
    /// A model to which all tokens are equally probable.
    pub fn new() -> Self {
        let state = State {
            step: 0,
            logits: vec![0.0; SIZE],
            first_moment: vec![0.0; SIZE],
            second_moment: vec![0.0; SIZE],
        };
        Self { state, gradient: vec![0.0; SIZE], batch: None }
    }

    /// The model that [`Learner::export`] wrote to `path`, with a fresh optimizer; a path without one gives a new model.
    pub fn load(path: &Path) -> Result<Self, LearnerError> {
        if !path.exists() {
            return Ok(Self::new());
        }
        let file = if path.is_dir() { path.join(FILE) } else { path.to_path_buf() };
        let text = fs::read_to_string(file)
            .map_err(|source| LearnerError::Load { path: path.into(), source: source.into() })?;
        let logits = serde_json::from_str(&text)
            .map_err(|source| LearnerError::Load { path: path.into(), source: source.into() })?;
        let mut learner = Self::new();
        learner.state.logits = logits;
        Ok(learner)
    }

    /// The logits, `[vocabulary, vocabulary]`, the last token's rows.
    pub fn logits(&self) -> &[f32] {
        &self.state.logits
    }

    fn row(&self, last: TokenId) -> &[f32] {
        let start = last.0 as usize * VOCABULARY;
        &self.state.logits[start..start + VOCABULARY]
    }
}

impl Learner for ScriptedLearner {
    fn context_length(&self) -> usize {
        CONTEXT_LENGTH
    }

    fn encode(&self, chat: &Conversation, turns: TrainedTurns) -> Result<TrainingSequence, LearnerError> {
        let (mut tokens, mut trained) = (Vec::new(), Vec::new());
        for (place, message) in chat.messages.iter().enumerate() {
            tokens.extend(bytes(&format!("{}: ", message.role.as_str())));
            let start = tokens.len();
            tokens.extend(bytes(&turn(message)));
            let is_last = place + 1 == chat.messages.len();
            tokens.push(if is_last { END_OF_TURN } else { TokenId(u32::from(b'\n')) });
            if message.role == Role::Assistant && (is_last || turns == TrainedTurns::All) {
                trained.push(start..tokens.len());
            }
        }
        Ok(TrainingSequence { tokens, trained })
    }

    fn log_probs(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        for (index, sequence) in batch.iter().enumerate() {
            sequence.validate(index, VOCABULARY, CONTEXT_LENGTH)?;
        }
        let of_token = |last: TokenId, next: TokenId| {
            let row = self.row(last);
            row[next.0 as usize] - log_sum_exp(row)
        };
        Ok(batch
            .iter()
            .map(|sequence| {
                sequence
                    .target_places()
                    .map(|place| of_token(sequence.tokens[place - 1], sequence.tokens[place]))
                    .collect()
            })
            .collect())
    }

    fn forward(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        let log_probs = self.log_probs(batch)?;
        self.batch = Some(batch.to_vec());
        Ok(log_probs)
    }

    fn backward(&mut self, weights: &[Vec<f32>]) -> Result<(), LearnerError> {
        let batch = self
            .batch
            .take()
            .ok_or_else(|| LearnerError::InvalidBackward("no forward pass came before".into()))?;
        crate::learner::check_weights(&batch, weights)?;
        for (sequence, weights) in batch.iter().zip(weights) {
            for (place, &weight) in sequence.target_places().zip(weights) {
                let pair = [sequence.tokens[place - 1], sequence.tokens[place]];
                let normaliser = log_sum_exp(self.row(pair[0]));
                let start = pair[0].0 as usize * VOCABULARY;
                for token in 0..VOCABULARY {
                    let probability = f64::from(self.state.logits[start + token] - normaliser).exp();
                    let chosen = f64::from(u8::from(token == pair[1].0 as usize));
                    self.gradient[start + token] += f64::from(weight) * (chosen - probability);
                }
            }
        }
        Ok(())
    }

    fn gradient_norm(&mut self) -> Result<f64, LearnerError> {
        Ok(norm(&self.gradient))
    }

    fn clear_gradient(&mut self) {
        self.gradient.fill(0.0);
        self.batch = None;
    }

    fn step(&mut self, settings: &StepSettings) -> Result<StepReport, LearnerError> {
        let norm = norm(&self.gradient);
        if !norm.is_finite() {
            self.clear_gradient();
            return Err(LearnerError::NotFinite { step: self.state.step + 1 });
        }
        let state = &mut self.state;
        let scale = settings.max_gradient_norm.map_or(1.0, |max| (max / (norm + 1e-6)).min(1.0));
        state.step += 1;
        let correction_1 = 1.0 - settings.beta_1.powi(state.step as i32);
        let correction_2 = 1.0 - settings.beta_2.powi(state.step as i32);
        for (i, gradient) in self.gradient.iter_mut().enumerate() {
            let g = *gradient * scale;
            *gradient = 0.0;
            let first = &mut state.first_moment[i];
            let second = &mut state.second_moment[i];
            *first = settings.beta_1 * *first + (1.0 - settings.beta_1) * g;
            *second = settings.beta_2 * *second + (1.0 - settings.beta_2) * g * g;
            let update = (*first / correction_1) / ((*second / correction_2).sqrt() + settings.epsilon);
            let logit = f64::from(state.logits[i]);
            let decayed = logit * (1.0 - settings.learning_rate * settings.weight_decay);
            state.logits[i] = (decayed - settings.learning_rate * update) as f32;
        }
        Ok(StepReport { step: state.step, gradient_norm: norm })
    }

    fn save_checkpoint(&self, folder: &Path) -> Result<(), LearnerError> {
        let text = serde_json::to_string(&self.state).map_err(|error| checkpoint(folder, "encode", error))?;
        let unfinished = PathBuf::from(format!("{}.unfinished", folder.display()));
        let write = || {
            fs::create_dir_all(&unfinished)?;
            fs::write(unfinished.join(FILE), text)?;
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::rename(&unfinished, folder)
        };
        write().map_err(|error| checkpoint(folder, "write", error))
    }

    fn load_checkpoint(&mut self, folder: &Path) -> Result<(), LearnerError> {
        let text =
            fs::read_to_string(folder.join(FILE)).map_err(|error| checkpoint(folder, "read", error))?;
        self.state = serde_json::from_str(&text).map_err(|error| checkpoint(folder, "decode", error))?;
        self.gradient = vec![0.0; SIZE];
        self.batch = None;
        Ok(())
    }

    fn export(&self, path: &Path, _format: WeightFormat) -> Result<(), LearnerError> {
        let write = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            let text = serde_json::to_string(&self.state.logits)?;
            if path.extension().is_some_and(|ending| ending == "gguf") {
                fs::write(path, text)?;
            } else {
                fs::create_dir_all(path)?;
                fs::write(path.join(FILE), text)?;
            }
            Ok(())
        };
        write().map_err(|source| LearnerError::Export { path: path.into(), source })
    }
}

fn norm(gradient: &[f64]) -> f64 {
    gradient.iter().map(|g| g * g).sum::<f64>().sqrt()
}

fn checkpoint(
    folder: &Path,
    action: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LearnerError {
    LearnerError::Checkpoint {
        path: folder.into(),
        action: format!("cannot {action} it"),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::ScriptedLearner;
    use crate::conformance;

    #[test]
    fn conforms() {
        for case in conformance::LEARNER {
            (case.run)(&mut || Box::new(ScriptedLearner::new()));
        }
    }
}
