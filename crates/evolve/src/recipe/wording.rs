//! Errors of settings in words: what serde says of a value, without the names of Rust's types, and the nearest right name.

/// The known name that is most like `name`, if one is alike enough to have been meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |known: &'a str| (strsim::normalized_damerau_levenshtein(name, known), known);
    let (alike, known) = known.into_iter().map(alike).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (alike > 0.6).then_some(known)
}

/// What serde says, in words.
pub(super) fn in_words(message: &str) -> String {
    let mut text = message.to_owned();
    for (rust, words) in [
        ("expected f64", "expected a number"),
        ("expected f32", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected bool", "expected true or false"),
        ("expected a nonzero u32", "expected a whole number from 1 on"),
        ("expected a nonzero usize", "expected a whole number from 1 on"),
        ("expected usize", "expected a whole number from 0 on"),
        ("expected u64", "expected a whole number from 0 on"),
        ("expected u32", "expected a whole number from 0 on"),
        ("expected i64", "expected a whole number"),
        ("expected a sequence", "expected a list such as [\"a\", \"b\"]"),
        ("expected a map", "expected a table"),
        ("invalid type: floating point", "this is"),
        ("invalid type: integer", "this is"),
        ("invalid type: string", "this is the text"),
        ("invalid type: boolean", "this is"),
        ("invalid value: integer", "this is"),
        ("unknown variant", "there is no"),
        ("unknown field", "there is no setting"),
    ] {
        text = text.replace(rust, words);
    }
    match nearest_named(message) {
        Some(nearest) => format!("{text}; did you mean `{nearest}`?"),
        None => text,
    }
}

/// The expected name that is most like the unknown one, of a message that names the unknown one first.
fn nearest_named(message: &str) -> Option<&str> {
    let is_name = |message: &str| message.contains("unknown field") || message.contains("unknown variant");
    let message = Some(message).filter(|message| is_name(message))?;
    // Names are between backticks: the wrong one first.
    let mut names = message.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    nearest(wrong, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_named() {
        let message = "unknown field `itertions`, expected one of `seed`, `iterations`, `model`";
        assert_eq!(
            in_words(message),
            "there is no setting `itertions`, expected one of `seed`, `iterations`, `model`; did you mean \
             `iterations`?"
        );
        assert_eq!(nearest("colour", ["seed", "model"]), None);
    }

    #[test]
    fn types_are_words() {
        assert_eq!(
            in_words("invalid type: string \"many\", expected u32"),
            "this is the text \"many\", expected a whole number from 0 on"
        );
        assert_eq!(
            in_words("invalid type: integer `3`, expected a boolean"),
            "this is `3`, expected true or false"
        );
    }
}
