//! Writing: from jobs to requests, from completions to samples.

use std::{num::NonZeroU32, ops::ControlFlow, rc::Rc};

use lancer_backend::{
    Backend, BackendError, Completion, CompletionSink, Constraint, Finish, GenerateRequest, Penalties,
    RandomSampling, Sampling, Seed, Usage,
};

use crate::{
    GenerateError, GenerateSettings, Job, ResponseStyle, Source, Unusable, WorseStyle, Writing, WritingSink,
    Written, asked::Asked, new_prompt::Shown, response, worse_response,
};

/// Writes every sample of every job, handing each to `sink` as it ends, in any order.
///
/// `examples` are the pairs from which example prompts are drawn; they may hold the sources, and their order does not
/// matter. A sample's text depends on its source, on `examples`, `settings` and `seed`, and on its number. So samples
/// that are left for later come out the same, as far as the engine rounds the same.
///
/// A source that cannot be written from (an empty prompt, one that is longer than the context, turns that
/// the chat template refuses) does not fail the call:
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
    let mut readings = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        for (request, reading) in plan.requests(index, job) {
            let unusable = if job.source.prompt().trim().is_empty() {
                Some(Unusable::EmptySource)
            } else {
                match backend.tokenize(&request.prompt) {
                    Ok(tokens) => (tokens.len() >= info.context_length).then_some(Unusable::SourceTooLong),
                    Err(BackendError::ChatTemplate(_)) => Some(Unusable::Refused),
                    Err(error) => return Err(failed(error)),
                }
            };
            let Some(unusable) = unusable else {
                requests.push(request);
                readings.push(reading);
                continue;
            };
            let mut nothing = reading.samples.iter().map(|&sample| Written::nothing(index, sample, unusable));
            if nothing.any(|written| sink.written(written).is_break()) {
                return Err(GenerateError::Cancelled);
            }
        }
    }
    backend.generate(&requests, &mut Reader { readings: &readings, sink }).map_err(failed)
}

/// What the requests of a call have in common.
struct Plan<'a> {
    writing: Writing,
    examples: &'a [Source],
    settings: GenerateSettings,
    seed: Seed,
}

/// How a source's samples are asked for and read.
enum Manner {
    NewPrompt(Shown),
    Response(ResponseStyle),
    WorseResponse(GenerateSettings),
}

/// How the samples of one request are read.
struct Reading<'a> {
    job: usize,
    source: &'a Source,
    samples: Vec<usize>,
    manner: Rc<Manner>,
    opening: String,
}

impl Plan<'_> {
    /// The requests of a job: one for the samples that are asked for alike.
    fn requests<'a>(&self, index: usize, job: &'a Job) -> Vec<(GenerateRequest, Reading<'a>)> {
        let source = &job.source;
        let seed = self.seed.derive(self.writing.as_str()).derive(&source.key);
        let manner = Rc::new(match self.writing {
            Writing::NewPrompt => Manner::NewPrompt(Shown::new(source, self.examples, &self.settings, seed)),
            Writing::Response => Manner::Response(self.settings.response_style),
            Writing::WorseResponse => Manner::WorseResponse(self.settings),
        });
        let mut requests: Vec<(GenerateRequest, Reading)> = Vec::new();
        for &sample in &job.samples {
            let asked = manner.ask(source, sample);
            let alike = requests.iter().position(|(request, _)| request.prompt == asked.prompt);
            let place = alike.unwrap_or_else(|| {
                let (manner, opening) = (Rc::clone(&manner), asked.opening.clone());
                let reading = Reading { job: index, source, samples: Vec::new(), manner, opening };
                requests.push((self.request(asked), reading));
                requests.len() - 1
            });
            let (request, reading) = &mut requests[place]; // Found or just made.
            request.seeds.push(seed.derive(&sample.to_string()));
            reading.samples.push(sample);
        }
        requests
    }

    /// A request without seeds.
    fn request(&self, asked: Asked) -> GenerateRequest {
        let settings = &self.settings;
        let hot = self.writing == Writing::WorseResponse && settings.worse_style == WorseStyle::Hot;
        GenerateRequest {
            prompt: asked.prompt,
            seeds: Vec::new(),
            sampling: Sampling::Random(RandomSampling {
                temperature: if hot { settings.worse_temperature } else { settings.temperature },
                top_k: NonZeroU32::new(settings.top_k),
                top_p: settings.top_p,
                min_p: settings.min_p,
            }),
            penalties: Penalties {
                repetition: settings.repetition_penalty,
                presence: settings.presence_penalty,
                frequency: settings.frequency_penalty,
                ..Penalties::default()
            },
            max_tokens: match self.writing {
                Writing::NewPrompt => settings.max_prompt_tokens,
                Writing::Response | Writing::WorseResponse => settings.max_response_tokens,
            },
            stop: asked.stop,
            constraint: Constraint::Free,
        }
    }
}

impl Manner {
    fn ask(&self, source: &Source, sample: usize) -> Asked {
        match self {
            Self::NewPrompt(shown) => shown.ask(sample),
            Self::Response(style) => response::ask(*style, source, source.prompt()),
            Self::WorseResponse(settings) => worse_response::ask(settings, source, sample),
        }
    }
}

impl Reading<'_> {
    fn read(&self, text: &str, finish: Finish) -> Result<String, Unusable> {
        if matches!(finish, Finish::MaxTokens | Finish::ContextFull) {
            return Err(Unusable::Unfinished);
        }
        match &*self.manner {
            Manner::NewPrompt(shown) => shown.read(&self.opening, text),
            Manner::Response(_) => response::read(text, self.source),
            Manner::WorseResponse(_) => worse_response::read(text, self.source),
        }
    }
}

/// Reads completions into samples.
struct Reader<'a> {
    readings: &'a [Reading<'a>],
    sink: &'a mut dyn WritingSink,
}

impl CompletionSink for Reader<'_> {
    fn completed(&mut self, completion: Completion) -> ControlFlow<()> {
        let Completion { request, sample, text, tokens, finish, .. } = completion;
        let reading = &self.readings[request]; // An engine answers only requests that it was given.
        self.sink.written(Written {
            job: reading.job,
            sample: reading.samples[sample],
            outcome: reading.read(&text, finish),
            raw: format!("{}{text}", reading.opening),
            tokens: tokens.len(),
            finish,
        })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.sink.advanced(tokens)
    }
}
