//! In which form a server takes prompts, and how it samples.

use std::path::Path;

use lancer_backend::{Opened, Sampling, Seed, Tokenizer};

use super::{Probe, Said};
use crate::{GeneratedLogProbs, PromptForm, Seeds, ServerError, Software, body, wire::Choice};

/// Tokens of a probing sample.
const TOKENS: usize = 16;

const RANDOM: Sampling = Sampling::nucleus(1.0, 1.0);

/// A nucleus that almost only the most probable token is in.
const NARROW: Sampling = Sampling::nucleus(1.0, 0.01);

impl Probe<'_> {
    /// Finds the form of prompts: token ids, else text whose tokens are as many as ours, else chats.
    pub(super) fn prompts(&mut self, path: &Path) -> Result<(), ServerError> {
        // Asked for until it is known whether it gives them.
        self.can.token_ids =
            matches!(self.can.software, Software::Vllm | Software::Sglang | Software::LlamaCpp);
        let mut reasons = Vec::new();
        let ours = self.vocabulary.chat(&Self::chat(), Opened::Turn).map(|tokens| tokens.len() as u64);
        for form in [PromptForm::Tokens, PromptForm::Text, PromptForm::Chat] {
            if form == PromptForm::Text && ours.is_err() {
                continue;
            }
            self.can.prompts = form;
            let answer = match self.ask(self.body(Sampling::Greedy, 1, TOKENS, 1))? {
                Said::Completions(answer) => answer,
                Said::Refused(reason) => {
                    reasons.push(reason);
                    continue;
                }
            };
            let theirs = answer.usage.and_then(|usage| usage.prompt_tokens);
            let differ = matches!((theirs, &ours), (Some(theirs), Ok(ours)) if theirs != *ours);
            match form {
                PromptForm::Tokens if differ => {
                    reasons.push("it counts other tokens in a prompt of token ids than it was sent".into());
                }
                PromptForm::Text if differ => {
                    reasons.push(
                        "it makes other tokens of a rendered chat than the model's tokenizer here".into(),
                    );
                }
                _ => return self.tokens_of(&answer.choices[0], path),
            }
        }
        let reason = format!("it takes no prompt in any form: {}", reasons.join("; "));
        Err(ServerError::NotOpenAi { server: self.server.base().into(), reason })
    }

    /// Looks whether the ids of what was written are given, and whether they are those of our tokenizer.
    fn tokens_of(&mut self, choice: &Choice, path: &Path) -> Result<(), ServerError> {
        let text = choice.text().unwrap_or_default();
        let Some(mut ids) = choice.ids().filter(|ids| !ids.is_empty()) else {
            self.can.token_ids = false;
            return Ok(());
        };
        self.can.token_ids = true;
        let other = |reason: String| ServerError::OtherTokenizer {
            server: self.server.base().into(),
            path: path.into(),
            reason,
        };
        let size = self.vocabulary.vocabulary();
        if let Some(outside) = ids.iter().find(|id| id.0 as usize >= size) {
            return Err(other(format!("it wrote token {}, and the vocabulary here has {size}", outside.0)));
        }
        if ids.last().is_some_and(|&last| self.vocabulary.ends(last)) {
            ids.pop();
        }
        let ours = self.vocabulary.text(&ids);
        // A character may be cut at the end.
        let whole = |text: &str| text.trim_end_matches('\u{fffd}').trim().to_owned();
        let (ours, theirs) = (whole(&ours), whole(text));
        if ours.starts_with(&theirs) || theirs.starts_with(&ours) {
            return Ok(());
        }
        Err(other(format!("it calls {theirs:?} what is {ours:?} here")))
    }

    /// Finds out how it samples: seeds, several samples, stop strings, log-probabilities, defaults of its own.
    pub(super) fn samples(&mut self) -> Result<(), ServerError> {
        let draw = |seed: u64| self.texts(self.body(RANDOM, seed, TOKENS, 1));
        let (one, again, other, fourth) = (draw(1)?, draw(1)?, draw(2)?, draw(3)?);
        let differ = one != other || one != fourth;
        let seeds = if one == again && differ && !one.is_empty() { Seeds::Obeyed } else { Seeds::Ignored };
        let several = self.texts(self.body(RANDOM, 1, TOKENS, 2))?.len() == 2;
        let stops = self.stops()?;
        let log_probs = self.log_probs()?;
        let own_sampling = seeds == Seeds::Obeyed && self.own_sampling(&one)?;
        self.can.seeds = seeds;
        self.can.several = several;
        self.can.stops = stops;
        self.can.log_probs = log_probs;
        self.can.own_sampling = own_sampling;
        Ok(())
    }

    fn stops(&self) -> Result<bool, ServerError> {
        let greedy = self.body(Sampling::Greedy, 1, TOKENS, 1);
        let Some(text) = self.texts(greedy.clone())?.pop() else { return Ok(false) };
        let letters: Vec<char> = text.chars().collect();
        let middle: String = letters.iter().skip(letters.len() / 2).take(3).collect();
        if middle.is_empty() {
            return Ok(false);
        }
        let Some(stopped) = self.texts(super::Body { stop: vec![middle.clone()], ..greedy })?.pop() else {
            return Ok(false);
        };
        Ok(!stopped.contains(&middle) && stopped.len() < text.len())
    }

    /// A narrow nucleus leaves the most probable token alone; where its log-probability is 0 then and was not before, it was
    /// computed among what is left.
    fn log_probs(&self) -> Result<GeneratedLogProbs, ServerError> {
        if !self.can.token_ids {
            return Ok(GeneratedLogProbs::None);
        }
        let of = |sampling| -> Result<Vec<f32>, ServerError> {
            let choice = self.one(self.body(sampling, 1, TOKENS, 1))?;
            Ok(choice.and_then(|choice| choice.log_probs()).unwrap_or_default())
        };
        let (greedy, narrow) = (of(Sampling::Greedy)?, of(NARROW)?);
        if greedy.is_empty() {
            return Ok(GeneratedLogProbs::None);
        }
        let renormalised =
            greedy.iter().zip(&narrow).any(|(greedy, narrow)| *greedy < -0.05 && *narrow > -1e-4);
        Ok(if renormalised { GeneratedLogProbs::Renormalised } else { GeneratedLogProbs::Raw })
    }

    /// Whether a request that leaves the settings of sampling open is sampled otherwise than one that says OpenAI's
    /// defaults: temperature 1, and nothing cut or penalised.
    fn own_sampling(&self, said: &[String]) -> Result<bool, ServerError> {
        let mut open = self.body(RANDOM, 1, TOKENS, 1);
        let with_all = open.own.clone();
        open.own.retain(|name, _| {
            ![
                "top_k",
                "min_p",
                "repetition_penalty",
                "repeat_penalty",
                "presence_penalty",
                "frequency_penalty",
                "samplers",
            ]
            .contains(&name.as_str())
        });
        if with_all.len() == open.own.len() {
            return Ok(false);
        }
        open.top_p = None;
        open.seed = Some(body::seed_number(Seed(1)));
        let left_open = self.texts(open)?;
        Ok(!left_open.is_empty() && left_open != said)
    }
}
