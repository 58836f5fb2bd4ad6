//! Reading a sample out of a server's answer, and holding it against what was asked. What does not fit is no answer.

use lancer_backend::{
    Constraint, Finish, GenerateRequest, Grammar, Held, PreparedRequest, StreamState, TextStream, TokenId,
    Tokenizer,
};

use crate::{
    vocabulary::Vocabulary,
    wire::{Choice, Completions},
};

/// A sample that a server wrote.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) tokens: Vec<TokenId>,
    /// One for each token; NaN where the server does not tell.
    pub(crate) log_probs: Vec<f32>,
    pub(crate) finish: Finish,
    /// What the server says that it wrote, where that can be: at least what is seen, at most what was asked for.
    pub(crate) charged: u64,
}

/// Reads the samples of one request, in the order of their numbers.
///
/// # Errors
/// Where the answer has not as many, or one of them is not what was asked for.
pub(crate) fn read(
    mut answer: Completions,
    asked: &GenerateRequest,
    prepared: &PreparedRequest,
    vocabulary: &Vocabulary,
    samples: usize,
) -> Result<Vec<Written>, String> {
    if answer.choices.len() != samples {
        return Err(format!("{} completions, where {samples} were asked for", answer.choices.len()));
    }
    answer.choices.sort_by_key(|choice| choice.index.unwrap_or_default());
    let is_numbered = answer
        .choices
        .iter()
        .enumerate()
        .all(|(place, choice)| choice.index.is_none_or(|index| index == place));
    if !is_numbered {
        return Err("its completions have wrong numbers".into());
    }
    let said = answer.usage.and_then(|usage| usage.completion_tokens);
    let mut written = answer
        .choices
        .iter()
        .map(|choice| one(choice, asked, prepared, vocabulary))
        .collect::<Result<Vec<_>, _>>()?;
    // A server that counts tokens which it does not show (thoughts) charges them; one that lies is not believed.
    if let ([only], Some(said)) = (written.as_mut_slice(), said) {
        only.charged = said.clamp(only.charged, (prepared.limit as u64).max(only.charged));
    }
    Ok(written)
}

fn one(
    choice: &Choice,
    asked: &GenerateRequest,
    prepared: &PreparedRequest,
    vocabulary: &Vocabulary,
) -> Result<Written, String> {
    let said = choice.text().ok_or("a completion without a text")?;
    let ids = choice.ids();
    let log_probs = choice.log_probs();
    let given = ids.is_some();
    let mut tokens = ids.unwrap_or_else(|| vocabulary.plain(said));
    if let Some(outside) = tokens.iter().find(|token| token.0 as usize >= vocabulary.vocabulary()) {
        return Err(format!("token {}, which the model's vocabulary does not have", outside.0));
    }
    let mut log_probs = match log_probs {
        Some(log_probs) if given && log_probs.len() == tokens.len() => log_probs,
        Some(log_probs) if given => {
            return Err(format!("{} log-probabilities for {} tokens", log_probs.len(), tokens.len()));
        }
        _ => vec![f32::NAN; tokens.len()],
    };
    if log_probs.iter().any(|&log_prob| log_prob > 1e-3) {
        return Err("a log-probability above 0".into());
    }
    let end = tokens.iter().position(|&token| vocabulary.ends(token)).unwrap_or(tokens.len());
    let has_ended = end < tokens.len();
    if tokens.len() > end + 1 {
        return Err("tokens after the end of the turn".into());
    }
    tokens.truncate(end);
    if given && tokens.len() > prepared.limit {
        return Err(format!("{} tokens, where {} were the limit", tokens.len(), prepared.limit));
    }
    let charged = tokens.len() as u64;
    let (text, has_stopped) = cut(&mut tokens, asked, vocabulary);
    log_probs.truncate(tokens.len());
    let held = !matches!(prepared.held, Held::Free);
    let finish = match choice.finish_reason.as_deref() {
        _ if has_stopped => Finish::Stop,
        Some("length") if !has_ended => prepared.at_limit,
        Some("stop" | "eos" | "length") if held => Finish::Stop,
        Some("stop" | "eos" | "length") if has_ended || asked.stop.is_empty() => Finish::EndOfTurn,
        // A server that cuts a text at its stop string shows neither it nor the end of a turn.
        Some("stop" | "eos") => Finish::Stop,
        other => return Err(format!("the completion ended for the reason {other:?}")),
    };
    if finish == Finish::Stop && held {
        obeys(&text, &asked.constraint, prepared, vocabulary)?;
    }
    Ok(Written { text, tokens, log_probs, finish, charged })
}

/// The text of the tokens up to the first stop string, and whether there was one. `tokens` keeps those up to the one that
/// completed it.
fn cut(tokens: &mut Vec<TokenId>, asked: &GenerateRequest, vocabulary: &Vocabulary) -> (String, bool) {
    let mut stream = TextStream::new(&asked.stop);
    let stopped =
        tokens.iter().position(|&token| stream.push(&vocabulary.bytes(token)) == StreamState::Stopped);
    if let Some(last) = stopped {
        tokens.truncate(last + 1);
    }
    (stream.into_text(), stopped.is_some())
}

/// Whether a text is what it was held to.
fn obeys(
    text: &str,
    constraint: &Constraint,
    prepared: &PreparedRequest,
    vocabulary: &Vocabulary,
) -> Result<(), String> {
    let is_held = match (constraint, &prepared.held) {
        (Constraint::Choices(choices), _) => choices.iter().any(|choice| choice == text),
        (Constraint::Grammar(Grammar::Regex(_)), Held::Grammar(beginning)) => {
            let mut position = beginning.clone();
            vocabulary.plain(text).into_iter().all(|token| position.advance(token).is_ok())
                && position
                    .allowed()
                    .is_ok_and(|allowed| !matches!(allowed, lancer_backend::Allowed::Tokens(_)))
        }
        // A server may set white space between the parts.
        (Constraint::Grammar(Grammar::JsonSchema(schema)), _) => fulfils(text, schema, vocabulary),
        _ => true,
    };
    if is_held { Ok(()) } else { Err(format!("a text that is not what it was held to: {text:?}")) }
}

/// Whether a JSON text fulfils a schema, white space apart.
fn fulfils(text: &str, schema: &str, vocabulary: &Vocabulary) -> bool {
    let compact = serde_json::from_str::<serde_json::Value>(text).map(|value| value.to_string());
    let position = vocabulary.grammars().begin(&Grammar::JsonSchema(schema.into()), vocabulary);
    let (Ok(compact), Ok(mut position)) = (compact, position) else { return false };
    vocabulary.plain(&compact).into_iter().all(|token| position.advance(token).is_ok())
}
