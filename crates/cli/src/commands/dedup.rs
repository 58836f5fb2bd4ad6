//! `lancer dedup`: of records that are too alike, one is kept.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lancer_data::{
    Alikeness, DataError, Keep, MinHashError, MinHashJoin, MinHashSettings, Nearness, Pair, Record, Reject,
    Row, RowWriter, duplicates, each_row,
};
use lancer_output::Place;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    failure::Failure,
    options::Changes,
    output::Output,
    place::{self, OverwriteOption},
    progress::Bars,
};

/// Records that are hashed at once.
const BATCH: usize = 8192;

/// Drop records that are too like another one. Each record that is kept is written as it stands, whatever its fields.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Records: a .jsonl, .json, .csv, .tsv or .parquet file, packed (.jsonl.gz, .jsonl.zst) or not, a folder, a pattern,
    /// or `-` for JSON from standard input.
    from: PathBuf,
    /// Where the records that are kept go, by its ending; `-` writes JSON lines to standard output.
    to: PathBuf,
    /// How records that are too alike are found.
    #[arg(long, value_enum, default_value = "rouge-l")]
    method: Method,
    /// What of a record is compared.
    #[arg(long, value_enum, default_value = "prompt")]
    by: Part,
    /// Compare the text of this field, of records that are no pairs of a prompt and a response.
    #[arg(long, value_name = "NAME", conflicts_with = "by")]
    field: Option<String>,
    /// Keep the record with the highest number in this field instead of the first one.
    #[arg(long, value_name = "FIELD")]
    best: Option<String>,
    /// Where those that are dropped go, with the key of the record that they resemble, and those that cannot be used.
    #[arg(long, value_name = "FILE")]
    dropped: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteOption,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Method {
    /// Exact; for prompts. Settings: definition, measure, threshold.
    RougeL,
    /// For long texts and large data. Settings: threshold, `shingle_words`, permutations, seed.
    Minhash,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    Prompt,
    Response,
    /// The prompt, then the response.
    Both,
}

#[derive(Serialize)]
struct Report {
    path: PathBuf,
    records: usize,
    kept: usize,
    duplicates: usize,
    rejects: usize,
    first_reject: Option<Reject>,
}

#[derive(Serialize)]
struct Dropped<'a> {
    key: &'a str,
    rule: &'static str,
    resembles: Option<&'a str>,
    detail: &'a str,
    record: &'a Value,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let alikeness = match arguments.method {
        Method::RougeL => Alikeness::RougeL(arguments.changes.applied::<Nearness>()?),
        Method::Minhash => Alikeness::MinHash(arguments.changes.applied::<MinHashSettings>()?),
    };
    let inputs = [arguments.from.as_path()];
    let place = place::of_rows(&arguments.to, arguments.overwrite, &inputs)?;
    let dropped = arguments.dropped.as_deref();
    let dropped = dropped.map(|path| place::of_rows(path, arguments.overwrite, &inputs)).transpose()?;
    if let Some(dropped) = &dropped {
        place::check_two(&place, dropped, "--dropped")?;
    }
    let kept = RowWriter::begin(&place)?;
    let mut bars = Bars::new(output);
    let mut found = match alikeness {
        Alikeness::RougeL(nearness) => nearness.validate(),
        Alikeness::MinHash(settings) => settings.validate(),
    }
    .map_err(|error| Failure::Usage(error.into()))
    .and_then(|()| find(arguments, &alikeness, kept.folder()))?;
    if found.keys.is_empty() {
        let why = found.first_reject.map_or_else(String::new, |reject| format!(": {}", reject.reason));
        return Err(Failure::failed(format!("{} holds no usable record{why}", arguments.from.display())));
    }
    bars.start("write".into(), "records", 0, found.keys.len());
    write(arguments, &mut found, &mut bars, kept, dropped.as_deref())?;
    place.deliver()?;
    bars.stop();
    let duplicates = found.duplicates.iter().flatten().count();
    let report = Report {
        path: arguments.to.clone(),
        records: found.keys.len(),
        kept: found.keys.len() - duplicates,
        duplicates,
        rejects: found.rejects,
        first_reject: found.first_reject,
    };
    output.print(&report, |report| {
        outln!("{}: {} of {} records kept", report.path.display(), report.kept, report.records);
        outln!("  near duplicates: {}", report.duplicates);
        if let Some(first) = &report.first_reject {
            outln!("  cannot be used: {}, the first at {}: {}", report.rejects, first.place, first.reason);
        }
    });
    Ok(())
}

/// What is known after the first reading.
struct Found {
    keys: Vec<String>,
    duplicates: Vec<Option<usize>>,
    rejects: usize,
    first_reject: Option<Reject>,
}

