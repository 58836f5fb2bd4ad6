//! A person's judgements override the reviews: in the annotate stages that come after them.
//!
//! A record that was accepted has the highest score, one that was rejected the lowest, and one that was edited the person's
//! response. A pair that was judged is trained on as the person decided in every later iteration, whatever the reviews say: as it
//! is, flipped, with another chosen side, or not at all.

use std::collections::{HashMap, HashSet};

use lancer_review::{Candidate, Kind, Score, Worse};

use crate::{
    error::EvolveError,
    ledger::{Action, Judgement, Ledger, Origin, PairRow, Subject},
};

/// The last judgement about each record and pair.
pub(super) struct Judged {
    records: HashMap<String, Judgement>,
    pairs: Vec<Judgement>,
}

impl Judged {
    pub(super) fn of(ledger: &Ledger) -> Result<Self, EvolveError> {
        let (records, pairs): (Vec<_>, Vec<_>) = ledger
            .judgements()?
            .into_iter()
            .partition(|judgement| judgement.judgement.subject == Subject::Record);
        let records =
            records.into_iter().map(|judgement| (judgement.judgement.key.clone(), judgement)).collect();
        Ok(Self { records, pairs })
    }

    /// The judgement about a record.
    pub(super) fn of_record(&self, key: &str) -> Option<&Judgement> {
        self.records.get(key)
    }

    /// Gives the candidates the person's scores and responses, and adds the records of earlier iterations that the person finds
    /// good. Where nothing is reviewed no candidate has a score, and a record that was rejected is no candidate.
    pub(super) fn override_reviews(
        &self,
        ledger: &Ledger,
        candidates: &mut Vec<Candidate>,
        is_reviewed: bool,
        worse: Worse,
    ) -> Result<(), EvolveError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let known: HashSet<String> = candidates.iter().map(|candidate| candidate.key.clone()).collect();
        let mut added: Vec<&String> =
            self.records.keys().filter(|key| !known.contains(key.as_str())).collect();
        added.sort_unstable();
        for key in added {
            if let Some(record) = ledger.record(key)? {
                let chat = record.chat().without_response();
                candidates.push(Candidate {
                    kind: match record.origin {
                        Origin::Seed => Kind::Seed,
                        Origin::NewPrompt => Kind::NewPrompt,
                        Origin::WorseResponse => Kind::Worse(worse),
                    },
                    source: record.source.unwrap_or_else(|| record.seed.clone()),
                    key: record.key,
                    chat,
                    response: record.response,
                    score: None,
                });
            }
        }
        candidates.retain_mut(|candidate| match self.records.get(&candidate.key) {
            Some(judgement) => apply(candidate, judgement, is_reviewed),
            None => true,
        });
        Ok(())
    }

    /// The pairs of an iteration with what the person decided about pairs.
    pub(super) fn pairs(
        &self,
        ledger: &Ledger,
        mut pairs: Vec<PairRow>,
    ) -> Result<Vec<PairRow>, EvolveError> {
        for judgement in &self.pairs {
            let of = &judgement.judgement;
            let Some(judged) = ledger.pair(of.iteration, &of.key)? else { continue };
            let turned = flipped_key(&of.key);
            pairs.retain(|pair| pair.key != judged.key && pair.key != turned);
            let number = Some(judgement.number);
            match of.action {
                Action::Accept => pairs.push(PairRow { judgement: number, ..judged }),
                Action::Flip => pairs.push(PairRow { judgement: number, ..flipped(judged) }),
                Action::Edit => pairs.push(PairRow {
                    judgement: number,
                    chosen: of.response.clone().unwrap_or_default(),
                    ..judged
                }),
                Action::Reject | Action::Score | Action::Withdraw => {}
            }
        }
        Ok(pairs)
    }
}

/// Changes a candidate as a person decided; gives whether it still is one.
fn apply(candidate: &mut Candidate, judgement: &Judgement, is_reviewed: bool) -> bool {
    let of = &judgement.judgement;
    let score = match of.action {
        Action::Accept | Action::Edit => 10.0,
        Action::Reject => 0.0,
        Action::Score => of.score.unwrap_or_default(),
        Action::Flip | Action::Withdraw => return true,
    };
    if let (Action::Edit, Some(response)) = (of.action, &of.response) {
        candidate.response.clone_from(response);
    }
    if is_reviewed {
        // The ledger holds scores from 0 to 10 only.
        candidate.score = Score::new(score).ok();
    }
    is_reviewed || of.action != Action::Reject
}

