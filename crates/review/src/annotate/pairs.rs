//! Preference pairs.

use std::collections::HashMap;

use lancer_backend::{Conversation, Seed};

use super::{
    AnnotateSettings, Candidate, Kind, PairAnnotation, PairRule, RejectedKind, RejectedSide, Worse, tiers,
};
use crate::{Damage, damage};

/// The preference pairs of each prompt, in the order in which prompts first appear.
pub(super) fn preference(
    candidates: &[Candidate],
    settings: &AnnotateSettings,
    seed: Seed,
) -> Vec<PairAnnotation> {
    let seeds: Vec<&Candidate> = candidates.iter().filter(|pair| pair.kind == Kind::Seed).collect();
    by_prompt(candidates)
        .into_iter()
        .flat_map(|responses| {
            let responses: Vec<&Candidate> =
                responses.into_iter().filter(|pair| pair.is_long_enough(settings)).collect();
            let mut pairs = match settings.pairs {
                PairRule::Apart => {
                    by_score(&tiers::narrowed(responses.clone(), settings.length_tier), settings)
                }
                PairRule::AgainstLowest => against_lowest(&responses, settings),
            };
            pairs.extend(responses.iter().flat_map(|pair| damaged(pair, &seeds, settings, seed)));
            spread(pairs, settings.max_pairs_per_prompt)
        })
        .collect()
}

/// The responses to each prompt.
fn by_prompt(candidates: &[Candidate]) -> Vec<Vec<&Candidate>> {
    let mut place: HashMap<&Conversation, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Candidate>> = Vec::new();
    for pair in candidates {
        let next = groups.len();
        match *place.entry(&pair.chat).or_insert(next) {
            // A new prompt's place is the next one.
            new if new == next => groups.push(vec![pair]),
            known => groups[known].push(pair),
        }
    }
    groups
}

/// Pairs of responses whose scores are far enough apart, the widest gap first.
fn by_score(responses: &[&Candidate], settings: &AnnotateSettings) -> Vec<PairAnnotation> {
    let mut found = Vec::new();
    for chosen in responses {
        for rejected in responses {
            if let Some(gap) = gap(chosen, rejected, settings)
                && chosen.response.trim() != rejected.response.trim()
                && let Some(kind) = rejected_kind(chosen.kind, rejected.kind)
                && settings.allows(side(kind))
            {
                found.push((gap, *chosen, *rejected, kind));
            }
        }
    }
    found.sort_by(|one, two| two.0.total_cmp(&one.0));
    found.into_iter().map(|(_, chosen, rejected, kind)| beside(chosen, rejected, kind)).collect()
}

/// LANCE's rule: the lowest of a prompt with worse responses is rejected, for each that is far enough above it.
fn against_lowest(responses: &[&Candidate], settings: &AnnotateSettings) -> Vec<PairAnnotation> {
    let is_worse = |pair: &&Candidate| matches!(pair.kind, Kind::Worse(_));
    if !responses.iter().any(is_worse) {
        return Vec::new();
    }
    let mut scored: Vec<(f64, &Candidate)> =
        responses.iter().filter_map(|pair| Some((pair.score?.get(), *pair))).collect();
    scored.sort_by(|one, other| one.0.total_cmp(&other.0));
    let Some(&(lowest, rejected)) = scored.first() else { return Vec::new() };
    let kind = match rejected.kind {
        Kind::Worse(Worse::Written) => RejectedKind::Written,
        Kind::Seed | Kind::NewPrompt | Kind::Worse(Worse::Sampled) => RejectedKind::Sampled,
    };
    if !settings.allows(side(kind)) {
        return Vec::new();
    }
    let above = scored.iter().rev().filter(|(score, chosen)| {
        settings.pair_bound.is_reached(score - lowest, settings.pair_gap)
            && chosen.response.trim() != rejected.response.trim()
    });
    above.map(|(_, chosen)| beside(chosen, rejected, kind)).collect()
}

/// A pair of two responses.
fn beside(chosen: &Candidate, rejected: &Candidate, kind: RejectedKind) -> PairAnnotation {
    PairAnnotation {
        key: format!("{}>{}", chosen.key, rejected.key),
        rejected_key: rejected.key.clone(),
        rejected: rejected.response.clone(),
        rejected_score: rejected.score,
        rejected_kind: kind,
        ..with_chosen(chosen)
    }
}

