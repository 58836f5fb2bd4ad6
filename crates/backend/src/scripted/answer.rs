//! A backend that answers from a script.

use std::ops::ControlFlow;

use super::{Bytes, CONTEXT_LENGTH, END_OF_TURN, VOCABULARY, bytes, read, text};
use crate::{
    Allowed, Backend, BackendError, Completion, CompletionSink, Constraint, Ending, Finish, GenerateRequest,
    Grammar, ModelInfo, PreparedRequest, Prompt, Sampling, ScoreRequest, ScoredContinuation, Seed, TokenId,
    Tokenizer, Usage,
    text_stream::{StreamState, TextStream},
};

/// The probability of the scripted token wherever the text so far follows the script.
const SCRIPTED: f32 = 0.9;

/// A backend that answers from a script.
///
/// The script is a function from the prompt's text and a seed to an answer. It is also a probability model: after a
/// beginning of the answer for the seed 0, the answer's next byte (at its end, the end of the turn) has probability
/// 0.9 and the rest is spread evenly; after any other text all tokens are equally probable. So greedy decoding gives
/// the script's answer for the seed 0, and [`Backend::score`] agrees with it. A sample that is not greedy is the
/// script's answer for its own seed.
pub struct ScriptedBackend {
    script: Script,
    bytes: Bytes,
}

type Script = Box<dyn FnMut(&str, Seed) -> String>;

impl ScriptedBackend {
    /// An engine that answers with `script(prompt, seed)`. A chat's text has a line for each turn, such as
    /// `user: hello`, and ends with `assistant: `.
    pub fn new(script: impl FnMut(&str, Seed) -> String + 'static) -> Self {
        Self { script: Box::new(script), bytes: Bytes::default() }
    }

    fn complete(&mut self, request: usize, sample: usize, asked: &GenerateRequest, seed: Seed) -> Completion {
        let prompt = read(&asked.prompt);
        let room = CONTEXT_LENGTH - prompt.len();
        let seed = if asked.sampling == Sampling::Greedy { Seed(0) } else { seed };
        let answer = (self.script)(&text(&prompt), seed);
        let answer = match &asked.constraint {
            Constraint::Free => answer,
            // The choice that the answer names, or else one by the seed.
            Constraint::Choices(choices) => choices
                .iter()
                .find(|choice| answer.contains(choice.as_str()))
                .unwrap_or(&choices[(seed.0 % choices.len() as u64) as usize])
                .clone(),
            Constraint::Grammar(grammar) => self.of_grammar(grammar, seed, asked.max_tokens.min(room)),
        };
        let end = match asked.constraint {
            Constraint::Free => Finish::EndOfTurn,
            Constraint::Choices(_) | Constraint::Grammar(_) => Finish::Stop,
        };

        let mut stream = TextStream::new(&asked.stop);
        let mut tokens = Vec::new();
        let mut finish = end;
        for token in bytes(&answer) {
            if tokens.len() == asked.max_tokens.min(room) {
                finish = if asked.max_tokens <= room { Finish::MaxTokens } else { Finish::ContextFull };
                break;
            }
            tokens.push(token);
            if stream.push(&[token.0 as u8]) == StreamState::Stopped {
                finish = Finish::Stop;
                break;
            }
        }
        let log_probs = self.log_probs(&prompt, &tokens).0;
        Completion { request, sample, text: stream.into_text(), tokens, log_probs, finish }
    }

    /// Some text of a grammar, by the seed, that ends as soon as it may.
    fn of_grammar(&self, grammar: &Grammar, seed: Seed, limit: usize) -> String {
        // Grammars are checked before anything is generated.
        let Ok(mut position) = self.bytes.grammars().begin(grammar, &self.bytes) else {
            return String::new();
        };
        let mut written = Vec::new();
        while written.len() < limit
            && let Ok(Allowed::Tokens(allowed)) = position.allowed()
        {
            let place = seed.derive(&written.len().to_string()).0 % allowed.len() as u64;
            let token = allowed[place as usize];
            if position.advance(token).is_err() {
                break;
            }
            written.push(token);
        }
        text(&written)
    }

