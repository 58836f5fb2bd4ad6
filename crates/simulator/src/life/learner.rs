//! A learner that is small enough to be saved and loaded hundreds of times a second.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    rc::Rc,
};

use lancer_backend::{
    Conversation, Learner, LearnerError, StepReport, StepSettings, TokenId, TrainedTurns, TrainingSequence,
    WeightFormat, check_weights,
};

use super::faults::{Engine, EnginePoint};

/// Bytes are told apart by their remainder, so that the table is small.
const LETTERS: u32 = 31;
const END: TokenId = TokenId(LETTERS);
const VOCABULARY: usize = LETTERS as usize + 1;
const SIZE: usize = VOCABULARY * VOCABULARY;
const CONTEXT: usize = 16_384;

/// Responses that begin so have log-probabilities that are no numbers, for a learner that is spoiled.
const SPOILED: &str = "Tell river";

/// The files of a checkpoint; an exported folder has the first alone.
const WEIGHTS: &str = "weights.bin";
const OPTIMIZER: &str = "optimizer.bin";

/// A model that is one table of logits: the next letter by the last one. Its arithmetic is the same on every machine.
pub(super) struct TinyLearner {
    engine: Rc<Engine>,
    is_spoiled: bool,
    weights: Vec<f32>,
    first_moment: Vec<f64>,
    second_moment: Vec<f64>,
    steps: u64,
    gradient: Vec<f64>,
    batch: Option<Vec<TrainingSequence>>,
}

impl TinyLearner {
    /// The weights of a model that has not learnt anything.
    pub(super) fn first_weights() -> Vec<u8> {
        (0..SIZE).flat_map(|place| ((place % 7) as f32 * 0.01).to_le_bytes()).collect()
    }

    /// A model from a file, or from a folder that [`Learner::export`] wrote.
    pub(super) fn load(path: &Path, engine: Rc<Engine>, is_spoiled: bool) -> Result<Self, LearnerError> {
        let failed = |source| LearnerError::Load { path: path.into(), source };
        let file = if path.is_dir() { path.join(WEIGHTS) } else { path.to_path_buf() };
        let bytes = fs::read(file).map_err(|error| failed(error.into()))?;
        let weights = numbers(&bytes, f32::from_le_bytes);
        if weights.len() != SIZE || bytes.len() != SIZE * 4 {
            return Err(failed(format!("it has {} bytes in place of {}", bytes.len(), SIZE * 4).into()));
        }
        Ok(Self {
            engine,
            is_spoiled,
            weights,
            first_moment: vec![0.0; SIZE],
            second_moment: vec![0.0; SIZE],
            steps: 0,
            gradient: vec![0.0; SIZE],
            batch: None,
        })
    }

    fn row(&self, last: TokenId) -> &[f32] {
        let start = last.0 as usize * VOCABULARY;
        &self.weights[start..start + VOCABULARY]
    }

    fn weights_as_bytes(&self) -> Vec<u8> {
        self.weights.iter().flat_map(|weight| weight.to_le_bytes()).collect()
    }

    fn gradient_length(&self) -> f64 {
        self.gradient.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    fn forget_gradient(&mut self) {
        self.gradient.fill(0.0);
        self.batch = None;
    }
}

fn letters(text: &str) -> Vec<TokenId> {
    text.bytes().map(|byte| TokenId(u32::from(byte) % LETTERS)).collect()
}

/// The numbers that bytes hold one after the other.
fn numbers<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).filter_map(|chunk| Some(read(chunk.try_into().ok()?))).collect()
}

fn log_sum_exp(values: &[f32]) -> f32 {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    most + values.iter().map(|value| (value - most).exp()).sum::<f32>().ln()
}

/// The last letter before each target, and the target.
fn transitions(sequence: &TrainingSequence) -> impl Iterator<Item = (TokenId, TokenId)> {
    sequence.target_places().map(|place| (sequence.tokens[place - 1], sequence.tokens[place]))
}

impl Learner for TinyLearner {
    fn context_length(&self) -> usize {
        CONTEXT
    }

    fn encode(&self, chat: &Conversation, _: TrainedTurns) -> Result<TrainingSequence, LearnerError> {
        let mut tokens: Vec<TokenId> =
            chat.prompt().iter().flat_map(|message| letters(&message.content)).collect();
        tokens.push(END);
        let prompt_length = tokens.len();
        tokens.extend(chat.response().into_iter().flat_map(|message| letters(&message.content)));
        tokens.push(END);
        Ok(TrainingSequence::after_prompt(tokens, prompt_length))
    }

    fn log_probs(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        for (index, sequence) in batch.iter().enumerate() {
            sequence.validate(index, VOCABULARY, CONTEXT)?;
        }
        let log_prob = |(last, next): (TokenId, TokenId)| {
            let row = self.row(last);
            row[next.0 as usize] - log_sum_exp(row)
        };
        let mut log_probs: Vec<Vec<f32>> =
            batch.iter().map(|sequence| transitions(sequence).map(log_prob).collect()).collect();
        if self.is_spoiled {
            for (sequence, log_probs) in batch.iter().zip(&mut log_probs) {
                if sequence.targets().take(SPOILED.len()).eq(letters(SPOILED)) {
                    log_probs[0] = f32::NAN;
                }
            }
        }
        Ok(log_probs)
    }

    fn forward(&mut self, batch: &[TrainingSequence]) -> Result<Vec<Vec<f32>>, LearnerError> {
        let log_probs = self.log_probs(batch)?;
        if self.engine.at(EnginePoint::Forward, &format!("after step {}", self.steps)).is_some() {
            return Err(LearnerError::InvalidBackward("the engine is out of memory".into()));
        }
        self.batch = Some(batch.to_vec());
        Ok(log_probs)
    }