/// The pair with its sides exchanged.
fn flipped(pair: PairRow) -> PairRow {
    PairRow {
        key: flipped_key(&pair.key),
        // A response that was damaged is no record: the pair belongs to the record that it was made of.
        record: pair.rejected_record.clone().unwrap_or_else(|| pair.record.clone()),
        rejected_record: Some(pair.record),
        chosen_score: pair.rejected_score,
        rejected_score: pair.chosen_score,
        chosen: pair.rejected,
        rejected: pair.chosen,
        ..pair
    }
}

/// `b>a` for `a>b`.
fn flipped_key(key: &str) -> String {
    key.split_once('>').map_or_else(|| key.to_owned(), |(chosen, rejected)| format!("{rejected}>{chosen}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{NewJudgement, judge},
        summary::hand_filled,
    };

    fn decide(ledger: &Ledger, subject: Subject, key: &str, action: Action) {
        let response = (action == Action::Edit).then(|| "written anew".to_owned());
        let (key, person) = (key.to_owned(), "Ada".to_owned());
        let new = NewJudgement { subject, iteration: 1, key, action, score: None, response, person };
        judge(ledger.path(), &new).unwrap();
    }

    #[test]
    fn a_flipped_pair_takes_the_place_of_the_one_that_the_reviews_made() {
        let run = hand_filled::whole();
        run.ledger.flush().unwrap();
        decide(&run.ledger, Subject::Pair, "a>w0", Action::Accept);
        decide(&run.ledger, Subject::Pair, "a>w0", Action::Flip);
        decide(&run.ledger, Subject::Pair, "a>damaged", Action::Reject);
        let judged = Judged::of(&run.ledger).unwrap();
        let pairs = judged.pairs(&run.ledger, run.ledger.pairs(1).unwrap()).unwrap();
        assert_eq!(pairs.len(), 1);
        let pair = &pairs[0];
        assert_eq!((pair.key.as_str(), pair.record.as_str()), ("w0>a", "a/1/w0"));
        assert_eq!((pair.chosen.as_str(), pair.rejected.as_str()), ("rejected", "chosen"));
        assert_eq!((pair.rejected_record.as_deref(), pair.judgement), (Some("a"), Some(2)));
        assert_eq!((pair.chosen_score, pair.rejected_score), (Some(3.5), Some(8.0)));
    }

    #[test]
    fn what_is_withdrawn_or_about_nothing_changes_nothing() {
        let run = hand_filled::whole();
        run.ledger.flush().unwrap();
        decide(&run.ledger, Subject::Pair, "a>w0", Action::Flip);
        decide(&run.ledger, Subject::Pair, "a>w0", Action::Withdraw);
        let before = run.ledger.pairs(1).unwrap();
        let judged = Judged::of(&run.ledger).unwrap();
        assert_eq!(judged.pairs(&run.ledger, before.clone()).unwrap(), before);
        let new = NewJudgement {
            subject: Subject::Record,
            iteration: 1,
            key: "nothing".into(),
            action: Action::Accept,
            score: None,
            response: None,
            person: "Ada".into(),
        };
        let error = judge(run.ledger.path(), &new).unwrap_err().to_string();
        assert!(error.contains("iteration 1 has no such record"), "{error}");
    }

    #[test]
    fn a_persons_score_and_response_replace_the_reviews() {
        let run = hand_filled::whole();
        run.ledger.flush().unwrap();
        decide(&run.ledger, Subject::Record, "a/1/w0", Action::Edit);
        let judged = Judged::of(&run.ledger).unwrap();
        let mut candidates = Vec::new();
        judged.override_reviews(&run.ledger, &mut candidates, true, Worse::Written).unwrap();
        assert_eq!(candidates.len(), 1, "a record of an earlier iteration joins");
        assert_eq!(candidates[0].response, "written anew");
        assert_eq!(candidates[0].score.map(Score::get), Some(10.0));
    }
}
