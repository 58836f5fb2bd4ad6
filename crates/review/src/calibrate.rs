//! Choosing and calibrating a reviewer on the run's own seeds.

use std::ops::ControlFlow;

use lancer_backend::{Backend, Seed, Usage};
use serde::{Deserialize, Serialize};

use crate::{
    Calibration, Damage, Item, Mode, ModeSetting, Review, ReviewError, ReviewSettings, ReviewSink, Reviewer,
    RubricSettings, Score, Separation, damage,
    error::require,
    likelihood::{Event, Labelled, cross_validate, measure},
    review,
    reviewable::Reviewable,
    separation::Judged,
    shown::Shown,
};

/// The reviewer of a run, and the figures behind it. To be kept with the run, so that it goes on with the same one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// The chosen reviewer.
    pub reviewer: Reviewer,
    /// How well each measured mode tells seeds from damaged seeds; the chosen one first.
    pub separations: Vec<Separation>,
}

/// How far a calibration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalibrationProgress {
    /// The mode that is being measured.
    pub mode: Mode,
    /// Pairs measured so far.
    pub reviewed: usize,
    /// Pairs to measure in this mode.
    pub total: usize,
}

/// Fewest seeds to calibrate the likelihood review on.
const FEWEST_SEEDS: usize = 4;

/// A written review on trial has no more tokens than this: enough for some sentences and the score.
const TRIAL_TOKENS: usize = 160;

/// The damage that the rubric and the expected review are tried on. Two kinds, since a written review costs so much.
const TRIAL_DAMAGE: [Damage; 2] = [Damage::Mismatched, Damage::Shuffled];

/// Calibrates the mode of the settings on `seeds`, or, for [`ModeSetting::Auto`], measures all three and takes the one
/// that tells seeds from damaged seeds best.
///
/// Seeds count as good pairs, each with another's response or its own damaged ([`Damage`]) as bad ones. The likelihood
/// review is fitted on at most `calibration_seeds` of them and its figures are cross-validated by seed. The rubric and the
/// expected review are measured on `trial_seeds`, the rubric with one short sample a pair, and only on as many pairs as it
/// takes to see that none can be read. Where there are too few seeds to fit the likelihood review, the other two are left to
/// [`ModeSetting::Auto`]. Which seeds these are depends on their keys and on `seed`, not on their order.
///
/// Seeds that are bad themselves blur the calibration; it is meant for a pool that is good for the most part.
///
/// What it took comes beside the reviewer and is no part of it: that depends on what the engine has read before.
pub fn calibrate(
    backend: &mut dyn Backend,
    seeds: &[Item],
    settings: &ReviewSettings,
    seed: Seed,
    progress: &mut dyn FnMut(CalibrationProgress) -> ControlFlow<()>,
) -> Result<(Calibrated, Usage), ReviewError> {
    settings.validate()?;
    require(settings.mode != ModeSetting::None, "mode", "none", "a mode of review where there is to be one")?;
    let seeds = choose(seeds, settings.calibration_seeds.max(settings.trial_seeds), seed);
    let mut usage = Usage::default();
    let mut measured: Vec<(Reviewer, Separation)> = Vec::new();
    let setting = settings.mode;
    if matches!(setting, ModeSetting::Auto | ModeSetting::Likelihood) {
        let seeds = &seeds[..seeds.len().min(settings.calibration_seeds)];
        match calibrate_likelihood(backend, seeds, settings.folds, seed, &mut usage, progress) {
            Ok((calibration, separation)) => measured.push((Reviewer::Likelihood(calibration), separation)),
            // The other two need no fit.
            Err(ReviewError::TooFewSeeds { .. }) if setting == ModeSetting::Auto => {}
            Err(error) => return Err(error),
        }
    }
    let trial = &seeds[..seeds.len().min(settings.trial_seeds)];
    if matches!(setting, ModeSetting::Auto | ModeSetting::Expected) {
        let reviewer = Reviewer::Expected;
        let separation = try_written(backend, &reviewer, trial, &seeds, seed, &mut usage, progress)?;
        measured.push((reviewer, separation));
    }
    if matches!(setting, ModeSetting::Auto | ModeSetting::Rubric) {
        let on_trial = RubricSettings {
            samples: 1,
            retries: 0,
            max_tokens: settings.max_tokens.min(TRIAL_TOKENS),
            ..settings.rubric()
        };
        let separation =
            try_written(backend, &Reviewer::Rubric(on_trial), trial, &seeds, seed, &mut usage, progress)?;
        measured.push((Reviewer::Rubric(settings.rubric()), separation));
    }
    // What cannot be read has an area of chance, which a mode that judges may fall below on a few seeds. Stable, and the cheapest and
    // best measured comes first: a tie does not move to a written review.
    measured.sort_by(|(_, one), (_, two)| {
        two.is_readable().cmp(&one.is_readable()).then(two.auc.total_cmp(&one.auc))
    });
    let reviewer = measured.first().map_or(Reviewer::Expected, |(reviewer, _)| *reviewer);
    let separations = measured.into_iter().map(|(_, separation)| separation).collect();
    Ok((Calibrated { reviewer, separations }, usage))
}

/// At most `count` seeds that can be shown to a model, chosen by key.
fn choose(seeds: &[Item], count: usize, seed: Seed) -> Vec<&Item> {
    let mut usable: Vec<&Item> = seeds
        .iter()
        .filter(|item| !item.last_user_turn().trim().is_empty() && !item.response.trim().is_empty())
        .collect();
    let seed = seed.derive("calibration seeds");
    usable.sort_by_cached_key(|item| (seed.derive(&item.key), item.key.clone()));
    usable.truncate(count);
    usable
}

