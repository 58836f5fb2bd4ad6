//! `{% generation %}` … `{% endgeneration %}`, transformers' own tag: it marks what the model writes, so that training can
//! be held to it.
//!
//! The Jinja library has no tags of others, so the tag becomes a filter block. The filter puts a character before and
//! after what the block has rendered, and these are taken out of the finished text.

use std::{borrow::Cow, sync::LazyLock};

use minijinja::{Error, ErrorKind};
use regex::{Captures, Regex};

use super::{RenderedChat, SystemTurn};

/// The filter of the blocks that the tag becomes.
pub(super) const FILTER: &str = "__generated";

/// Two characters for private use, the last of Unicode.
const BEGIN: char = '\u{10FFFC}';
const END: char = '\u{10FFFD}';

/// The template with the tag as a filter block. Line ends become `\n`, as Jinja2 has them.
pub(super) fn rewritten(source: &str) -> String {
    #[expect(clippy::unwrap_used, reason = "the expression is constant and the tests compile it")]
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)(\s*)(end)?generation(\s*)([-+]?)%\}").unwrap());
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let block = |tag: &Captures<'_>| {
        let name = if tag.get(3).is_some() { "endfilter".into() } else { format!("filter {FILTER}") };
        format!("{{%{}{}{name}{}{}%}}", &tag[1], &tag[2], &tag[4], &tag[5])
    };
    match TAG.replace_all(&source, block) {
        Cow::Borrowed(_) => source,
        Cow::Owned(rewritten) => rewritten,
    }
}

/// What a block has rendered, between the two characters.
pub(super) fn marked(text: &str) -> Result<String, Error> {
    if text.contains([BEGIN, END]) {
        let reason =
            "a message holds U+10FFFC or U+10FFFD, which mark the model's turns while a chat is rendered";
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    Ok(format!("{BEGIN}{text}{END}"))
}

/// The text without the characters, and what was between them.
pub(super) fn unmarked(text: &str) -> RenderedChat {
    let mut rendered = RenderedChat {
        text: String::with_capacity(text.len()),
        generated: Vec::new(),
        system: SystemTurn::OfTemplate,
    };
    let mut begun = None;
    for character in text.chars() {
        match character {
            BEGIN => begun = Some(rendered.text.len()),
            END => rendered.generated.extend(begun.take().map(|begun| begun..rendered.text.len())),
            other => rendered.text.push(other),
        }
    }
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_becomes_a_filter_block_with_its_whitespace_marks() {
        assert_eq!(
            rewritten("a{%- generation -%}\r\nb{% endgeneration %}c"),
            "a{%- filter __generated -%}\nb{% endfilter %}c"
        );
        assert_eq!(rewritten("{% if generation %}{% endif %}"), "{% if generation %}{% endif %}");
    }

    #[test]
    fn marks_are_taken_out_and_counted_in_bytes() {
        let rendered = unmarked(&format!("é{BEGIN}ab{END}c{BEGIN}{END}"));
        assert_eq!((rendered.text.as_str(), rendered.generated), ("éabc", vec![2..4, 5..5]));
    }
}
