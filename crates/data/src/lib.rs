//! Instruction data: reading, writing, cleaning and laying it out for trainers.
//!
//! * [`read_records`] reads conversations ([`Record`]) from JSONL, JSON, CSV or Parquet in the layouts that such data comes
//!   in; what is none becomes a [`Reject`] and does not end the reading. A record is written in the layout in which it came,
//!   with all other fields of its row. [`read_preferences`] reads pairs of a better and a worse response, [`read_rows`] any
//!   rows, and [`write_rows`] writes them.
//! * [`clean`] says of each generated [`Candidate`] whether it is kept, and if not, by which [`Rule`] and which record it
//!   resembles: length, keywords, exact duplicates, near copies.
//! * [`clean_frame`], [`quality_frame`], [`dedup_frame`] and [`personal_data_frame`] work on columns of a Polars frame; with
//!   the feature `lazy`, `lazy` has the same for a `LazyFrame`.
//! * [`write_export`] lays training data out for TRL, LLaMA-Factory and Axolotl, with a dataset card.
//! * [`rouge`] gives ROUGE-L as the field's Python packages compute it, to the last digit; [`near`] finds the texts
//!   that are near copies of others by it.
//!
//! ```
//! use lancer_data::{Candidate, CleanSettings, EvaluationTexts, Origin, Pair, Record, Rule, clean, read_records};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("seeds.jsonl");
//! std::fs::write(&path, concat!(
//!     r#"{"id": "bread", "instruction": "Name three kinds of bread.", "input": "", "output": "Rye, pita, naan."}"#, "\n",
//!     r#"{"id": "sky", "prompt": "Why is the sky blue?""#, "\n",
//! ))?;
//! let seeds = read_records(&path)?;
//! let pool: Vec<Pair> = seeds.records.iter().map(Record::pair).collect();
//! assert_eq!(pool[0].prompt, "Name three kinds of bread.");
//! assert_eq!(seeds.rejects[0].place, 2);
//!
//! let written = |key: &str, prompt: &str, response: &str| Candidate {
//!     key: key.into(),
//!     family: "bread".into(),
//!     prompt: prompt.into(),
//!     response: response.into(),
//!     origin: Origin::NewPrompt,
//! };
//! let candidates = [
//!     written("a", "Name three kinds of bread, please.", "Rye, bagel and naan."),
//!     written("b", "Which flour is best for a baguette?", "A white flour such as the French T55."),
//! ];
//! let verdicts = clean(&candidates, &pool, &EvaluationTexts::default(), &CleanSettings::default());
//! let drop = verdicts[0].as_ref().unwrap();
//! assert_eq!((drop.rule, drop.resembles.as_deref()), (Rule::NearCopyOfSource, Some("bread")));
//! assert_eq!(verdicts[1], None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clean;
mod contamination;
mod dedup;
mod error;
mod export;
mod format;
mod frame;
mod hub;
mod integer;
mod labelled;
#[cfg(feature = "lazy")]
pub mod lazy;
mod minhash;
mod near;
mod personal;
mod quality;
mod read;
mod record;
pub mod rouge;
mod schema;
mod write;

pub use clean::{
    Candidate, CleanSettings, Drop, Origin, Rule, Scope, ShortResponses, clean, clean_frame, counts_by_rule,
    rule_counts,
};
pub use contamination::{Contamination, DecontaminationSettings, EvaluationTexts};
pub use dedup::{Alikeness, dedup_frame, duplicates};
pub use error::{DataError, SettingError};
pub use export::{Card, Count, Export, PreferenceRow, SftRow, write_export};
pub use format::check_ending;
pub use frame::{from_frame, to_frame};
pub use hub::{is_pinned, pinned};
pub use minhash::{Bands, Clusters, Keep, MinHash, MinHashError, MinHashJoin, MinHashSettings};
pub use near::{Earlier, Measure, NearCopy, NearScope, Nearness, near, near_counts};
pub use personal::{
    Handling, PersonalData, PersonalDataSettings, PersonalKind, Treated, personal_data, personal_data_frame,
    treat_personal_data,
};
pub use polars;
pub use quality::{BrokenRule, QualityRule, QualitySettings, TextPart, quality_frame};
pub use read::{
    MAX_LINE_BYTES, ParquetTrial, UnpackLimit, decode_parquet, each_record, each_row, files_at, files_of,
    read_preferences, read_records, read_rows, set_unpack_ratio, try_parquet_with,
};
pub use record::{Pair, PreferenceRecord, PreferenceRecords, Record, Records, Reject, Row, Rows};
pub use write::{RowWriter, write_rows, write_rows_to};

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
