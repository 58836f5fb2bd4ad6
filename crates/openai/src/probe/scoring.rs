//! Whether a server gives log-probabilities of given text, and whether they are right.

use lancer_backend::{Sampling, TokenId};

use super::{Probe, Said};
use crate::{PromptForm, Scoring, ServerError, body, scores, wire::COMPLETIONS, wire::PromptBody};

/// Log-probabilities of a token may differ by this much between writing and scoring it: half precision, and another batch.
const TOLERANCE: f32 = 0.1;

impl Probe<'_> {
    /// Tries both ways. What is given must be the log-probability that the token had when the server wrote it, where it told
    /// that.
    pub(super) fn scoring(&mut self) -> Result<(), ServerError> {
        // Text that a server tokenises itself would be scored by other tokens than the model's own.
        if self.can.prompts != PromptForm::Tokens || !self.can.token_ids {
            return Ok(());
        }
        let (_, body) = self.with_prompt(self.body(Sampling::Greedy, 1, 1, 1))?;
        let Some(PromptBody::Tokens(prompt)) = body.prompt else { return Ok(()) };
        let Some(written) = self.one(self.body(Sampling::Greedy, 1, 1, 1))? else { return Ok(()) };
        let Some(&first) = written.ids().unwrap_or_default().first() else { return Ok(()) };
        let said = written.log_probs().and_then(|log_probs| log_probs.first().copied());
        let tokens: Vec<TokenId> = prompt.iter().copied().chain([first]).collect();
        for form in [Scoring::PromptLogprobs, Scoring::Echo] {
            let body = body::of_scores(self.can, form, tokens.clone());
            let Said::Completions(answer) = self.send(COMPLETIONS, &body)? else { continue };
            let scored = scores::read(&answer.choices[0], form, &tokens, prompt.len());
            let Ok(scored) = scored else { continue };
            let agrees = said.is_none_or(|said| (scored.log_probs[0] - said).abs() <= TOLERANCE);
            if scored.is_greedy && agrees {
                self.can.scoring = Some(form);
                break;
            }
        }
        Ok(())
    }
}
