//! `SentencePiece`'s byte-pair tokenizers (Kudo & Richardson 2018, arXiv 1808.06226), those of Gemma and of Mistral before Nemo.
//!
//! GGUF has a score for each piece: of two neighbours, those are merged first whose whole has the highest score. A
//! `tokenizer.json` has merges in their order instead. Spaces are `▁`, and characters without a piece become bytes.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

/// What stands for a space.
const SPACE: &str = "▁";

/// The bytes of all merges; Gemma's are some 10 MB.
pub(super) const MAX_MERGE_BYTES: usize = 256 << 20;

/// Whether a text begins with a space that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpaceBefore {
    Added,
    NotAdded,
}

/// The parts of a `tokenizer.json` that cut and join text: normaliser and decoder.
pub(super) fn normalizer_and_decoder(space: SpaceBefore) -> (Json, Json) {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    let normalizer = match space {
        SpaceBefore::NotAdded => replace,
        SpaceBefore::Added => {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
            let prepend = json!({"type": "Prepend", "prepend": SPACE});
            json!({"type": "Sequence", "normalizers": [prepend, replace]})
        }
    };
    (normalizer, json!({"type": "Sequence", "decoders": decoders}))
}

/// Whether a `tokenizer.json` sets a space before a text; `None` where it is not one of these tokenizers.
pub(super) fn space_before(json: &Json) -> Option<SpaceBefore> {
    if json["model"]["byte_fallback"].as_bool() != Some(true) {
        return None;
    }
    let found = &json["normalizer"];
    let legacy = json["pre_tokenizer"]["prepend_scheme"].as_str();
    [SpaceBefore::Added, SpaceBefore::NotAdded]
        .into_iter()
        .find(|&space| *found == normalizer_and_decoder(space).0)
        .or_else(|| {
            legacy.map(|scheme| if scheme == "never" { SpaceBefore::NotAdded } else { SpaceBefore::Added })
        })
}

/// The merges that give the same pieces as the scores: all ways to put a piece together from two, the pieces of the highest
/// score first. A piece with a space in it, as Gemma's runs of spaces are, has none: it is found in the text before spaces are
/// replaced, and never comes of a merge.
///
/// # Errors
/// The bytes of the merges where a vocabulary, such as one of the texts `a`, `aa`, `aaa` and so on, has far more ways to put
/// its pieces together than pieces.
pub(super) fn merges(
    pieces: &[&str],
    scores: &[f64],
    is_normal: impl Fn(usize) -> bool,
) -> Result<Vec<String>, usize> {
    let known: HashMap<&str, usize> = pieces.iter().enumerate().map(|(id, &piece)| (piece, id)).collect();
    let mut by_score: Vec<usize> =
        (0..pieces.len()).filter(|&id| is_normal(id) && !pieces[id].contains(' ')).collect();
    by_score.sort_by(|&one, &two| scores[two].total_cmp(&scores[one]));
    let (mut merges, mut bytes) = (Vec::new(), 0);
    for id in by_score {
        let mut ways: Vec<(&str, &str)> = pieces[id]
            .char_indices()
            .skip(1)
            .map(|(place, _)| pieces[id].split_at(place))
            .filter(|(left, right)| known.contains_key(left) && known.contains_key(right))
            .collect();
        ways.sort_by_key(|(left, right)| (known[left], known[right]));
        bytes += ways.len() * (pieces[id].len() + 1);
        if bytes > MAX_MERGE_BYTES {
            return Err(bytes);
        }
        merges.extend(ways.into_iter().map(|(left, right)| format!("{left} {right}")));
    }
    Ok(merges)
}

/// Scores that give the same pieces as merges do: less for a piece that is merged later. Pieces that no merge makes have 0.
pub(super) fn scores<'a>(merges: impl Iterator<Item = (&'a str, &'a str)>) -> HashMap<String, f32> {
    let mut scores = HashMap::new();
    for (place, (left, right)) in merges.enumerate() {
        scores.entry(format!("{left}{right}")).or_insert(-(place as f32) - 1.0);
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_become_merges_and_merges_scores() {
        let pieces = ["a", "b", "c", "ab", "bc", "abc", " ", "  "];
        let scores_of_pieces = [0.0, 0.0, 0.0, -2.0, -1.0, -3.0, 0.0, -1.0];
        let merged = merges(&pieces, &scores_of_pieces, |_| true).unwrap();
        assert_eq!(merged, ["b c", "a b", "a bc", "ab c"]);
        let again = scores(merged.iter().map(|merge| merge.split_once(' ').unwrap()));
        assert!(again["bc"] > again["ab"] && again["ab"] > again["abc"]);
        assert!(!again.contains_key("a"));
    }
}
