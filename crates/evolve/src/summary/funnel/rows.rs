//! The funnel as rows of a table.

use serde::Serialize;

use super::{AnnotateCounts, Counts, Funnel, GenerateCounts, ReviewCounts};
use crate::stage::Stage;

/// A stage of the funnel in a form that all stages share, for tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunnelRow {
    /// The stage.
    pub stage: Stage,
    /// How many went in.
    pub input: usize,
    /// What they are.
    pub input_unit: &'static str,
    /// How many came out.
    pub output: usize,
    /// What they are.
    pub output_unit: &'static str,
    /// What is known besides: what became of the rest, and parts of what came out.
    pub parts: Vec<(String, usize)>,
}

impl Funnel {
    /// The stages as rows, in their order.
    pub fn rows(&self) -> Vec<FunnelRow> {
        let Self { review_seeds, generate, clean, review_new, annotate, merge } = self;
        let row =
            |stage, (input, input_unit), (output, output_unit), parts: Vec<(String, usize)>| FunnelRow {
                stage,
                input,
                input_unit,
                output,
                output_unit,
                parts: parts.into_iter().filter(|part| part.1 > 0).collect(),
            };
        vec![
            row(
                Stage::ReviewSeeds,
                (review_seeds.records, "pairs"),
                (review_seeds.scored, "scored"),
                review_seeds.parts(),
            ),
            row(
                Stage::Generate,
                (generate.sources, "sources"),
                (generate.records.values().sum(), "pairs"),
                generate.parts(),
            ),
            row(
                Stage::Clean,
                (clean.records, "pairs"),
                (clean.kept, "kept"),
                named("dropped: ", &clean.dropped).collect(),
            ),
            row(
                Stage::ReviewNew,
                (review_new.records, "pairs"),
                (review_new.scored, "scored"),
                review_new.parts(),
            ),
            row(Stage::Annotate, (annotate.records, "pairs"), (annotate.used, "used"), annotate.parts()),
            row(
                Stage::Merge,
                (merge.before, "in pool"),
                (merge.after, "in pool"),
                vec![("joined".into(), merge.joined)],
            ),
        ]
    }
}

impl ReviewCounts {
    fn parts(&self) -> Vec<(String, usize)> {
        let not_yet = self.records.saturating_sub(self.scored + self.unscored.values().sum::<usize>());
        let reached = self.reached.iter();
        let mut parts: Vec<(String, usize)> = reached
            .map(|reached| (format!("score of at least {}", reached.score), reached.records))
            .collect();
        parts.extend(named("no score: ", &self.unscored));
        parts.push(("not reviewed".into(), not_yet));
        parts
    }
}

impl GenerateCounts {
    fn parts(&self) -> Vec<(String, usize)> {
        let mut parts = vec![
            ("sources of new prompts".into(), self.sources_of_prompts),
            ("sources of worse responses".into(), self.sources_of_worse_responses),
        ];
        for (name, written) in [
            ("new prompts", &self.prompts),
            ("responses to them", &self.responses),
            ("worse responses", &self.worse_responses),
        ] {
            parts.push((format!("{name} written"), written.samples));
            let reasons: Vec<String> =
                named("", &written.unusable).map(|(reason, count)| format!("{reason} {count}")).collect();
            let unusable = written.unusable.values().sum();
            parts.push((format!("{name} unusable ({})", reasons.join(", ")), unusable));
        }
        parts
    }
}

impl AnnotateCounts {
    fn parts(&self) -> Vec<(String, usize)> {
        named("SFT examples: ", &self.sft).chain(named("pairs: ", &self.pairs)).collect()
    }
}

/// Counts with their names for people, the largest first.
fn named(before: &str, counts: &Counts) -> impl Iterator<Item = (String, usize)> {
    let mut named: Vec<(String, usize)> =
        counts.iter().map(|(name, &count)| (format!("{before}{}", name.replace('_', " ")), count)).collect();
    named.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    named.into_iter()
}
