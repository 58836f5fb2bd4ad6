//! Porter's stemmer (Porter 1980, "An algorithm for suffix stripping") with the changes that NLTK makes to it, which is what
//! PyPI `rouge-score` stems with.

/// The stem of a word of lower-case ASCII letters and digits.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 {
        return word.to_owned();
    }
    let word = without_plural(word.to_owned());
    let word = without_past(word);
    let word = y_to_i(word);
    let word = shorter_suffix(word);
    let word = apply(word, &SHORT_SUFFIXES, |stem| measure(stem) > 0);
    let word = without_suffix(word);
    let word = without_e(word);
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 { shortened(word, 1) } else { word }
}

/// Words with a stem of their own.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Suffixes of step 2 and what stands for them; the first that a word ends in is the only one that is tried.
const LONG_SUFFIXES: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// The same of step 3.
const SHORT_SUFFIXES: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// The suffixes of step 4, which go.
const LAST_SUFFIXES: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism",
    "ate", "iti", "ous", "ive", "ize",
];

/// Step 1a.
fn without_plural(word: String) -> String {
    if word.ends_with("ies") {
        // Dies, but flies.
        let by = if word.len() == 4 { 1 } else { 2 };
        shortened(word, by)
    } else if word.ends_with("sses") {
        shortened(word, 2)
    } else if word.ends_with('s') && !word.ends_with("ss") {
        shortened(word, 1)
    } else {
        word
    }
}

/// Step 1b.
fn without_past(word: String) -> String {
    if word.ends_with("ied") {
        let by = if word.len() == 4 { 1 } else { 2 };
        return shortened(word, by);
    }
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 { shortened(word, 1) } else { word };
    }
    let stem =
        ["ed", "ing"].iter().find_map(|suffix| word.strip_suffix(suffix).filter(|stem| has_vowel(stem)));
    let Some(stem) = stem.map(str::to_owned) else { return word };
    if ["at", "bl", "iz"].iter().any(|end| stem.ends_with(end)) {
        return stem + "e";
    }
    if let [.., before, last] = *stem.as_bytes()
        && before == last
        && is_consonant(stem.as_bytes(), stem.len() - 1)
    {
        return if matches!(last, b'l' | b's' | b'z') { stem } else { shortened(stem, 1) };
    }
    if measure(&stem) == 1 && ends_like_hop(&stem) { stem + "e" } else { stem }
}

/// Step 1c.
fn y_to_i(word: String) -> String {
    match word.strip_suffix('y') {
        Some(stem) if stem.len() > 1 && is_consonant(stem.as_bytes(), stem.len() - 1) => {
            stem.to_owned() + "i"
        }
        _ => word,
    }
}

/// Step 2.
fn shorter_suffix(word: String) -> String {
    match word.strip_suffix("alli") {
        // And what is left once more.
        Some(stem) if measure(stem) > 0 => return shorter_suffix(format!("{stem}al")),
        _ => {}
    }
    if word.ends_with("logi") {
        return if measure(&word[..word.len() - 3]) > 0 { shortened(word, 1) } else { word };
    }
    apply(word, &LONG_SUFFIXES, |stem| measure(stem) > 0)
}

/// Step 4.
fn without_suffix(word: String) -> String {
    let Some(stem) = LAST_SUFFIXES.iter().find_map(|suffix| word.strip_suffix(suffix)) else { return word };
    let goes = measure(stem) > 1 && (!word.ends_with("ion") || stem.ends_with(['s', 't']));
    if goes { stem.to_owned() } else { word }
}

/// Step 5a.
fn without_e(word: String) -> String {
    match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 || (measure(stem) == 1 && !ends_like_hop(stem)) => stem.to_owned(),
        _ => word,
    }
}

/// Replaces the first suffix that the word ends in, where its stem is so.
fn apply(word: String, suffixes: &[(&str, &str)], so: impl Fn(&str) -> bool) -> String {
    for (suffix, instead) in suffixes {
        if let Some(stem) = word.strip_suffix(suffix) {
            return if so(stem) { format!("{stem}{instead}") } else { word };
        }
    }
    word
}

fn shortened(mut word: String, by: usize) -> String {
    word.truncate(word.len() - by);
    word
}

/// Whether a letter is a consonant: `y` is one after a vowel and at the beginning.
fn is_consonant(word: &[u8], place: usize) -> bool {
    match word[place] {
        b'a' | b'e' | b'i' | b'o' | b'u' => false,
        b'y' => place == 0 || !is_consonant(word, place - 1),
        _ => true,
    }
}

fn has_vowel(stem: &str) -> bool {
    (0..stem.len()).any(|place| !is_consonant(stem.as_bytes(), place))
}

/// How often consonants follow vowels, which is the paper's `m`.
fn measure(stem: &str) -> usize {
    let kinds: Vec<bool> = (0..stem.len()).map(|place| is_consonant(stem.as_bytes(), place)).collect();
    kinds.windows(2).filter(|two| !two[0] && two[1]).count()
}

/// The paper's `*o`: the stem ends in a consonant, a vowel and a consonant other than `w`, `x` and `y`; in NLTK also where
/// it is a vowel and a consonant.
fn ends_like_hop(stem: &str) -> bool {
    let word = stem.as_bytes();
    let consonant = |from_end: usize| is_consonant(word, word.len() - from_end);
    match word {
        [.., _, _, last] => consonant(3) && !consonant(2) && consonant(1) && !b"wxy".contains(last),
        [_, _] => !consonant(2) && consonant(1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    /// `fixtures/rouge/make.py` asks NLTK, by way of `rouge-score`.
    #[test]
    fn stems_are_those_of_nltk() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rouge/stems.json");
        let stems: BTreeMap<String, String> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert!(stems.len() > 3000);
        for (word, expected) in stems {
            assert_eq!(stem(&word), expected, "{word}");
        }
    }
}