/// Reads all records and finds those that are too alike. By `MinHash`, no text is held; hashes are, in files in `folder`.
fn find(arguments: &Arguments, alikeness: &Alikeness, folder: &Path) -> Result<Found, Failure> {
    let keep = if arguments.best.is_some() { Keep::BestScore } else { Keep::First };
    let (mut keys, mut scores, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    let (mut rejects, mut first_reject) = (0, None);
    let mut join = match alikeness {
        Alikeness::MinHash(settings) => Some(MinHashJoin::new(*settings, folder)?),
        Alikeness::RougeL(_) => None,
    };
    each_row(&arguments.from, &mut |row| {
        match row.and_then(|row| compared(arguments, row)) {
            Ok(record) => {
                keys.push(record.key);
                scores.push(record.score);
                batch.push(record.text);
            }
            Err(reject) => {
                rejects += 1;
                first_reject.get_or_insert(reject);
            }
        }
        if let Some(join) = join.as_mut().filter(|_| batch.len() == BATCH) {
            join.add(&batch)?;
            batch.clear();
        }
        Ok(())
    })?;
    let duplicates = match join {
        Some(mut join) => {
            join.add(&batch)?;
            let kept = join.clusters()?.kept(keep, &scores).into_iter().map(|kept| kept as usize);
            kept.enumerate().map(|(text, kept)| (kept != text).then_some(kept)).collect()
        }
        None => duplicates(&batch, alikeness, keep, &scores, folder)?,
    };
    Ok(Found { keys, duplicates, rejects, first_reject })
}

/// Reads all records again and writes them where they belong.
fn write(
    arguments: &Arguments,
    found: &mut Found,
    bars: &mut Bars,
    mut kept: RowWriter,
    dropped: Option<&Place>,
) -> Result<(), Failure> {
    let mut dropped = dropped.map(RowWriter::begin).transpose()?;
    let mut place = 0;
    each_row(&arguments.from, &mut |row| {
        let fields = row.as_ref().ok().map(|row| row.fields.clone());
        match row.and_then(|row| compared(arguments, row)) {
            Ok(record) => {
                let fields = Value::Object(fields.unwrap_or_default());
                // The file may have changed since it was read.
                let Some(duplicate) = found.duplicates.get(place).filter(|_| found.keys[place] == record.key)
                else {
                    return Err(DataError::Changed { path: arguments.from.clone() });
                };
                match duplicate {
                    None => kept.write(&fields)?,
                    Some(other) => {
                        if let Some(dropped) = &mut dropped {
                            dropped.write(&Dropped {
                                key: &record.key,
                                rule: "near_duplicate",
                                resembles: Some(&found.keys[*other]),
                                detail: "",
                                record: &fields,
                            })?;
                        }
                    }
                }
                place += 1;
                let _ = bars.add(1, 0);
                Ok(())
            }
            Err(reject) => {
                let Some(dropped) = &mut dropped else { return Ok(()) };
                dropped.write(&Dropped {
                    key: &reject.place.to_string(),
                    rule: "unusable",
                    resembles: None,
                    detail: &reject.reason,
                    record: &Value::from(reject.text.as_str()),
                })
            }
        }
    })?;
    if place != found.keys.len() {
        return Err(DataError::Changed { path: arguments.from.clone() }.into());
    }
    if let Some(dropped) = dropped {
        dropped.finish()?;
    }
    Ok(kept.finish()?)
}

/// What of a record is compared.
struct Compared {
    key: String,
    text: String,
    score: Option<f64>,
}

fn compared(arguments: &Arguments, Row { automatic_key, fields }: Row) -> Result<Compared, Reject> {
    let reject = |reason: String, fields: &Map<String, Value>| {
        let text = serde_json::to_string(fields).unwrap_or_default();
        let place = automatic_key.rsplit_once('-').and_then(|(_, place)| place.parse().ok()).unwrap_or(0);
        Reject { file: None, place, reason, text: text.chars().take(200).collect() }
    };
    let score = match arguments.best.as_deref().map(|name| (name, fields.get(name))) {
        None | Some((_, None | Some(Value::Null))) => None,
        // All values of a .csv file are text.
        Some((name, Some(value))) => Some(
            value
                .as_f64()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                .ok_or_else(|| reject(format!("`{name}` is not a number"), &fields))?,
        ),
    };
    if let Some(name) = &arguments.field {
        let Some(Value::String(text)) = fields.get(name) else {
            return Err(reject(format!("`{name}` is not there, or not text"), &fields));
        };
        let (text, key) = (text.clone(), fields.get("key").or_else(|| fields.get("id")));
        let key = key.and_then(Value::as_str).map_or(automatic_key, str::to_owned);
        return Ok(Compared { key, text, score });
    }
    match Record::of_row(fields.clone(), &automatic_key) {
        Ok(record) => {
            let pair: Pair = record.pair();
            let text = match arguments.by {
                Part::Prompt => pair.prompt,
                Part::Response => pair.response,
                Part::Both => format!("{}\n\n{}", pair.prompt, pair.response),
            };
            Ok(Compared { key: pair.key, text, score })
        }
        Err(reason) => Err(reject(reason, &fields)),
    }
}

impl From<MinHashError> for Failure {
    fn from(error: MinHashError) -> Self {
        match error {
            MinHashError::Setting(error) => Self::Usage(error.into()),
            MinHashError::Data(error) => error.into(),
        }
    }
}
