//! Following a trainer: its log becomes the records of steps that lancer's own trainer gives.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::Path,
};

use lancer_prefer::{EvaluationRecord, PreferenceMetrics, Prepared, StepRecord, TrainingObserver};

use crate::log::{Lines, Numbers, numbers};

/// What the examples of the steps amount to; a trainer's log does not say it.
#[derive(Debug)]
pub(crate) struct Amounts {
    /// Of each step: examples, tokens, tokens that are trained on.
    steps: Vec<(usize, u64, u64)>,
    held_out: (usize, u64),
    has_pairs: bool,
}

impl Amounts {
    /// Of the steps that a trainer cuts from the order of the examples.
    pub(crate) fn new(prepared: &Prepared, order: &[usize], batch: usize, has_pairs: bool) -> Self {
        let of = |places: &[usize]| {
            let examples = places.iter().map(|&place| &prepared.train[place]);
            let (tokens, targets) = examples.fold((0, 0), |(tokens, targets), example| {
                (tokens + example.tokens() as u64, targets + example.targets() as u64)
            });
            (places.len(), tokens, targets)
        };
        let held_out = prepared.held_out.iter().map(|example| example.targets() as u64).sum();
        Self {
            steps: order.chunks(batch).map(of).collect(),
            held_out: (prepared.held_out.len(), held_out),
            has_pairs,
        }
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.len() as u64
    }
}

/// What was read of a training so far.
#[derive(Debug)]
pub(crate) struct Followed<'a> {
    amounts: &'a Amounts,
    /// Steps made, those before a resume included.
    pub(crate) made: u64,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) evaluations: Vec<EvaluationRecord>,
}

impl<'a> Followed<'a> {
    /// A training that goes on after so many steps.
    pub(crate) fn after(amounts: &'a Amounts, made: u64) -> Self {
        Self { amounts, made, steps: Vec::new(), evaluations: Vec::new() }
    }

    /// Takes a line of the log.
    pub(crate) fn line(&mut self, line: &str, observer: &mut dyn TrainingObserver) -> ControlFlow<()> {
        let Some(numbers) = numbers(line) else { return ControlFlow::Continue(()) };
        // What says its step itself is believed; transformers' lines do not say it, and come one a step.
        let step = numbers.get("step").map(|&step| step as u64);
        if numbers.contains_key("loss") {
            let step = step.unwrap_or(self.made + 1);
            self.made = self.made.max(step);
            let Some(record) = self.step_record(step, &numbers) else { return ControlFlow::Continue(()) };
            let flow = observer.stepped(&record);
            self.steps.push(record);
            return flow;
        }
        let Some(record) = self.evaluation_record(step.unwrap_or(self.made), &numbers) else {
            return ControlFlow::Continue(());
        };
        let flow = observer.evaluated(&record);
        self.evaluations.push(record);
        flow
    }

    /// Takes the exact numbers of a checkpoint, which replace those of the log.
    pub(crate) fn history(&mut self, history: &[(u64, Numbers)], observer: &mut dyn TrainingObserver) {
        for (step, numbers) in history {
            if let Some(record) = self.step_record(*step, numbers) {
                observer.step_corrected(&record);
                match self.steps.iter_mut().find(|told| told.step == *step) {
                    Some(told) => *told = record,
                    // An earlier start of lancer was told it.
                    None => self.steps.push(record),
                }
            } else if let Some(record) = self.evaluation_record(*step, numbers) {
                observer.evaluation_corrected(&record);
                match self.evaluations.iter_mut().find(|told| told.step == *step) {
                    Some(told) => *told = record,
                    None => self.evaluations.push(record),
                }
            }
        }
        self.steps.sort_by_key(|record| record.step);
        self.evaluations.sort_by_key(|record| record.step);
    }

    /// The record of a step; none where it is not one of the plan, or has numbers that no table can hold.
    fn step_record(&self, step: u64, numbers: &Numbers) -> Option<StepRecord> {
        let loss = *numbers.get("loss")?;
        let &(examples, tokens, target_tokens) = self.amounts.steps.get(step.checked_sub(1)? as usize)?;
        let record = StepRecord {
            step,
            loss,
            learning_rate: of(numbers, &["learning_rate", "lr"]).unwrap_or(0.0),
            gradient_norm: of(numbers, &["grad_norm"]).unwrap_or(0.0),
            examples,
            tokens,
            target_tokens,
            preference: self.metrics(numbers, ""),
        };
        (loss.is_finite() && record.gradient_norm.is_finite()).then_some(record)
    }

    fn evaluation_record(&self, step: u64, numbers: &Numbers) -> Option<EvaluationRecord> {
        let loss = *numbers.get("eval_loss")?;
        let (examples, target_tokens) = self.amounts.held_out;
        let preference = self.metrics(numbers, "eval_");
        loss.is_finite().then_some(EvaluationRecord { step, loss, examples, target_tokens, preference })
    }

    fn metrics(&self, numbers: &Numbers, before: &str) -> Option<PreferenceMetrics> {
        let get = |name: &str| numbers.get(&format!("{before}{name}")).copied();
        let (chosen, rejected) = (get("rewards/chosen")?, get("rewards/rejected")?);
        self.amounts.has_pairs.then(|| PreferenceMetrics {
            chosen_reward: chosen,
            rejected_reward: rejected,
            reward_margin: get("rewards/margins").unwrap_or(chosen - rejected),
            accuracy: get("rewards/accuracies").unwrap_or(0.0),
            chosen_log_prob: get("logps/chosen").unwrap_or(0.0),
            rejected_log_prob: get("logps/rejected").unwrap_or(0.0),
        })
    }
}

fn of(numbers: &Numbers, names: &[&str]) -> Option<f64> {
    names.iter().find_map(|&name| numbers.get(name).copied())
}

/// Reads what is appended to a file.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    at: u64,
    lines: Lines,
}

impl Tail {
    /// From a place in the file on.
    pub(crate) fn from(at: u64) -> Self {
        Self { at, lines: Lines::default() }
    }

    /// The lines that were finished since the last call. A file that is not there yet has none.
    pub(crate) fn read(&mut self, path: &Path) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.at))?;
            file.read_to_end(&mut bytes)
        });
        // What cannot be read now is read the next time.
        self.at += read.unwrap_or(0) as u64;
        self.lines.push(&bytes)
    }
}
