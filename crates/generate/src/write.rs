//! Writing: from jobs to requests, from completions to samples.

use std::ops::ControlFlow;

use lancer_backend::{
    Backend, BackendError, Completion, CompletionSink, Constraint, Finish, GenerateRequest, Prompt, Sampling,
    Seed, Usage,
};

use crate::{
    GenerateError, GenerateSettings, Job, Source, Unusable, Writing, WritingSink, Written, new_prompt,
    response, worse_response,
};

/// Writes every sample of every job, handing each to `sink` as it ends, in any order.
///
/// `examples` are the pairs from which example prompts are drawn; they may hold the sources, and their order does not
/// matter. A sample's text depends on its source, on `examples`, `settings` and `seed`, and on its number. So samples
/// that are left for later come out the same, as far as the engine rounds the same.
///
/// A source that cannot be written from (an empty prompt, one that is longer than the context) does not fail the call:
/// its samples are handed over as unusable.
pub fn write(
    backend: &mut dyn Backend,
    writing: Writing,
    jobs: &[Job],
    examples: &[Source],
    settings: &GenerateSettings,
    seed: Seed,
    sink: &mut dyn WritingSink,
) -> Result<Usage, GenerateError> {
    settings.validate()?;
    let failed = |source| match source {
        BackendError::Cancelled => GenerateError::Cancelled,
        source => GenerateError::Backend { writing, source },
    };
    let info = backend.info();
    let plan = Plan { writing, examples, settings: settings.for_model(&info), seed };
    let mut requests = Vec::new();
    let mut asked = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let ask = plan.ask(index, job);
        let length = backend.tokenize(&ask.prompt).map_err(failed)?.len();
        match plan.unusable(&job.source, length, info.context_length) {
            None => {
                requests.push(plan.request(&ask));
                asked.push(ask);
            }
            Some(unusable) => {
                let mut samples = job.samples.iter().map(|&sample| Written::nothing(index, sample, unusable));
                if samples.any(|written| sink.written(written).is_break()) {
                    return Err(GenerateError::Cancelled);
                }
            }
        }
    }
    backend.generate(&requests, &mut Reader { writing, asked: &asked, sink }).map_err(failed)
}

/// What the requests of a call have in common.
struct Plan<'a> {
    writing: Writing,
    examples: &'a [Source],
    settings: GenerateSettings,
    seed: Seed,
}

/// One request: the prompt, and what its samples are read by.
struct Ask<'a> {
    job: usize,
    source: &'a Source,
    samples: &'a [usize],
    seed: Seed,
    prompt: Prompt,
    /// The prompts that a new one must not repeat.
    shown: Vec<String>,
}

impl<'a> Plan<'a> {
    fn ask(&self, index: usize, job: &'a Job) -> Ask<'a> {
        let source = &job.source;
        let seed = self.seed.derive(self.writing.as_str()).derive(&source.key);
        let (prompt, shown) = match self.writing {
            Writing::NewPrompt => new_prompt::ask(source, self.examples, &self.settings, seed),
            Writing::Response => (response::ask(source), Vec::new()),
            Writing::WorseResponse => (worse_response::ask(self.settings.worse_style, source), Vec::new()),
        };
        Ask { job: index, source, samples: &job.samples, seed, prompt, shown }
    }

    fn unusable(&self, source: &Source, length: usize, context_length: usize) -> Option<Unusable> {
        if source.prompt.trim().is_empty() {
            Some(Unusable::EmptySource)
        } else if length >= context_length {
            Some(Unusable::SourceTooLong)
        } else {
            None
        }
    }

    fn request(&self, ask: &Ask) -> GenerateRequest {
        let settings = &self.settings;
        let plain = Sampling::Nucleus { temperature: settings.temperature, top_p: settings.top_p };
        let (sampling, max_tokens) = match self.writing {
            Writing::NewPrompt => (plain, settings.max_prompt_tokens),
            Writing::Response => (plain, settings.max_response_tokens),
            Writing::WorseResponse => (worse_response::sampling(settings), settings.max_response_tokens),
        };
        GenerateRequest {
            prompt: ask.prompt.clone(),
            seeds: ask.samples.iter().map(|sample| ask.seed.derive(&sample.to_string())).collect(),
            sampling,
            max_tokens,
            stop: Vec::new(),
            constraint: Constraint::Free,
        }
    }
}

/// Reads completions into samples.
struct Reader<'a> {
    writing: Writing,
    asked: &'a [Ask<'a>],
    sink: &'a mut dyn WritingSink,
}

impl CompletionSink for Reader<'_> {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        let Completion { request, sample, text, tokens, finish, .. } = completion;
        let ask = &self.asked[request]; // An engine answers only requests that it was given.
        let outcome = match (finish, self.writing) {
            (Finish::MaxTokens | Finish::ContextFull, _) => Err(Unusable::Unfinished),
            (_, Writing::NewPrompt) => new_prompt::read(&text, &ask.shown),
            (_, Writing::Response) => response::read(&text, ask.source),
            (_, Writing::WorseResponse) => worse_response::read(&text, ask.source),
        };
        self.sink.written(Written {
            job: ask.job,
            sample: ask.samples[sample],
            outcome,
            raw: text,
            tokens: tokens.len(),
            finish,
        })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.sink.advanced(tokens)
    }
}