    fn backward(&mut self, weights: &[Vec<f32>]) -> Result<(), LearnerError> {
        let batch = self
            .batch
            .take()
            .ok_or_else(|| LearnerError::InvalidBackward("no forward pass came before".into()))?;
        check_weights(&batch, weights)?;
        for (sequence, weights) in batch.iter().zip(weights) {
            for ((last, next), &weight) in transitions(sequence).zip(weights) {
                let normaliser = log_sum_exp(self.row(last));
                let start = last.0 as usize * VOCABULARY;
                for token in 0..VOCABULARY {
                    let probability = f64::from(self.weights[start + token] - normaliser).exp();
                    let chosen = f64::from(u8::from(token == next.0 as usize));
                    self.gradient[start + token] += f64::from(weight) * (chosen - probability);
                }
            }
        }
        Ok(())
    }

    fn gradient_norm(&mut self) -> Result<f64, LearnerError> {
        Ok(self.gradient_length())
    }

    fn clear_gradient(&mut self) {
        self.forget_gradient();
    }

    fn step(&mut self, settings: &StepSettings) -> Result<StepReport, LearnerError> {
        let norm = self.gradient_length();
        if !norm.is_finite() {
            self.forget_gradient();
            return Err(LearnerError::NotFinite { step: self.steps + 1 });
        }
        let scale = settings.max_gradient_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0));
        self.steps += 1;
        let correction_1 = 1.0 - settings.beta_1.powi(self.steps as i32);
        let correction_2 = 1.0 - settings.beta_2.powi(self.steps as i32);
        for place in 0..SIZE {
            let gradient = self.gradient[place] * scale;
            let first = &mut self.first_moment[place];
            let second = &mut self.second_moment[place];
            *first = settings.beta_1 * *first + (1.0 - settings.beta_1) * gradient;
            *second = settings.beta_2 * *second + (1.0 - settings.beta_2) * gradient * gradient;
            let update = (*first / correction_1) / ((*second / correction_2).sqrt() + settings.epsilon);
            let weight = f64::from(self.weights[place]);
            let decayed = weight * (1.0 - settings.learning_rate * settings.weight_decay);
            self.weights[place] = (decayed - settings.learning_rate * update) as f32;
        }
        self.gradient.fill(0.0);
        self.engine.at(EnginePoint::Step, &self.steps.to_string());
        Ok(StepReport { step: self.steps, gradient_norm: norm })
    }

    fn save_checkpoint(&self, folder: &Path) -> Result<(), LearnerError> {
        let fault = self.engine.at(EnginePoint::Checkpoint, &self.steps.to_string());
        let unfinished = beside(folder);
        let moments = self.first_moment.iter().chain(&self.second_moment);
        let optimizer: Vec<u8> = self
            .steps
            .to_le_bytes()
            .into_iter()
            .chain(moments.flat_map(|moment| moment.to_le_bytes()))
            .collect();
        let write = || {
            remove(&unfinished)?;
            fs::create_dir_all(&unfinished)?;
            write(&unfinished.join(WEIGHTS), &self.weights_as_bytes())?;
            if fault.is_some() {
                return Err(io::Error::other("the engine is out of memory"));
            }
            write(&unfinished.join(OPTIMIZER), &optimizer)?;
            remove(folder)?;
            fs::rename(&unfinished, folder)
        };
        write().map_err(|error| checkpoint(folder, "cannot write it", error))
    }

    fn load_checkpoint(&mut self, folder: &Path) -> Result<(), LearnerError> {
        let read = |name: &str| {
            fs::read(folder.join(name)).map_err(|error| checkpoint(folder, "cannot read it", error))
        };
        let weights = numbers(&read(WEIGHTS)?, f32::from_le_bytes);
        let optimizer = read(OPTIMIZER)?;
        let moments = numbers(optimizer.get(8..).unwrap_or_default(), f64::from_le_bytes);
        let steps = numbers(&optimizer, u64::from_le_bytes);
        let (Some(&steps), true, true) = (steps.first(), weights.len() == SIZE, moments.len() == 2 * SIZE)
        else {
            let error = io::Error::other("a file of it is cut off");
            return Err(checkpoint(folder, "cannot read it", error));
        };
        self.weights = weights;
        self.first_moment = moments[..SIZE].to_vec();
        self.second_moment = moments[SIZE..].to_vec();
        self.steps = steps;
        self.forget_gradient();
        Ok(())
    }

    fn export(&self, path: &Path, _: WeightFormat) -> Result<(), LearnerError> {
        let failed = |source| LearnerError::Export { path: path.into(), source };
        let fault = self.engine.at(EnginePoint::Export, &path.display().to_string());
        let bytes = self.weights_as_bytes();
        let is_file = path.extension().is_some_and(|ending| ending == "gguf");
        // In its place, for whoever asks for a model sees to it that a part is not taken for the whole.
        let export = || {
            let file = if is_file {
                path.to_path_buf()
            } else {
                fs::create_dir_all(path)?;
                path.join(WEIGHTS)
            };
            if fault.is_some() {
                write(&file, &bytes[..bytes.len() / 3])?;
                return Err(io::Error::other("the engine is out of memory"));
            }
            write(&file, &bytes)
        };
        export().map_err(|error| failed(error.into()))
    }
}

/// The name under which a file or a folder is written before it is whole.
fn beside(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.unfinished", path.display()))
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        Ok(())
    }
}

/// Writes a file and has it on the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn checkpoint(folder: &Path, action: &str, error: io::Error) -> LearnerError {
    LearnerError::Checkpoint { path: folder.into(), action: action.into(), source: error.into() }
}
