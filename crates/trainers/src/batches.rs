//! The order of the examples in the data, and how a batch is divided among processes and passes.

use lancer_prefer::{BatchSize, Prepared, TrainSettings};

use crate::{
    error::TrainerError,
    settings::{JobSettings, Trainer},
};

/// How a batch is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Division {
    /// Examples of an optimizer step.
    pub(crate) batch: usize,
    /// Examples of one process in one pass.
    pub(crate) device_batch: usize,
    /// Passes of an optimizer step.
    pub(crate) passes: usize,
}

impl Division {
    /// Divides the recipe's batch. `sides` is the number of sequences of an example.
    pub(crate) fn of(
        trainer: Trainer,
        settings: &TrainSettings,
        job: &JobSettings,
        sides: usize,
    ) -> Result<Self, TrainerError> {
        let BatchSize::Examples(batch) = settings.batch else {
            return Err(TrainerError::setting(
                "train.batch",
                format!("{trainer} counts examples, not tokens; set `train.batch = {{ examples = N }}`"),
            ));
        };
        if job.processes == 0 {
            return Err(TrainerError::setting("job.processes", "it is 0; it must be at least 1"));
        }
        if !batch.is_multiple_of(job.processes) {
            return Err(TrainerError::setting(
                "train.batch",
                format!(
                    "its {batch} examples cannot be divided among {} processes (job.processes); take a multiple of them",
                    job.processes
                ),
            ));
        }
        let share = batch / job.processes;
        let room = settings.tokens_per_forward / (settings.max_length * sides).max(1);
        let device_batch = match job.device_batch {
            Some(given) if given == 0 || !share.is_multiple_of(given) => {
                return Err(TrainerError::setting(
                    "job.device_batch",
                    format!(
                        "it is {given}, which does not divide the {share} examples that a process has of a batch"
                    ),
                ));
            }
            Some(given) => given,
            None => (1..=share).rev().find(|size| share.is_multiple_of(*size) && *size <= room).unwrap_or(1),
        };
        Ok(Self { batch, device_batch, passes: share / device_batch })
    }
}

/// The places of the examples in the order in which the trainer is to see them: those of lancer's own steps, each of them whole,
/// epoch after epoch. The last step of an epoch, which may have fewer examples, comes after all whole ones, since a trainer cuts
/// batches by counting.
pub(crate) fn order(prepared: &Prepared, batch: usize) -> Vec<usize> {
    let (whole, short): (Vec<_>, Vec<_>) = prepared.steps.iter().partition(|step| step.len() == batch);
    whole.into_iter().chain(short).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use lancer_prefer::{BatchSize, TrainSettings};

    use super::Division;
    use crate::settings::{JobSettings, Trainer};

    fn divided(batch: usize, processes: usize, device_batch: Option<usize>) -> Result<Division, String> {
        let settings = TrainSettings {
            batch: BatchSize::Examples(batch),
            max_length: 512,
            tokens_per_forward: 2048,
            ..TrainSettings::default()
        };
        let job = JobSettings { processes, device_batch, ..JobSettings::default() };
        Division::of(Trainer::Trl, &settings, &job, 2).map_err(|error| error.to_string())
    }

    #[test]
    fn a_batch_is_divided_evenly_or_refused() {
        assert_eq!(divided(16, 1, None), Ok(Division { batch: 16, device_batch: 2, passes: 8 }));
        assert_eq!(divided(16, 8, None), Ok(Division { batch: 16, device_batch: 2, passes: 1 }));
        assert_eq!(divided(15, 1, None), Ok(Division { batch: 15, device_batch: 1, passes: 15 }));
        assert_eq!(divided(16, 2, Some(4)), Ok(Division { batch: 16, device_batch: 4, passes: 2 }));
        for (batch, processes, device_batch, named) in [
            (16, 3, None, "train.batch"),
            (16, 0, None, "job.processes"),
            (16, 2, Some(3), "job.device_batch"),
        ] {
            let error = divided(batch, processes, device_batch).unwrap_err();
            assert!(error.starts_with(named), "{error}");
        }
    }
}
