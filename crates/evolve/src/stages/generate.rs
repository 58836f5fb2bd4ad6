//! New prompts with responses, and worse responses, from the pairs that are expanded.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
};

use lancer_backend::{Conversation, Finish, Message, WithSystem};
use lancer_generate::{Job, Source, Writing, WritingSink, Written};
use lancer_prefer::draw_keys;

use super::{Groups, Recording, Session};
use crate::{
    error::EvolveError,
    ledger::{Ledger, Origin, Record, Sample},
    recipe::Expansion,
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>, iteration: u32) -> Result<(), EvolveError> {
    let expand = session.recipe.expand.clone();
    let pool = session.ledger.pool(iteration)?;
    let examples: Vec<Source> = pool.iter().map(source).collect();
    let scores = session.ledger.reviews(iteration)?;
    let scores: HashMap<&str, Option<f64>> =
        scores.iter().map(|row| (row.record.as_str(), row.score)).collect();
    let keys = pool.iter().map(|record| record.key.as_str());
    let taken = draw_keys(keys, expand.sources, session.seed(iteration, "expand"));
    let taken = taken.into_iter().map(|place| &pool[place]);
    // Those that get worse responses, and those that get new prompts.
    let (good, weak): (Vec<&Record>, Vec<&Record>) = match expand.to {
        Expansion::ByScore => taken.partition(|record| {
            scores.get(record.key.as_str()).copied().flatten().is_some_and(|score| score > expand.worse_over)
        }),
        Expansion::NewPrompts => (Vec::new(), taken.collect()),
        Expansion::WorseResponses => (taken.collect(), Vec::new()),
        Expansion::Nothing => (Vec::new(), Vec::new()),
    };

    let sources = |records: &[&Record]| records.iter().map(|&record| source(record)).collect();
    write(session, iteration, Writing::NewPrompt, sources(&weak), &examples, expand.prompts)?;
    let prompts: Vec<Source> = usable(session, iteration, Writing::NewPrompt)?
        .into_iter()
        .filter_map(|sample| {
            // Under the system prompt and with the tools of the record that it was written from.
            let chat = examples.iter().find(|source| source.key == sample.parent)?.begun_with(sample.text);
            Some(Source { key: sample.key, chat, response: String::new() })
        })
        .collect();
    write(session, iteration, Writing::Response, prompts, &examples, expand.responses)?;
    write(session, iteration, Writing::WorseResponse, sources(&good), &examples, expand.worse_responses)?;
    add_records(session, iteration, &pool)
}

fn source(record: &Record) -> Source {
    Source::of_conversation(&record.key, &record.chat())
}

/// The key of a sample of this writing, by the writing's name; `None` where there is no such writing.
pub(crate) fn sample_key(parent: &str, iteration: u32, writing: &str, number: usize) -> Option<String> {
    let all = [Writing::NewPrompt, Writing::Response, Writing::WorseResponse];
    let writing = all.into_iter().find(|one| one.as_str() == writing)?;
    Some(key(parent, iteration, writing, number))
}

/// The key of a sample: what it was written from, the iteration, what it is and its number.
fn key(parent: &str, iteration: u32, writing: Writing, number: usize) -> String {
    match writing {
        Writing::NewPrompt => format!("{parent}/{iteration}/p{number}"),
        // The prompt's own key has the iteration.
        Writing::Response => format!("{parent}/r{number}"),
        Writing::WorseResponse => format!("{parent}/{iteration}/w{number}"),
    }
}

/// Samples that are written together, more or less; see [`Groups`]. Since a group ends when its longest sample does, there are
/// several times as many as an engine writes side by side.
const GROUP: usize = 128;

