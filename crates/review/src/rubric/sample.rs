//! Written reviews are sampled, read, and drawn again where they cannot be read.

use std::ops::ControlFlow;

use lancer_backend::{
    Backend, Completion, CompletionSink, Finish, GenerateRequest, Sampling, Seed, Usage, answer_of,
};

use super::{
    read_score::{names_score, read_score},
    written_prompt,
};
use crate::{
    Detail, Item, Mode, Outcome, Review, ReviewError, ReviewSink, RubricSettings, SampleReview, Score,
    reviewable::{Reviewable, too_long, unscored},
    shown::Shown,
};

/// An item whose reviews are not all read yet.
struct Pending<'a> {
    item: Reviewable<'a>,
    samples: Vec<SampleReview>,
    /// Reviews that could be read.
    read: usize,
}

/// Reviews each item `samples` times; the score is the mean of the reviews that can be read.
pub(crate) fn review(
    backend: &mut dyn Backend,
    settings: &RubricSettings,
    shown: &[Shown],
    seed: Seed,
    sink: &mut dyn ReviewSink,
) -> Result<Usage, ReviewError> {
    settings.validate()?;
    let mut usage = Usage::default();
    let context_length = backend.info().context_length;
    let mut pending = Vec::new();
    for item in Reviewable::of(shown, sink)? {
        let tokens =
            backend.tokenize(&written_prompt(item.item)).map_err(ReviewError::backend(Mode::Rubric))?.len();
        // A review of some length must fit too.
        if tokens + settings.max_tokens.min(64) > context_length {
            unscored(item.index, too_long(tokens, context_length), sink)?;
        } else {
            pending.push(Pending { item, samples: Vec::new(), read: 0 });
        }
    }
    for round in 0..=settings.retries {
        if pending.is_empty() {
            break;
        }
        let requests: Vec<GenerateRequest> =
            pending.iter().map(|pending| request(pending, settings, seed)).collect();
        let asked: Vec<usize> = requests.iter().map(|request| request.seeds.len()).collect();
        let mut collect = CollectRound {
            settings,
            last: round == settings.retries,
            samples: asked.iter().map(|&count| vec![None; count]).collect(),
            left: asked,
            pending: &mut pending,
            sink: &mut *sink,
        };
        usage += backend.generate(&requests, &mut collect).map_err(ReviewError::backend(Mode::Rubric))?;
        pending.retain(|pending| pending.read < settings.samples);
    }
    Ok(usage)
}

/// Asks for the reviews that an item still lacks. Sample `n` of an item has the seed of its key and `n`, whatever else is
/// reviewed and however often it was tried.
fn request(pending: &Pending<'_>, settings: &RubricSettings, seed: Seed) -> GenerateRequest {
    let first = pending.samples.len();
    let last = first + settings.samples - pending.read;
    let seeds = (first..last).map(|n| seed.derive(&format!("{}/{n}", pending.item.item.key))).collect();
    let sampling = Sampling::nucleus(settings.temperature, settings.top_p);
    let request = GenerateRequest::new(written_prompt(pending.item.item))
        .sampling(sampling)
        .max_tokens(settings.max_tokens);
    GenerateRequest { seeds, ..request }
}

/// Reads the samples of one round as they end.
struct CollectRound<'a, 'b> {
    settings: &'a RubricSettings,
    /// No round follows.
    last: bool,
    samples: Vec<Vec<Option<SampleReview>>>,
    /// Samples of each request that have not ended.
    left: Vec<usize>,
    pending: &'a mut [Pending<'b>],
    sink: &'a mut dyn ReviewSink,
}

impl CompletionSink for CollectRound<'_, '_> {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        let request = completion.request;
        let pending = &mut self.pending[request];
        self.samples[request][completion.sample] = Some(read(pending.item.item, &completion));
        self.left[request] -= 1;
        if self.left[request] > 0 {
            return ControlFlow::Continue(());
        }
        pending.samples.extend(self.samples[request].drain(..).flatten());
        let scores: Vec<f64> =
            pending.samples.iter().filter_map(|sample| sample.score).map(Score::get).collect();
        pending.read = scores.len();
        if pending.read < self.settings.samples && !self.last {
            return ControlFlow::Continue(());
        }
        let outcome = if scores.is_empty() {
            Outcome::Unscored {
                reason: format!(
                    "none of {} written reviews ends with a score of its own",
                    pending.samples.len()
                ),
            }
        } else {
            Outcome::Scored(Score::nearest(scores.iter().sum::<f64>() / scores.len() as f64))
        };
        let detail = Detail::Samples(std::mem::take(&mut pending.samples));
        self.sink.reviewed(Review { item: pending.item.index, outcome, detail, left_out: Vec::new() })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.sink.advanced(tokens)
    }
}

fn read(item: &Item, completion: &Completion) -> SampleReview {
    let cut = matches!(completion.finish, Finish::MaxTokens | Finish::ContextFull);
    let score = read_score(answer_of(&completion.text), cut)
        .filter(|&score| !names_score(&item.response, score) && !names_score(&item.prompt(), score));
    SampleReview { text: completion.text.clone(), score }
}