/// A pair whose quality is known.
struct KnownPair {
    item: Item,
    damage: Option<Damage>,
    /// Index of the seed it is or comes from.
    seed: usize,
}

/// Each seed followed by its damaged versions. Mismatched responses come from `pool`.
fn known_pairs(seeds: &[&Item], pool: &[&Item], kinds: &[Damage], seed: Seed) -> Vec<KnownPair> {
    let seed = seed.derive("damaged seeds");
    let mut pairs = Vec::new();
    for (index, &item) in seeds.iter().enumerate() {
        pairs.push(KnownPair { item: item.clone(), damage: None, seed: index });
        let others: Vec<&str> = pool
            .iter()
            .filter(|other| other.chat != item.chat)
            .map(|other| other.response.as_str())
            .collect();
        for &kind in kinds {
            if let Some(response) = damage(kind, &item.key, &item.response, &others, seed) {
                let item = Item { key: format!("{}/{kind:?}", item.key), response, ..item.clone() };
                pairs.push(KnownPair { item, damage: Some(kind), seed: index });
            }
        }
    }
    pairs
}

fn calibrate_likelihood(
    backend: &mut dyn Backend,
    seeds: &[&Item],
    folds: usize,
    seed: Seed,
    usage: &mut Usage,
    progress: &mut dyn FnMut(CalibrationProgress) -> ControlFlow<()>,
) -> Result<(Calibration, Separation), ReviewError> {
    let pairs = known_pairs(seeds, seeds, &Damage::ALL, seed);
    let shown: Vec<Shown> = pairs.iter().map(|pair| Shown::of(&pair.item)).collect();
    let reviewable: Vec<Reviewable<'_>> = shown
        .iter()
        .enumerate()
        .filter(|(_, shown)| shown.empty_part().is_none())
        .map(|(index, shown)| Reviewable { index, item: &shown.item })
        .collect();
    let total = reviewable.len();
    let mut labelled: Vec<(Option<Damage>, Labelled)> = Vec::new();
    let mut reviewed = 0;
    *usage += measure(backend, &reviewable, &mut |event| {
        match event {
            Event::Advanced(_) => {}
            Event::Unreadable(..) => reviewed += 1,
            Event::Measured(index, features) => {
                let KnownPair { damage, seed, .. } = pairs[index];
                labelled.push((damage, Labelled { features, is_good: damage.is_none(), seed }));
                reviewed += 1;
            }
        }
        progress(CalibrationProgress { mode: Mode::Likelihood, reviewed, total })
    })?;
    let usable = labelled.iter().filter(|(damage, _)| damage.is_none()).count();
    if usable < FEWEST_SEEDS {
        return Err(ReviewError::TooFewSeeds { usable, needed: FEWEST_SEEDS });
    }
    let only: Vec<Labelled> = labelled.iter().map(|(_, pair)| *pair).collect();
    let scores = cross_validate(&only, folds.min(seeds.len()));
    let judged: Vec<Judged> = labelled
        .iter()
        .zip(scores)
        .map(|((damage, _), score)| Judged { damage: *damage, score: Some(score) })
        .collect();
    Ok((Calibration::fit(&only), Separation::of(Mode::Likelihood, &judged)))
}

fn try_written(
    backend: &mut dyn Backend,
    reviewer: &Reviewer,
    seeds: &[&Item],
    pool: &[&Item],
    seed: Seed,
    usage: &mut Usage,
    progress: &mut dyn FnMut(CalibrationProgress) -> ControlFlow<()>,
) -> Result<Separation, ReviewError> {
    let pairs = known_pairs(seeds, pool, &TRIAL_DAMAGE, seed);
    let items: Vec<Item> = pairs.iter().map(|pair| pair.item.clone()).collect();
    // The first seeds by themselves: where none of them can be read, the rest would not change the picture.
    let first = pairs.iter().take_while(|pair| pair.seed < 2).count();
    let mut scores: Vec<Option<Score>> = vec![None; items.len()];
    let mut sink = Trial {
        mode: reviewer.mode(),
        scores: &mut scores,
        offset: 0,
        reviewed: 0,
        total: items.len(),
        progress,
    };
    *usage += review(backend, reviewer, &items[..first], seed, &mut sink)?;
    if sink.scores.iter().any(Option::is_some) {
        sink.offset = first;
        *usage += review(backend, reviewer, &items[first..], seed, &mut sink)?;
    }
    let judged: Vec<Judged> =
        pairs.iter().zip(scores).map(|(pair, score)| Judged { damage: pair.damage, score }).collect();
    Ok(Separation::of(reviewer.mode(), &judged))
}

/// Keeps the scores of a trial.
struct Trial<'a> {
    mode: Mode,
    scores: &'a mut [Option<Score>],
    /// Index of the call's first item.
    offset: usize,
    reviewed: usize,
    total: usize,
    progress: &'a mut dyn FnMut(CalibrationProgress) -> ControlFlow<()>,
}

impl ReviewSink for Trial<'_> {
    fn reviewed(&mut self, review: Review) -> ControlFlow<()> {
        self.scores[self.offset + review.item] = review.outcome.score();
        self.reviewed += 1;
        self.advanced(0)
    }

    fn advanced(&mut self, _tokens: usize) -> ControlFlow<()> {
        (self.progress)(CalibrationProgress { mode: self.mode, reviewed: self.reviewed, total: self.total })
    }
}
