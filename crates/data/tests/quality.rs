//! Each quality rule against a text that breaks it, and one that breaks none.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use lancer_data::{
    QualityRule, QualitySettings,
    polars::prelude::{Column, DataFrame},
    quality_frame,
};

const GOOD: &str = "The baker of the village rose early, and with her daughter she kneaded the dough for the day.\n\nBy \
    seven the first loaves have left the oven; people come from the farms to buy them. Some of them ask for rye, others want \
    to know whether there is any cake left that could be had at half the price.";

/// A rule, its limit, and a text that breaks it.
fn cases() -> Vec<(QualityRule, f64, String)> {
    use QualityRule as R;
    let text = |text: &str| text.to_owned();
    let ten = "one two three four five six seven eight nine ten eleven";
    vec![
        (R::ShortWords, 3.0, text("a b c d of it is no go.")),
        (
            R::LongWords,
            10.0,
            text("Internationalisation notwithstanding, incomprehensibilities proliferate."),
        ),
        (R::SymbolsPerWord, 0.1, text("# one # two ... three … four.")),
        (R::BulletLines, 0.9, text("- rye\n- pita\n* naan\n• bagel")),
        (R::EllipsisLines, 0.3, text("and then...\nso it went…\nwho knows.")),
        (R::WordsWithLetters, 0.8, text("12 34 56 78 = 90 words.")),
        (R::StopWords, 2.0, text("Rye, pita, naan, bagel, brioche.")),
        (R::RepeatedLines, 0.3, text("again\nagain\nagain\nonce")),
        (R::RepeatedParagraphs, 0.3, text("one line\n\none line\n\none line\n\nanother")),
        (
            R::CharactersInRepeatedLines,
            0.2,
            text("a rather long line that is here twice\na rather long line that is here twice\nx"),
        ),
        (R::Top2Words, 0.2, "rye bread ".repeat(20)),
        (R::Top3Words, 0.18, "rye bread dough ".repeat(20)),
        (R::Top4Words, 0.16, "rye bread dough oven ".repeat(20)),
        (R::Repeated5Words, 0.15, format!("{ten}. {ten}.")),
        (R::Repeated10Words, 0.1, format!("{ten}. {ten}.")),
        (R::LoremIpsum, 0.0, text("Lorem ipsum dolor sit amet.")),
        (R::TruncatedEnd, 0.0, text("The recipe needs flour, water and")),
        (R::UrlPart, 0.8, text("https://example.com/a/very/long/path/to/a/page?with=parameters")),
        (R::Refusals, 0.0, text("I'm sorry, but I cannot help with that.")),
        (R::Scaffolding, 0.0, text("Bread.<|im_end|>\n### Response: more bread")),
        (
            R::OtherLanguage,
            0.5,
            text("Der Bäcker steht jeden Morgen sehr früh auf und knetet den Teig für das Brot des Tages."),
        ),
    ]
}

fn only(rule: QualityRule, limit: f64) -> QualitySettings {
    QualitySettings { languages: vec!["eng".into()], prompt: [].into(), response: [(rule, limit)].into() }
}

#[test]
fn each_rule_is_broken_by_the_text_that_is_made_for_it_and_by_no_good_one() {
    let cases = cases();
    let rules: Vec<QualityRule> = cases.iter().map(|(rule, _, _)| *rule).collect();
    assert_eq!(rules, QualityRule::ALL);
    for (rule, limit, text) in cases {
        let settings = only(rule, limit);
        let broken = settings.broken("", &text);
        assert!(
            broken.len() == 1,
            "{rule:?} measures {} of {text:?}",
            rule.measure(&text, &settings.languages)
        );
        assert_eq!(settings.broken("", GOOD), [], "{rule:?}");
    }
}

#[test]
fn a_frame_gets_a_column_for_each_rule_and_one_of_those_that_are_broken() {
    let prompts = [Some("Which bread?"), None, Some("https://example.com/")];
    let responses = [Some(GOOD), Some("I'm sorry, but I cannot help with that."), None];
    let frame = DataFrame::new(
        3,
        vec![Column::new("prompt".into(), prompts), Column::new("response".into(), responses)],
    );
    let settings = QualitySettings::default();
    let frame = quality_frame(frame.unwrap(), &settings).unwrap();
    assert_eq!((frame.height(), frame.width()), (3, 2 + settings.prompt.len() + settings.response.len() + 1));
    let broken = frame.column("broken").unwrap().str().unwrap().iter().collect::<Vec<_>>();
    for row in 0..3 {
        let (prompt, response) = (prompts[row].unwrap_or_default(), responses[row].unwrap_or_default());
        let expected = settings.broken(prompt, response);
        let texts: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(broken[row].unwrap_or_default(), texts.join("; "));
        for broken in expected {
            let column = format!("{}_{}", broken.part.as_str(), broken.rule.as_str());
            let measured = frame.column(&column).unwrap().f64().unwrap().get(row);
            assert_eq!(measured, Some(broken.value));
        }
    }
    assert_eq!(broken.iter().filter(|broken| broken.is_some()).count(), 2);
    assert!(quality_frame(DataFrame::empty(), &settings).is_err());
}
