//! Which examples make a loss or a gradient that is not finite, and whether it is the weights instead.

use lancer_backend::Learner;

use crate::{
    batch_loss::{Derivatives, Item, Objective, losses, sequences, totals},
    error::TrainingError,
    record::Tally,
    run::Run,
    set_aside::{SetAside, SetAsideReason},
};

/// How many other examples are asked whether the weights are to blame.
const PROBES: usize = 8;

impl Run<'_> {
    /// Sets aside the examples of a batch with which step `step` could not be made: at least one.
    ///
    /// # Errors
    /// [`TrainingError::Diverged`] where no example has a finite loss any more, in the batch or out of it.
    pub(crate) fn set_culprits_aside(
        &mut self,
        batch: &[usize],
        step: u64,
    ) -> Result<Vec<SetAside>, TrainingError> {
        let mut found = Vec::new();
        for &place in batch {
            if let Some(reason) = self.alone(place)? {
                found.push((place, reason));
            }
        }
        if found.is_empty() {
            found.extend(batch.iter().map(|&place| (place, SetAsideReason::SharedGradient)));
        } else if found.len() == batch.len() && self.has_stepped {
            let others: Vec<usize> = (0..self.train.len())
                .filter(|place| !batch.contains(place) && !self.train[*place].is_aside)
                .take(PROBES)
                .collect();
            if !self.has_finite_loss(&others)? {
                return Err(TrainingError::Diverged { step: step - 1 });
            }
        }
        let mut set_aside = Vec::new();
        for (place, reason) in found {
            let item = &mut self.train[place];
            item.is_aside = true;
            set_aside.push(SetAside { key: item.key.clone(), step, reason });
        }
        self.set_aside.extend(set_aside.iter().cloned());
        Ok(set_aside)
    }

    /// Sets aside the held-out examples whose loss is not finite after `made` steps; none where that is all of them because
    /// the weights are to blame.
    pub(crate) fn set_held_out_aside(&mut self, made: u64) -> Result<Vec<SetAside>, TrainingError> {
        let mut found = Vec::new();
        let mut left = 0;
        for place in 0..self.held_out.len() {
            let item = &self.held_out[place];
            if item.is_aside {
                continue;
            }
            left += 1;
            if !is_finite(self.learner, &self.objective, item)? {
                found.push(place);
            }
        }
        if found.len() == left && self.has_stepped {
            return Ok(Vec::new());
        }
        let mut set_aside = Vec::new();
        for place in found {
            let item = &mut self.held_out[place];
            item.is_aside = true;
            set_aside.push(SetAside { key: item.key.clone(), step: made, reason: SetAsideReason::Loss });
        }
        self.set_aside.extend(set_aside.iter().cloned());
        Ok(set_aside)
    }

    /// Checks after the last step that the weights still give a finite loss.
    pub(crate) fn check_weights(&mut self, made: u64) -> Result<(), TrainingError> {
        let some: Vec<usize> =
            (0..self.train.len()).filter(|&place| !self.train[place].is_aside).take(PROBES).collect();
        if some.is_empty() || self.has_finite_loss(&some)? {
            Ok(())
        } else {
            Err(TrainingError::Diverged { step: made })
        }
    }

    /// Whether one of these examples has a finite loss.
    fn has_finite_loss(&mut self, places: &[usize]) -> Result<bool, TrainingError> {
        for &place in places {
            if is_finite(self.learner, &self.objective, &self.train[place])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why an example by itself cannot be trained on. The gradient is zero afterwards.
    fn alone(&mut self, place: usize) -> Result<Option<SetAsideReason>, TrainingError> {
        let items = [&self.train[place]];
        let totals = totals(self.learner, &self.objective, &items)?;
        let sequences = sequences(&items);
        let log_probs = self.learner.forward(&sequences).map_err(TrainingError::learner("a forward pass"))?;
        let found = match losses(&totals, &items, &log_probs, &mut Tally::default())? {
            Derivatives::NotFinite => Some(SetAsideReason::Loss),
            Derivatives::Finite(derivatives) => {
                let weights: Vec<Vec<f32>> = sequences
                    .iter()
                    .zip(derivatives)
                    .map(|(sequence, derivative)| vec![derivative as f32; sequence.target_count()])
                    .collect();
                self.learner.backward(&weights).map_err(TrainingError::learner("a backward pass"))?;
                let norm =
                    self.learner.gradient_norm().map_err(TrainingError::learner("measuring a gradient"))?;
                (!norm.is_finite()).then_some(SetAsideReason::Gradient)
            }
        };
        self.learner.clear_gradient();
        Ok(found)
    }
}

/// Whether the loss of an example by itself is finite.
fn is_finite(learner: &mut dyn Learner, objective: &Objective, item: &Item) -> Result<bool, TrainingError> {
    let items = [item];
    let totals = totals(learner, objective, &items)?;
    let log_probs =
        learner.log_probs(&sequences(&items)).map_err(TrainingError::learner("looking for finite losses"))?;
    let derivatives = losses(&totals, &items, &log_probs, &mut Tally::default())?;
    Ok(matches!(derivatives, Derivatives::Finite(_)))
}
