//! ROUGE-L of every pair of some real texts: whether the packages say the same, and how long they take.

use std::fmt::Write as _;

use serde_json::json;

use super::{Section, Workplace};
use crate::{
    bench::measure::{in_turn, measure as measure_one, median},
    process::Failure,
};

/// So many texts make 20,910 pairs.
const TEXTS: usize = 205;

/// The definitions by their names, and the packages that they are of.
const DEFINITIONS: [(&str, &str); 5] = [
    ("rouge", "rouge 1.0.1"),
    ("rouge_score", "rouge-score 0.1.2, rougeL"),
    ("rouge_score_stemmed", "the same, stemmed"),
    ("rouge_score_sum", "rouge-score 0.1.2, rougeLsum"),
    ("rouge_score_sum_stemmed", "the same, stemmed"),
];

/// Differences above this are an error.
const TOLERANCE: f64 = 1e-9;

pub(super) fn measure(workplace: &Workplace) -> Result<Section, Failure> {
    let (texts, scores) = (workplace.file("sample.json"), workplace.file("scores.json"));
    let count = TEXTS.to_string();
    measure_one(workplace.scale().arg("sample").arg(&workplace.texts).arg(count).arg(&texts))?;
    let measured = in_turn(
        workplace.rounds,
        &mut [
            ("python", &mut || {
                let mut command = workplace.rival("rouge");
                command.arg(&texts).arg(&scores);
                command
            }),
            ("lancer-data", &mut || {
                let mut command = workplace.scale();
                command.arg("agree").arg(&texts).arg(&scores);
                command
            }),
        ],
    )?;
    let mut text = String::from(
        "## ROUGE-L of every pair of 205 real texts\n\nMedians; scoring gives all three parts of every pair, joining finds the \
         pairs with a part over 0.70.\n\n| package | largest difference | scoring is | joining is | package: pairs/s | \
         scoring: pairs/s | joining: pairs/s | near copies |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut found = serde_json::Map::new();
    for (name, package) in DEFINITIONS {
        let of_package = |at: &str| {
            let seconds =
                measured[0].iter().map(|run| run.report["seconds"][at].as_f64().unwrap_or(f64::NAN));
            median(seconds.collect())
        };
        let ours = |number: &str| {
            let numbers = measured[1].iter().map(|run| run.report[name][number].as_f64().unwrap_or(f64::NAN));
            median(numbers.collect())
        };
        let pairs = ours("pairs");
        let rates =
            [of_package(name), ours("scoring_seconds"), ours("joining_seconds")].map(|time| pairs / time);
        let (difference, near) = (ours("largest_difference"), ours("near_copies"));
        if !(difference <= TOLERANCE && near.total_cmp(&ours("near_copies_expected")).is_eq()) {
            return Err(Failure::new(format!(
                "{name} is not what {package} says: {:#}",
                measured[1][0].report[name]
            )));
        }
        let _ = writeln!(
            text,
            "| {package} | {difference:.1e} | {:.0} × as fast | {:.0} × | {:.0} | {:.0} | {:.0} | {near} |",
            rates[1] / rates[0],
            rates[2] / rates[0],
            rates[0],
            rates[1],
            rates[2],
        );
        found.insert(
            name.into(),
            json!({ "pairs": pairs, "largest_difference": difference, "package_pairs_per_second": rates[0],
                "scoring_pairs_per_second": rates[1], "joining_pairs_per_second": rates[2], "near_copies": near }),
        );
    }
    Ok(Section { text, found: found.into() })
}