    /// Log-probabilities of `tokens` after `prompt`, and whether all of them are the script's.
    fn log_probs(&mut self, prompt: &[TokenId], tokens: &[TokenId]) -> (Vec<f32>, bool) {
        let mut script = bytes(&(self.script)(&text(prompt), Seed(0)));
        script.push(END_OF_TURN);
        let others = ((1.0 - SCRIPTED) / (VOCABULARY - 1) as f32).ln();
        let even = (1.0 / VOCABULARY as f32).ln();
        let mut follows = true;
        let log_probs = tokens
            .iter()
            .enumerate()
            .map(|(place, token)| match (follows, script.get(place)) {
                (true, Some(next)) if next == token => SCRIPTED.ln(),
                (true, Some(_)) => {
                    follows = false;
                    others
                }
                _ => even,
            })
            .collect();
        (log_probs, follows)
    }
}

impl Backend for ScriptedBackend {
    fn info(&self) -> ModelInfo {
        ModelInfo {
            engine: "scripted".into(),
            name: "script".into(),
            format: "text".into(),
            parameters: 0,
            vocabulary: VOCABULARY,
            context_length: CONTEXT_LENGTH,
        }
    }

    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<TokenId>, BackendError> {
        Ok(read(prompt))
    }

    fn detokenize(&self, tokens: &[TokenId]) -> Result<String, BackendError> {
        Ok(text(tokens))
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn CompletionSink,
    ) -> Result<Usage, BackendError> {
        for (request, asked) in requests.iter().enumerate() {
            PreparedRequest::new(asked, request, CONTEXT_LENGTH, &self.bytes)?;
        }
        let mut usage = Usage::default();
        for (request, asked) in requests.iter().enumerate() {
            let prompt_length = read(&asked.prompt).len();
            usage.read += prompt_length as u64;
            for (sample, &seed) in asked.seeds.iter().enumerate() {
                let completion = self.complete(request, sample, asked, seed);
                let tokens = completion.tokens.len();
                usage.generated += tokens as u64;
                usage.reused += if sample > 0 { prompt_length as u64 } else { 0 };
                if sink.advanced(tokens).is_break() || sink.completed(completion).is_break() {
                    return Err(BackendError::Cancelled);
                }
            }
        }
        Ok(usage)
    }

    fn score(
        &mut self,
        requests: &[ScoreRequest],
        sink: &mut dyn FnMut(usize, Vec<ScoredContinuation>) -> ControlFlow<()>,
    ) -> Result<Usage, BackendError> {
        let mut usage = Usage::default();
        for (index, request) in requests.iter().enumerate() {
            request.validate(index, VOCABULARY)?;
            let prompt = read(&request.prompt);
            let mut scored = Vec::new();
            for continuation in &request.continuations {
                let mut tokens = bytes(&continuation.text);
                if continuation.ending == Ending::EndOfTurn {
                    tokens.push(END_OF_TURN);
                }
                check_length(index, prompt.len() + tokens.len())?;
                let (log_probs, is_greedy) = self.log_probs(&prompt, &tokens);
                usage.read += tokens.len() as u64;
                scored.push(ScoredContinuation { tokens, log_probs, is_greedy });
            }
            usage.read += prompt.len() as u64;
            if sink(index, scored).is_break() {
                return Err(BackendError::Cancelled);
            }
        }
        Ok(usage)
    }
}

fn check_length(request: usize, tokens: usize) -> Result<(), BackendError> {
    if tokens > CONTEXT_LENGTH {
        return Err(BackendError::TooLong { request, tokens, context_length: CONTEXT_LENGTH });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ScriptedBackend;
    use crate::{Seed, conformance};

    #[test]
    fn conforms() {
        let mut engine = ScriptedBackend::new(|prompt: &str, seed: Seed| {
            format!("Answer {} to {} characters. Next line\nis here.", seed.0 % 1000, prompt.len())
        });
        for case in conformance::BACKEND {
            (case.run)(&mut engine);
        }
    }
}