fn write(
    session: &mut Session<'_>,
    iteration: u32,
    writing: Writing,
    sources: Vec<Source>,
    examples: &[Source],
    count: usize,
) -> Result<(), EvolveError> {
    let there: HashSet<String> =
        session.ledger.samples(iteration)?.into_iter().map(|sample| sample.key).collect();
    let jobs: Vec<Job> = sources.into_iter().map(|source| Job::new(source, count)).collect();
    let groups = Groups::new(jobs.len(), GROUP / count.max(1), count, |place| {
        let parent = &jobs[place].source.key;
        (0..count).all(|number| there.contains(&key(parent, iteration, writing, number)))
    });
    let (settings, system) = (session.recipe.generate, session.recipe.system.generate.clone());
    let (model, seed) = (session.ledger.start(iteration)?, session.seed(iteration, "generate"));
    let unit = match writing {
        Writing::NewPrompt => "prompts",
        Writing::Response => "responses",
        Writing::WorseResponse => "worse responses",
    };
    session.work(
        (iteration, Stage::Generate),
        model,
        (unit, &groups),
        |backend, group, recording| {
            let jobs = &jobs[group];
            let mut sink = Sink { recording, iteration, writing, jobs };
            let backend = &mut WithSystem::new(backend, system.as_deref());
            lancer_generate::write(backend, writing, jobs, examples, &settings, seed, &mut sink)
        },
        Ledger::add_sample,
    )
}

struct Sink<'a, 'b> {
    recording: &'a mut Recording<'b, Sample>,
    iteration: u32,
    writing: Writing,
    jobs: &'a [Job],
}

impl WritingSink for Sink<'_, '_> {
    fn written(&mut self, written: Written) -> ControlFlow<()> {
        let parent = &self.jobs[written.job].source.key;
        let (text, unusable) = match written.outcome {
            Ok(text) => (text, None),
            Err(reason) => (written.raw, Some(reason.as_str().to_owned())),
        };
        self.recording.row(Sample {
            key: key(parent, self.iteration, self.writing, written.sample),
            iteration: self.iteration,
            writing: self.writing.as_str().into(),
            parent: parent.clone(),
            number: written.sample,
            text,
            unusable,
            tokens: written.tokens,
            finish: finish(written.finish).into(),
        })
    }

    fn advanced(&mut self, tokens: usize) -> ControlFlow<()> {
        self.recording.tokens(tokens)
    }
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::EndOfTurn => "end_of_turn",
        Finish::Stop => "stop",
        Finish::MaxTokens => "max_tokens",
        Finish::ContextFull => "context_full",
    }
}

fn usable(session: &Session<'_>, iteration: u32, writing: Writing) -> Result<Vec<Sample>, EvolveError> {
    let mut samples = session.ledger.samples(iteration)?;
    samples.retain(|sample| sample.writing == writing.as_str() && sample.unusable.is_none());
    Ok(samples)
}

/// Every usable response becomes a record.
fn add_records(session: &Session<'_>, iteration: u32, pool: &[Record]) -> Result<(), EvolveError> {
    let pool: BTreeMap<&str, &Record> = pool.iter().map(|record| (record.key.as_str(), record)).collect();
    let prompts: BTreeMap<String, Sample> = usable(session, iteration, Writing::NewPrompt)?
        .into_iter()
        .map(|sample| (sample.key.clone(), sample))
        .collect();
    let record = |sample: Sample, origin, source: &Record, prompt: Conversation| {
        let chat = prompt.with(Message::assistant(&sample.text));
        Record {
            key: sample.key.clone(),
            iteration,
            origin,
            source: Some(source.key.clone()),
            seed: source.seed.clone(),
            sample: Some(sample.key),
            prompt: chat.user_text().into_owned(),
            response: sample.text,
            conversation: (!chat.is_pair()).then_some(chat),
            fields: serde_json::Map::new(),
        }
    };
    let mut records = Vec::new();
    for sample in usable(session, iteration, Writing::Response)? {
        let Some(prompt) = prompts.get(&sample.parent) else { continue };
        let Some(source) = pool.get(prompt.parent.as_str()) else { continue };
        let chat = self::source(source).begun_with(&prompt.text);
        records.push(record(sample, Origin::NewPrompt, source, chat));
    }
    for sample in usable(session, iteration, Writing::WorseResponse)? {
        let Some(source) = pool.get(sample.parent.as_str()) else { continue };
        let chat = source.chat().without_response();
        records.push(record(sample, Origin::WorseResponse, source, chat));
    }
    session.ledger.together(|| records.iter().try_for_each(|record| session.ledger.add_record(record)))
}
