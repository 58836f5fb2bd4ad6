//! How far the reviewer agrees with the people who judged.

use std::cmp::Ordering;

use serde::Serialize;

use crate::{
    error::EvolveError,
    ledger::{Action, Ledger, Subject},
};

/// How far the reviewer and the people agree.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Records that people found good or bad, and the reviewer scored.
    pub records: usize,
    /// The share of them on which both agree, 0 to 1.
    pub agreed: Option<f64>,
    /// Cohen's kappa (Cohen 1960, Educational and Psychological Measurement 20): agreement beyond chance; 1 is perfect, 0 is
    /// chance. `None` where one side found all of them alike.
    pub kappa: Option<f64>,
    /// How well the reviewer's scores tell what people found good from what they found bad.
    pub area: Option<Area>,
    /// Pairs that people accepted or flipped.
    pub pairs: usize,
    /// The share of them that was not flipped.
    pub pairs_agreed: Option<f64>,
}

/// The area under the ROC curve with a 95 % interval (Hanley and `McNeil` 1982, Radiology 143).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Area {
    /// The share of pairs of a good and a bad record in which the good one scores higher; ties count half.
    pub area: f64,
    /// The lower end, at least 0.
    pub low: f64,
    /// The upper end, at most 1.
    pub high: f64,
}

/// The agreement over all records and pairs that were judged. To the reviewer a record is good from `threshold` on; to a person
/// where it was accepted or has such a score, and bad where it was rejected or had to be edited.
///
/// # Errors
/// What reading the ledger gives.
pub fn agreement(ledger: &Ledger, threshold: f64) -> Result<Agreement, EvolveError> {
    let mut scored: Vec<(bool, f64)> = Vec::new();
    let mut pairs = Vec::new();
    for judgement in ledger.judgements()? {
        let of = judgement.judgement;
        match (of.subject, of.action) {
            (Subject::Pair, Action::Accept) => pairs.push(true),
            (Subject::Pair, Action::Flip) => pairs.push(false),
            (Subject::Record, Action::Accept | Action::Reject | Action::Edit | Action::Score) => {
                let is_good = match of.action {
                    Action::Accept => true,
                    Action::Score => of.score.is_some_and(|score| score >= threshold),
                    _ => false,
                };
                let reviews = ledger.reviews_of(&of.key)?;
                scored.extend(reviews.iter().rev().find_map(|review| Some((is_good, review.score?))));
            }
            _ => {}
        }
    }
    let share = |found: usize, of: usize| (of > 0).then(|| found as f64 / of as f64);
    let agreed = scored.iter().filter(|(is_good, score)| *is_good == (*score >= threshold)).count();
    Ok(Agreement {
        records: scored.len(),
        agreed: share(agreed, scored.len()),
        kappa: kappa(&scored, threshold),
        area: area(&scored),
        pairs: pairs.len(),
        pairs_agreed: share(pairs.iter().filter(|kept| **kept).count(), pairs.len()),
    })
}

fn kappa(scored: &[(bool, f64)], threshold: f64) -> Option<f64> {
    let all = scored.len() as f64;
    let share = |is: &dyn Fn(&(bool, f64)) -> bool| scored.iter().filter(|one| is(one)).count() as f64 / all;
    let agreed = share(&|(is_good, score)| *is_good == (*score >= threshold));
    let (person, reviewer) = (share(&|(is_good, _)| *is_good), share(&|(_, score)| *score >= threshold));
    let by_chance = person * reviewer + (1.0 - person) * (1.0 - reviewer);
    (all > 0.0 && by_chance < 1.0).then(|| (agreed - by_chance) / (1.0 - by_chance))
}

fn area(scored: &[(bool, f64)]) -> Option<Area> {
    let of = |good: bool| scored.iter().filter(move |(is, _)| *is == good).map(|(_, score)| *score);
    let (good, bad) = (of(true).count() as f64, of(false).count() as f64);
    if good == 0.0 || bad == 0.0 {
        return None;
    }
    let wins: f64 = of(true)
        .flat_map(|high| {
            of(false).map(move |low| match high.total_cmp(&low) {
                Ordering::Greater => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Less => 0.0,
            })
        })
        .sum();
    let area = wins / (good * bad);
    let (q1, q2) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let variance =
        (area * (1.0 - area) + (good - 1.0) * (q1 - area * area) + (bad - 1.0) * (q2 - area * area))
            / (good * bad);
    let half = 1.959_964 * variance.max(0.0).sqrt();
    Some(Area { area, low: (area - half).max(0.0), high: (area + half).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_and_area_are_the_textbooks() {
        // Cohen's table of 50: 20 both good, 15 both bad, 5 and 10 apart; kappa 0.4.
        let mut scored = vec![(true, 9.0); 20];
        scored.extend(vec![(false, 1.0); 15]);
        scored.extend(vec![(true, 1.0); 5]);
        scored.extend(vec![(false, 9.0); 10]);
        assert!((kappa(&scored, 7.0).unwrap() - 0.4).abs() < 1e-12);
        // Of 25 good and 25 bad: wins 20 x 15, ties 20 x 10 and 5 x 15.
        let found = area(&scored).unwrap();
        assert!((found.area - (300.0 + 100.0 + 37.5) / 625.0).abs() < 1e-12);
        assert!(found.low < found.area && found.area < found.high);
        assert_eq!(area(&[(true, 1.0)]), None);
        assert_eq!(kappa(&[(true, 9.0)], 7.0), None);
    }
}
