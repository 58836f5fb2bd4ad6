//! The rules that compare: exact duplicates and near copies.

use std::collections::HashMap;

use lancer_core::spaced;
use rayon::prelude::*;

use crate::{
    clean::{
        Candidate, CleanSettings, Origin, Scope,
        rule::{Drop, Rule},
    },
    near::{Measure, NearIndex, Nearness},
    record::Pair,
    rouge::RougeL,
};

/// Candidates of one family that answer one prompt.
pub(super) struct Group<'a> {
    /// Their places, ascending.
    members: Vec<usize>,
    family: &'a str,
    origin: Origin,
    prompt: &'a str,
    /// The place of the seed in the pool.
    source: Option<usize>,
}

/// The groups, by their first member.
pub(super) fn groups<'a>(
    candidates: &'a [Candidate],
    passed: impl Iterator<Item = usize>,
    source: &dyn Fn(&Candidate) -> Option<usize>,
) -> Vec<Group<'a>> {
    let mut places: HashMap<(&str, Option<String>), usize> = HashMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for place in passed {
        let candidate = &candidates[place];
        let prompt = (candidate.origin == Origin::NewPrompt).then(|| same_words(&candidate.prompt));
        let group = *places.entry((&candidate.family, prompt)).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Group {
                members: Vec::new(),
                family: &candidate.family,
                origin: candidate.origin,
                prompt: &candidate.prompt,
                source: source(candidate),
            });
        }
        groups[group].members.push(place);
    }
    groups
}

/// What is dropped, by its place.
pub(super) fn drops(
    candidates: &[Candidate],
    pool: &[Pair],
    settings: &CleanSettings,
    groups: Vec<Group<'_>>,
) -> Vec<(usize, Drop)> {
    let (new_prompts, other_responses): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| group.origin == Origin::NewPrompt);
    let verdicts = prompt_drops(candidates, pool, settings, &new_prompts);
    let mut drops = Vec::new();
    let mut kept = other_responses;
    for (group, drop) in new_prompts.into_iter().zip(verdicts) {
        match drop {
            Some(drop) => drops.extend(group.members.iter().map(|&place| (place, drop.clone()))),
            None => kept.push(group),
        }
    }
    let responses = kept.par_iter().flat_map_iter(|group| response_drops(candidates, pool, settings, group));
    drops.extend(responses.collect::<Vec<_>>());
    drops
}

/// The verdict on each group's prompt. Groups are compared with the pool's prompts and with earlier kept groups.
fn prompt_drops(
    candidates: &[Candidate],
    pool: &[Pair],
    settings: &CleanSettings,
    groups: &[Group<'_>],
) -> Vec<Option<Drop>> {
    let texts: Vec<&str> =
        pool.iter().map(|pair| pair.prompt.as_str()).chain(groups.iter().map(|group| group.prompt)).collect();
    // How a group stands to a text before it; `None` where they are not compared.
    let relation = |group: &Group<'_>, other: usize| {
        let relation = match other.checked_sub(pool.len()) {
            None if group.source == Some(other) => Rule::NearCopyOfSource,
            Some(earlier) if groups[earlier].family == group.family => Rule::NearCopyOfSibling,
            _ => Rule::NearCopyOfPool,
        };
        (relation != Rule::NearCopyOfPool || settings.scope == Scope::Pool).then_some(relation)
    };
    let mut families: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, group) in groups.iter().enumerate() {
        families.entry(group.family).or_default().push(pool.len() + place);
    }
    let index = NearIndex::new(nearness(settings), &texts);
    let near: Vec<Vec<(usize, RougeL)>> = groups
        .par_iter()
        .enumerate()
        .map_init(
            || index.search(),
            |search, (place, group)| {
                let text = pool.len() + place;
                let siblings = families[group.family].iter().copied().take_while(|&sibling| sibling < text);
                match settings.scope {
                    Scope::Pool => search.before(text, text),
                    Scope::Family => search.among(text, group.source.into_iter().chain(siblings)),
                }
            },
        )
        .collect();

    let mut with_same_words: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, pair) in pool.iter().enumerate() {
        with_same_words.entry(same_words(&pair.prompt)).or_default().push(place);
    }
    let key = |text: usize| match text.checked_sub(pool.len()) {
        None => pool[text].key.clone(),
        Some(group) => candidates[groups[group].members[0]].key.clone(),
    };
    let mut kept = vec![true; pool.len()];
    let mut drops = Vec::with_capacity(groups.len());
    for (group, near) in groups.iter().zip(near) {
        let words = same_words(group.prompt);
        let same = with_same_words.entry(words).or_default();
        let equal = same
            .iter()
            .filter_map(|&other| Some((relation(group, other)?, other)))
            .min_by_key(|&(relation, other)| (relation, other));
        let drop = match equal {
            Some((_, other)) => Some(duplicate("prompt", key(other))),
            None => nearest(
                near.into_iter()
                    .filter(|&(other, _)| kept[other])
                    .filter_map(|(other, score)| Some((relation(group, other)?, other, score))),
            )
            .map(|(rule, other, score)| near_copy(rule, "prompt", key(other), score)),
        };
        if drop.is_none() {
            same.push(kept.len());
        }
        kept.push(drop.is_none());
        drops.push(drop);
    }
    drops
}

