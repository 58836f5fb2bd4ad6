//! Whether a run with `stop = "auto"` goes on: rewards that come from the model itself rise and then fall, and its texts may become
//! alike (SPIN, arXiv 2401.01335, after its first iteration; R-Zero, arXiv 2508.05004, after its third).

use std::collections::HashSet;

use crate::{
    error::EvolveError,
    ledger::Ledger,
    recipe::{Recipe, Stop},
};

/// New responses have collapsed where they are less diverse than this part of the seeds' responses.
const COLLAPSED: f64 = 0.5;
/// Fewer word trigrams than this say nothing of diversity.
const FEWEST: usize = 50;

/// Why the run ends after an iteration that is finished; `None` where it goes on.
pub(crate) fn reason(
    ledger: &Ledger,
    recipe: &Recipe,
    iteration: u32,
) -> Result<Option<String>, EvolveError> {
    if recipe.stop == Stop::AllIterations || iteration == 0 {
        return Ok(None);
    }
    if let Some(rejection) = ledger.rejection(iteration)? {
        return Ok(Some(rejection.reason));
    }
    let texts = |records: Vec<crate::ledger::Record>| -> Vec<String> {
        records.into_iter().map(|record| record.response).collect()
    };
    let (new, seeds) = (texts(ledger.kept_records(iteration)?), texts(ledger.records(0)?));
    Ok(diversity(&new, &seeds).filter(|(new, seeds)| *new < COLLAPSED * seeds).map(|(new, seeds)| {
        format!(
            "the new responses have become alike: of the word trigrams of iteration {iteration} {:.0} % are distinct, of the seeds' {:.0} %",
            100.0 * new,
            100.0 * seeds
        )
    }))
}

/// The part of distinct word trigrams (distinct-n; Li et al. 2016, arXiv 1510.03055) of both, among as many trigrams of each: the
/// part falls with their number. `None` where there are too few.
fn diversity(new: &[String], seeds: &[String]) -> Option<(f64, f64)> {
    let (new, seeds) = (trigrams(new), trigrams(seeds));
    let count = new.len().min(seeds.len());
    let distinct =
        |all: &[[&str; 3]]| all[..count].iter().collect::<HashSet<_>>().len() as f64 / count as f64;
    (count >= FEWEST).then(|| (distinct(&new), distinct(&seeds)))
}

/// The word trigrams of texts, one text after the other.
fn trigrams(texts: &[String]) -> Vec<[&str; 3]> {
    let mut all = Vec::new();
    for text in texts {
        let words: Vec<&str> = text.split_whitespace().collect();
        all.extend(words.windows(3).map(|words| [words[0], words[1], words[2]]));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::diversity;

    #[test]
    fn texts_that_repeat_each_other_are_less_diverse() {
        let seeds: Vec<String> =
            (0..30).map(|n| format!("text number {n} says thing {} of {n}", n * 7)).collect();
        let (same, of_seeds) = diversity(&seeds, &seeds).unwrap();
        assert!((same - of_seeds).abs() < 1e-12);
        let alike = vec![seeds[0].clone(); 60];
        let (new, of_seeds) = diversity(&alike, &seeds).unwrap();
        assert!(new < 0.5 * of_seeds, "{new} {of_seeds}");
        assert_eq!(diversity(&seeds[..3], &seeds), None);
    }
}
