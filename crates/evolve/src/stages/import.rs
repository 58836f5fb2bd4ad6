//! Seeds into the ledger, but those that hold items of evaluation tasks, and the model in the form in which it is run.

use lancer_data::{Contamination, Pair, Records, Rule};

use super::{Session, evaluate::evaluation_texts, interrupted};
use crate::{
    engines::RunnableModels,
    error::EvolveError,
    files,
    inputs::Written,
    ledger::{Origin, Record, RejectRow, VerdictRow},
    models,
    progress::Progress,
    stage::Stage,
};

pub(crate) fn run(session: &mut Session<'_>) -> Result<(), EvolveError> {
    let Session { recipe, ledger, .. } = session;
    let read = lancer_data::read_records(&recipe.seeds)?;
    if read.records.is_empty() {
        let first =
            read.rejects.first().map_or_else(|| "the file is empty".into(), |reject| reject.reason.clone());
        return Err(EvolveError::NoSeeds { path: recipe.seeds.clone(), rejects: read.rejects.len(), first });
    }
    if !read.rejects.is_empty() {
        session.progress.note(&format!(
            "{} lines of {} cannot be used; they are in the ledger and in {}",
            read.rejects.len(),
            recipe.seeds.display(),
            session.folder.join("rejects.jsonl").display()
        ));
    }
    note_unused(session.progress, &read);
    let pairs: Vec<Pair> = read.records.iter().map(lancer_data::Record::pair).collect();
    let rejects: Vec<RejectRow> = read
        .rejects
        .into_iter()
        .map(|reject| RejectRow {
            file: reject.file.as_deref().unwrap_or(&recipe.seeds).display().to_string(),
            place: reject.place,
            reason: reject.reason,
            text: reject.text,
        })
        .collect();
    if !rejects.is_empty() {
        lancer_data::write_rows(&session.folder.join("rejects.jsonl"), &rejects)?;
    }
    let evaluation = evaluation_texts(recipe)?;
    let found: Vec<Option<Contamination>> =
        pairs.iter().map(|pair| evaluation.find(&pair.prompt, &pair.response)).collect();
    if let Some(Some(first)) = found.first().filter(|_| found.iter().all(Option::is_some)) {
        let first = format!("every record holds text of an evaluation task, {first}");
        return Err(EvolveError::NoSeeds { path: recipe.seeds.clone(), rejects: found.len(), first });
    }
    note_contaminated(session.progress, &pairs, &found);
    session.progress.begin(0, Stage::Import, "seeds", 0, read.records.len());
    let seeds = read.records.len();
    ledger.together(|| {
        for row in &rejects {
            ledger.add_reject(row)?;
        }
        for ((read, pair), found) in read.records.into_iter().zip(pairs).zip(&found) {
            let key = seed_key(&read.key);
            let fields = read.fields();
            let conversation = read.into_conversation();
            match found {
                None => ledger.add_to_pool(&key, 1)?,
                Some(found) => ledger.add_verdict(&VerdictRow {
                    record: key.clone(),
                    iteration: 0,
                    rule: Some(Rule::Contaminated.as_str().into()),
                    resembles: None,
                    detail: Some(found.to_string()),
                })?,
            }
            ledger.add_record(&Record {
                seed: key.clone(),
                key,
                iteration: 0,
                origin: Origin::Seed,
                source: None,
                sample: None,
                prompt: pair.prompt,
                response: pair.response,
                conversation: (!conversation.is_pair()).then_some(conversation),
                fields,
            })?;
        }
        Ok(())
    })?;
    let flow = session.progress.advance(seeds, 0);
    session.progress.end();
    interrupted(flow, 0, Stage::Import)?;
    import_model(session)
}

/// The key of a seed: its own, with `/` and `>`, which stand between the parts of all keys that the run makes, written as `%2F`
/// and `%3E`. So no id in the data, such as one that an earlier run has exported, can be the key of something that this run makes.
fn seed_key(id: &str) -> String {
    id.replace('%', "%25").replace('/', "%2F").replace('>', "%3E")
}

/// Says what of the seeds' rows is not used.
fn note_unused(progress: &mut dyn Progress, read: &Records) {
    for (what, records) in read.unused() {
        progress.note(&format!("not used of {records} seeds: {what}"));
    }
}

/// Says how many seeds are left out, since they hold items of evaluation tasks.
fn note_contaminated(progress: &mut dyn Progress, pairs: &[Pair], found: &[Option<Contamination>]) {
    let mut contaminated = pairs.iter().zip(found).filter_map(|(pair, found)| Some((pair, found.as_ref()?)));
    if let Some((pair, found)) = contaminated.next() {
        progress.note(&format!(
            "{} seeds hold text of evaluation tasks and are left out; the first is {}: {found}",
            1 + contaminated.count(),
            pair.key
        ));
    }
}

/// Settles in which form the run's models are run.
fn import_model(session: &mut Session<'_>) -> Result<(), EvolveError> {
    let form = session.engines.runs();
    if form == RunnableModels::Gguf {
        write_first_model(session)?;
    }
    session.form = Some(form);
    Written::new(session.folder, session.ledger).set_form(form)
}

/// Writes the user's model as the GGUF file from which it is run.
pub(super) fn write_first_model(session: &mut Session<'_>) -> Result<(), EvolveError> {
    let to = models::gguf(session.folder, 0);
    let from = session.recipe.model.clone();
    files::whole(&to, |scratch| {
        session.engines.import(&from, scratch, session.recipe.format).map_err(|source| EvolveError::Import {
            from: from.clone(),
            to: to.clone(),
            source,
        })
    })
}
