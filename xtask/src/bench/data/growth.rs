//! How the time of the ROUGE-L join grows with the number of prompts.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::json;

use super::{Section, Workplace};
use crate::{
    bench::{
        measure::measure as measure_one,
        plot::{Plot, Series},
        programs::write,
    },
    process::Failure,
};

/// Each measure with its name in the plot and the numbers of prompts that it is tried on. What is over the threshold in any
/// part grows with the square of the number, as short prompts are all within ever more long ones; so that one ends earlier.
const MEASURES: [(&str, &str, &[usize]); 2] = [
    ("f1", "F1 over 0.70", &[10_000, 30_000, 100_000, 300_000, 1_000_000]),
    ("any", "recall, precision or F1 over 0.70", &[10_000, 30_000, 100_000, 300_000]),
];

pub(super) fn measure(workplace: &Workplace, docs: &Path) -> Result<Section, Failure> {
    let mut text = String::from(
        "## Growth of the exact ROUGE-L join\n\nPrompts of real-world length against each other, PyPI `rouge`'s definition, one run \
         each. The exponent is that of the time, from the row before: 1 is linear, 2 quadratic.\n\n![growth](data-growth.svg)\n\n\
         | measure | prompts | time | exponent | pairs found | peak memory |\n|---|---|---|---|---|---|\n",
    );
    let (mut series, mut found) = (Vec::new(), Vec::new());
    for (measure, name, counts) in MEASURES {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for &count in counts {
            let texts = workplace.made("prompts", count)?;
            let run = measure_one(workplace.scale().args(["near", "rouge", measure, "0.7"]).arg(texts))?;
            let (seconds, pairs) = (run.number("seconds")?, run.number("pairs")?);
            eprintln!("{measure}, {count} prompts: {}", run.report);
            let exponent = points.last().map_or(String::new(), |(before, time)| {
                format!("{:.2}", (seconds / time).ln() / (count as f64 / before).ln())
            });
            points.push((count as f64, seconds));
            let memory = run.peak_memory / 1_048_576;
            let _ =
                writeln!(text, "| {name} | {count} | {seconds:.2} s | {exponent} | {pairs} | {memory} MiB |");
            found.push(json!({ "measure": measure, "texts": count, "seconds": seconds, "pairs": pairs,
                "peak_memory": run.peak_memory }));
        }
        series.push(Series { name: name.into(), points });
    }
    let plot = Plot {
        title: "The exact ROUGE-L join".into(),
        across: "prompts".into(),
        up: "seconds".into(),
        series,
    };
    fs::create_dir_all(docs)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", docs.display())))?;
    write(&docs.join("data-growth.svg"), &plot.svg())?;
    Ok(Section { text, found: found.into() })
}
