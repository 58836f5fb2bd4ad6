//! Near-duplicates among documents of about 1 KB by `MinHash`: against the Python packages, and a million of them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Section, Workplace};
use crate::{
    bench::measure::{in_turn, measure as measure_one, median},
    process::Failure,
};

/// Documents that all packages get.
const COMPARED: usize = 20_000;
/// Documents that lancer-data alone gets.
const MANY: usize = 1_000_000;

/// The hash functions differ, and most of the near copies are near the threshold too: there each package finds other ones.
const LEAST_AGREEMENT: f64 = 0.9;

pub(super) fn measure(workplace: &Workplace) -> Result<Section, Failure> {
    let texts = workplace.made("documents", COMPARED)?;
    let flags = |name: &str| workplace.file(&format!("{name}-flags.json"));
    let ours = |texts: &Path, flags: PathBuf| {
        let mut command = workplace.scale();
        command.arg("minhash").arg(texts).arg(flags);
        command
    };
    let rival = |name: &'static str| {
        let mut command = workplace.rival(name);
        command.arg(&texts).arg(flags(name));
        command
    };
    let measured = in_turn(
        workplace.rounds,
        &mut [
            ("lancer-data", &mut || ours(&texts, flags("lancer-data"))),
            ("rensa", &mut || rival("rensa")),
            ("datasketch", &mut || rival("datasketch")),
        ],
    )?;
    let mut text = format!(
        "## Near-duplicates among {COMPARED} documents of 1 KB\n\n9 bands of 13 numbers (of {} in all; lancer-data makes 128), shingles of 5 words. Medians, \
         reading left out; making the shingles counts, without which the packages have nothing to hash.\n\n| | lancer-data is | \
         documents/s | of that time, making shingles in Python | same verdict as lancer-data | as rensa | peak memory |\n|---|---|---|---|---|---|---|\n",
        9 * 13
    );
    let mine = read_flags(&flags("lancer-data"))?;
    let rensa = read_flags(&flags("rensa"))?;
    let mut found = serde_json::Map::new();
    let mut our_rate = 0.0;
    for (runs, name) in measured.iter().zip(["lancer-data", "rensa", "datasketch"]) {
        let seconds = runs.iter().map(|run| run.number("seconds")).collect::<Result<Vec<_>, _>>()?;
        let seconds = median(seconds);
        let rate = COMPARED as f64 / seconds;
        let memory = median(runs.iter().map(|run| run.peak_memory as f64 / 1_048_576.0).collect());
        let theirs = read_flags(&flags(name))?;
        let agreement = agreement(&mine, &theirs);
        if agreement < LEAST_AGREEMENT {
            return Err(Failure::new(format!(
                "{name} and lancer-data agree on {agreement:.3} of the documents only"
            )));
        }
        if name == "lancer-data" {
            our_rate = rate;
        }
        let shingling = runs[0].report["shingling_seconds"].as_f64();
        let _ = writeln!(
            text,
            "| {name} | {:.1} × as fast | {rate:.0} | {} | {:.1} % | {:.1} % | {memory:.0} MiB |",
            our_rate / rate,
            shingling.map_or_else(String::new, |shingling| format!("{:.0} %", 100.0 * shingling / seconds)),
            100.0 * agreement,
            100.0 * self::agreement(&rensa, &theirs),
        );
        found.insert(
            name.into(),
            json!({ "documents_per_second": rate, "agreement": agreement, "peak_memory_mib": memory,
                "shingling_seconds": shingling }),
        );
    }
    let many = measure_one(&mut ours(&workplace.made("documents", MANY)?, flags("many")))?;
    let number = |name: &str| many.number(name);
    let _ = writeln!(
        text,
        "\nOf {MANY} such documents lancer-data hashed {:.0} a second and then found {} clusters in {:.1} s, with {} MiB of \
         memory at most.",
        MANY as f64 / number("hashing_seconds")?,
        number("clusters")?,
        number("clustering_seconds")?,
        many.peak_memory / 1_048_576,
    );
    found.insert("many".into(), json!({ "report": many.report, "peak_memory": many.peak_memory }));
    Ok(Section { text, found: found.into() })
}

/// The part of documents on which two packages say the same.
fn agreement(one: &[bool], two: &[bool]) -> f64 {
    let same = one.iter().zip(two).filter(|(one, two)| one == two).count();
    same as f64 / one.len().max(two.len()) as f64
}

fn read_flags(path: &Path) -> Result<Vec<bool>, Failure> {
    let failed = |error: String| Failure::new(format!("cannot read {}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}