/// The verdicts on a group's responses, each against the seed's, if they answer the same prompt, and earlier kept ones.
fn response_drops(
    candidates: &[Candidate],
    pool: &[Pair],
    settings: &CleanSettings,
    group: &Group<'_>,
) -> Vec<(usize, Drop)> {
    let source = group.source.filter(|_| group.origin == Origin::OtherResponse);
    let mut kept: Vec<(Rule, &str, &str)> = source
        .map(|place| (Rule::NearCopyOfSource, pool[place].key.as_str(), pool[place].response.as_str()))
        .into_iter()
        .collect();
    let mut drops = Vec::new();
    for &place in &group.members {
        let candidate = &candidates[place];
        let words = same_words(&candidate.response);
        let response = spaced(&candidate.response);
        let equal = kept.iter().find(|(_, _, other)| same_words(other) == words);
        let drop = match equal {
            Some((_, key, _)) => Some(duplicate("response", (*key).to_owned())),
            None => nearest(kept.iter().enumerate().filter_map(|(place, (rule, _, other))| {
                let score = settings.rouge.score(&response, &spaced(other));
                nearness(settings).holds(score).then_some((*rule, place, score))
            }))
            .map(|(rule, other, score)| near_copy(rule, "response", kept[other].1.to_owned(), score)),
        };
        match drop {
            Some(drop) => drops.push((place, drop)),
            None => kept.push((Rule::NearCopyOfSibling, &candidate.key, &candidate.response)),
        }
    }
    drops
}

fn nearness(settings: &CleanSettings) -> Nearness {
    Nearness { definition: settings.rouge, measure: Measure::Any, threshold: settings.threshold }
}

/// The closest by relation, then by score; the first among equals.
fn nearest(found: impl Iterator<Item = (Rule, usize, RougeL)>) -> Option<(Rule, usize, RougeL)> {
    found.min_by(|one, two| {
        one.0.cmp(&two.0).then_with(|| largest(two.2).1.total_cmp(&largest(one.2).1)).then(one.1.cmp(&two.1))
    })
}

/// The largest part of a score, with its name.
fn largest(score: RougeL) -> (&'static str, f64) {
    let recall = ("recall", score.recall);
    let larger = |one: (&'static str, f64), two: (&'static str, f64)| if two.1 > one.1 { two } else { one };
    larger(larger(recall, ("precision", score.precision)), ("F1", score.f1))
}

fn duplicate(part: &str, resembles: String) -> Drop {
    Drop { rule: Rule::ExactDuplicate, resembles: Some(resembles), detail: format!("{part}: the same words") }
}

fn near_copy(rule: Rule, part: &str, resembles: String, score: RougeL) -> Drop {
    let (name, value) = largest(score);
    Drop { rule, resembles: Some(resembles), detail: format!("{part}: {name} {value:.2}") }
}

/// The text with single spaces, so that texts that differ in white space alone are the same.
fn same_words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
