//! Changes to text by the words of its language.

use std::ops::Range;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::bytes;

/// Numbers that are written where a number is.
const NUMBERS: [&str; 18] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "255",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967295",
    "4294967296",
    "1000000000",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "-1e999",
    "0.5",
];

pub(super) const JSON: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "[[",
    "]]",
    "{\"a\":",
    "}",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "\"type\":",
    "\"content\":",
    "\"id\":",
    "\"prompt\":",
    "\"response\":",
    "\"messages\":",
    "\"role\":",
    "\"user\"",
    "\"system\"",
    "\n",
    "\u{feff}",
    "\u{202e}",
    "\"Sequence\"",
    "\"Split\"",
    "\"Replace\"",
    "\"Regex\":",
    "\"(a+)+$\"",
    "\"Unigram\"",
    "\"Strip\"",
    "\"dtype\":\"F32\"",
    "\"shape\":[",
    "\"data_offsets\":[0,",
];

pub(super) const JINJA: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{% for m in messages %}",
    "{% endfor %}",
    "{% if ",
    "{% endif %}",
    "{% else %}",
    "{% set x = ",
    "{% set ns.x = ns.x ~ ns.x %}",
    "{% set ns = namespace(x='a') %}",
    "{% macro m(a) %}",
    "{% endmacro %}",
    "{{ m(m) }}",
    "{% include 'template' %}",
    "{% block b %}{% endblock %}",
    "range(100000)",
    "'a' * 100000",
    " * 1000000000",
    " ** 99",
    " ~ ",
    " + ",
    "|join",
    "|list",
    "|tojson(indent=9999999)",
    "|indent(1000000)",
    "|replace('', x)",
    ".replace('a', x)",
    ".split('')",
    ".join(x)",
    "|batch(99999999)",
    "|map('upper')",
    "|sort",
    "|string",
    "|format(1)",
    "'%999999999d'",
    ".format(1)",
    "[::-1]",
    "[0]",
    "messages",
    "messages[0]",
    "loop.index",
    "loop(x)",
    "recursive ",
    "{% filter upper %}",
    "{% endfilter %}",
    "namespace(",
    "dict(",
    "[x]",
    "{'a': x}",
    "not ",
    " in ",
    " == ",
    " is defined",
    "caller()",
    "{% call m(1) %}",
    "{% endcall %}",
    "raise_exception('x')",
    "{#",
    "#}",
    "-%}",
    "{%-",
];

pub(super) const TOML: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "=",
    "\"",
    "\"\"\"",
    "'''",
    "{",
    "}",
    ",",
    "\n",
    "nan",
    "inf",
    "-inf",
    "true",
    "0x7f",
    "#",
    "[prompt]",
    "[multiple_choice]",
    "template = \"{{ a }}\"",
    "limit = { sample = 1 }",
    "[few_shot]",
    "seeds =",
    "[sft]",
    "[review]",
    "iterations =",
    "{{ x|regex_replace('', x) }}",
    "1979-05-27T07:32:00Z",
    "\\uD800",
];

pub(super) const CSV: &[&str] =
    &["\"", "\"\"", ",", "\n", "\r\n", "\r", ";", "\t", "prompt", "response", "\u{feff}", "\0", "#"];

/// One change somewhere.
pub(super) fn changed(mut input: Vec<u8>, other: &[u8], words: &[&str], random: &mut ChaCha8Rng) -> Vec<u8> {
    if input.is_empty() {
        return other.to_vec();
    }
    match random.random_range(0..7) {
        0 => {
            let numbers = numbers(&input);
            if !numbers.is_empty() {
                let number = NUMBERS[random.random_range(0..NUMBERS.len())];
                let place = numbers[random.random_range(0..numbers.len())].clone();
                input.splice(place, number.bytes());
            }
            input
        }
        1 | 2 => {
            let place = bytes::place(input.len(), random);
            let word = words[random.random_range(0..words.len())];
            let times = if random.random_ratio(1, 40) { 1 << random.random_range(1..14) } else { 1 };
            input.splice(place..place, word.repeat(times).into_bytes());
            input
        }
        3 => {
            // A word in the place of a word.
            let start = bytes::place(input.len(), random);
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let end = start + input[start..].iter().take_while(|byte| is_part(byte)).count();
            let word = words[random.random_range(0..words.len())];
            input.splice(start..end, word.bytes());
            input
        }
        4 => {
            // A part between brackets, twice or not at all.
            let start = bytes::place(input.len(), random);
            let Some(open) = input[start..].iter().position(|byte| b"{[(".contains(byte)) else {
                return input;
            };
            let open = start + open;
            let Some(close) = closing(&input[open..]) else { return input };
            let part = input[open..=open + close].to_vec();
            let times = [0, 2, 3, 100][random.random_range(0..4)];
            input.splice(open..=open + close, part.repeat(times));
            input
        }
        _ => bytes::changed(input, other, random),
    }
}

/// Where whole numbers stand.
fn numbers(text: &[u8]) -> Vec<Range<usize>> {
    let mut numbers: Vec<Range<usize>> = Vec::new();
    for (place, byte) in text.iter().enumerate() {
        if byte.is_ascii_digit() {
            match numbers.last_mut() {
                Some(number) if number.end == place => number.end += 1,
                _ => numbers.push(place..place + 1),
            }
        }
    }
    numbers
}

/// Where the bracket at the beginning is closed.
fn closing(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    text.iter().position(|byte| {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}