/// By how much `chosen` is better; `None` where it is not, or not by enough.
fn gap(chosen: &Candidate, rejected: &Candidate, settings: &AnnotateSettings) -> Option<f64> {
    match (chosen.score, rejected.score) {
        (Some(chosen), Some(rejected)) => Some(chosen.get() - rejected.get())
            .filter(|&gap| gap > 0.0 && settings.pair_bound.is_reached(gap, settings.pair_gap)),
        // Without a review all that is known is who wrote them.
        _ => (chosen.kind == Kind::Seed).then_some(0.0),
    }
}

/// What `rejected` is beside `chosen`; `None` where their scores are not to be compared.
fn rejected_kind(chosen: Kind, rejected: Kind) -> Option<RejectedKind> {
    match (chosen, rejected) {
        (Kind::Seed | Kind::NewPrompt | Kind::Worse(Worse::Sampled), Kind::Worse(Worse::Written)) => {
            Some(RejectedKind::Written)
        }
        (Kind::Seed | Kind::Worse(Worse::Sampled), Kind::Worse(Worse::Sampled))
        | (Kind::NewPrompt, Kind::NewPrompt) => Some(RejectedKind::Sampled),
        _ => None,
    }
}

fn side(kind: RejectedKind) -> RejectedSide {
    match kind {
        RejectedKind::Written => RejectedSide::Written,
        RejectedKind::Sampled => RejectedSide::Sampled,
        RejectedKind::Damaged(Damage::Mismatched) => RejectedSide::Mismatched,
        RejectedKind::Damaged(_) => RejectedSide::Damaged,
    }
}

/// A good seed against another seed's response and against its own damaged.
fn damaged(
    pair: &Candidate,
    seeds: &[&Candidate],
    settings: &AnnotateSettings,
    seed: Seed,
) -> Vec<PairAnnotation> {
    if pair.kind != Kind::Seed || !pair.is_good(settings) {
        return Vec::new();
    }
    let others: Vec<&str> =
        seeds.iter().filter(|other| other.chat != pair.chat).map(|other| other.response.as_str()).collect();
    let seed = seed.derive("rejected");
    let make = |kind: Damage| Some((kind, damage(kind, &pair.key, &pair.response, &others, seed)?));
    let mut made = Vec::new();
    if settings.allows(RejectedSide::Mismatched) {
        made.extend(make(Damage::Mismatched));
    }
    if settings.allows(RejectedSide::Damaged) {
        // The key chooses where to begin; the first damage from there that changes the response.
        let begin = seed.derive(&pair.key).0 as usize % settings.damage.len().max(1);
        made.extend(
            settings
                .damage
                .iter()
                .cycle()
                .skip(begin)
                .take(settings.damage.len())
                .find_map(|&kind| make(kind)),
        );
    }
    made.into_iter()
        .map(|(kind, response)| {
            let rejected_key = format!("{}/{kind:?}", pair.key);
            PairAnnotation {
                key: format!("{}>{rejected_key}", pair.key),
                rejected_key,
                rejected: response,
                rejected_score: None,
                rejected_kind: RejectedKind::Damaged(kind),
                ..with_chosen(pair)
            }
        })
        .collect()
}

/// At most `count` of the pairs, in turn one of each side, so that no side crowds out the others.
fn spread(pairs: Vec<PairAnnotation>, count: usize) -> Vec<PairAnnotation> {
    let mut turns: HashMap<RejectedSide, usize> = HashMap::new();
    let mut ranked: Vec<(usize, PairAnnotation)> = pairs
        .into_iter()
        .map(|pair| {
            let turn = turns.entry(side(pair.rejected_kind)).or_insert(0);
            *turn += 1;
            (*turn, pair)
        })
        .collect();
    // Stable: within a turn as they came.
    ranked.sort_by_key(|(turn, _)| *turn);
    ranked.into_iter().take(count).map(|(_, pair)| pair).collect()
}

/// A pair of which only the rejected side is still to be filled in.
fn with_chosen(chosen: &Candidate) -> PairAnnotation {
    PairAnnotation {
        key: String::new(),
        source: chosen.source.clone(),
        prompt: chosen.chat.user_text().into_owned(),
        chosen_key: chosen.key.clone(),
        chosen: chosen.response.clone(),
        chosen_score: chosen.score,
        rejected_key: String::new(),
        rejected: String::new(),
        rejected_score: None,
        rejected_kind: RejectedKind::Sampled,
    }
}
