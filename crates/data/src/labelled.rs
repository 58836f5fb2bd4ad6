//! Responses that are good or bad by a label each, made into pairs: KTO's data for losses that compare two responses.

use std::collections::HashMap;

use lancer_core::Conversation;

use crate::{
    record::{PreferenceRecord, Reject},
    schema::Labelled,
};

/// Labelled responses, by their prompts.
#[derive(Default)]
pub(crate) struct LabelledResponses {
    prompts: HashMap<Conversation, usize>,
    groups: Vec<Group>,
}

/// The responses to one prompt, good and bad ones in their order. Each is with what it is where nothing is found for it.
#[derive(Default)]
struct Group {
    good: Vec<(Labelled, Reject)>,
    bad: Vec<(Labelled, Reject)>,
}

impl LabelledResponses {
    /// Adds a response; `reject` says where it is from.
    pub(crate) fn add(&mut self, response: Labelled, reject: Reject) {
        let place = *self.prompts.entry(response.prompt.clone()).or_insert(self.groups.len());
        if place == self.groups.len() {
            self.groups.push(Group::default());
        }
        let group = &mut self.groups[place]; // Found or just made.
        let side = if response.is_good { &mut group.good } else { &mut group.bad };
        side.push((response, reject));
    }

    /// A pair for each good response and each bad one to the same prompt, in their order, and those for which nothing is
    /// left.
    pub(crate) fn pairs(self) -> (Vec<PreferenceRecord>, Vec<Reject>) {
        let (mut records, mut rejects) = (Vec::new(), Vec::new());
        let mut alone = |(_, reject): (Labelled, Reject)| {
            let reason = "no response with the other `label` is left for the same prompt";
            rejects.push(Reject { reason: reason.into(), ..reject });
        };
        for Group { good, bad } in self.groups {
            let (mut good, mut bad) = (good.into_iter(), bad.into_iter());
            loop {
                match (good.next(), bad.next()) {
                    (Some((chosen, reject)), Some((rejected, _))) => {
                        if chosen.response == rejected.response {
                            alone((chosen, reject));
                            continue;
                        }
                        records.push(PreferenceRecord {
                            key: chosen.key,
                            prompt: chosen.prompt,
                            chosen: chosen.response,
                            rejected: rejected.response,
                        });
                    }
                    (None, None) => break,
                    (one, other) => one.into_iter().chain(other).for_each(&mut alone),
                }
            }
        }
        rejects.sort_by_key(|reject| reject.place);
        (records, rejects)
    }
}
