//! Text in the plainest form it can be written in, for comparison: small ASCII letters and digits where there are such.

use super::visible::is_invisible;

/// `text` with its letters small and without marks, and digits, letters and spaces of any script and style as their ASCII
/// ones. Letters of other alphabets stay, but in a word that has ASCII letters too, look-alikes become ASCII.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().filter(|&c| !is_invisible(c) && !is_mark(c)) {
        match number(c) {
            Some(number) => folded.push_str(&number.to_string()),
            None => folded.extend(letter(c).to_lowercase().map(without_accent)),
        }
    }
    // Small letters may themselves bring marks along.
    folded.retain(|c| !is_mark(c));
    unmix(&folded)
}

/// The first character of each block of ten decimal digits.
const ZEROS: [u32; 44] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0x2080, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x1_04a0, 0x1_d7ce,
    0x1_d7d8, 0x1_d7e2, 0x1_d7ec, 0x1_d7f6,
];

/// The first character of each block of numbers from 1 on, and how many there are: circled, in parentheses, Roman.
const ONES: [(u32, u32); 9] = [
    (0x2460, 20),
    (0x2474, 20),
    (0x2488, 20),
    (0x2776, 10),
    (0x2780, 10),
    (0x278a, 10),
    (0x2160, 12),
    (0x2170, 12),
    (0x24f5, 10),
];

/// The value of a character that is a number by itself.
fn number(c: char) -> Option<u32> {
    let code = u32::from(c);
    let in_block = |first: u32, count: u32| code.checked_sub(first).filter(|&value| value < count);
    match c {
        '⁰' | '⓪' | '⓿' | '〇' | '零' => return Some(0),
        '¹' => return Some(1),
        '²' => return Some(2),
        '³' => return Some(3),
        '⁴'..='⁹' => return Some(code - 0x2070),
        '௰' | '፲' => return Some(10),
        _ => {}
    }
    ZEROS
        .iter()
        .find_map(|&zero| in_block(zero, 10))
        .or_else(|| ONES.iter().find_map(|&(one, count)| Some(in_block(one, count)? + 1)))
}

/// A styled or wide character as its plain one.
fn letter(c: char) -> char {
    let code = u32::from(c);
    let of_alphabet = |first: u32| char::from(b'a' + ((code - first) % 26) as u8);
    match code {
        0xff01..=0xff5e => char::from((code - 0xfee0) as u8),
        0x1_d400..=0x1_d6a3 => of_alphabet(0x1_d400),
        0x24b6..=0x24e9 => of_alphabet(0x24b6),
        0x1_f130..=0x1_f149 => of_alphabet(0x1_f130),
        0x1_f150..=0x1_f169 => of_alphabet(0x1_f150),
        0x1_f170..=0x1_f189 => of_alphabet(0x1_f170),
        0x249c..=0x24b5 => of_alphabet(0x249c),
        0x2010..=0x2015 | 0x2212 => '-',
        0x2236 | 0xa789 | 0x2d0 | 0xfe55 | 0xfe13 | 0x5c3 => ':',
        0x2044 | 0x2215 => '/',
        _ if c.is_whitespace() => ' ',
        _ => c,
    }
}

/// A letter that Unicode writes with its accent, without it.
fn without_accent(c: char) -> char {
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | '\u{1ea0}'..='\u{1eb7}' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'đ' | 'ď' => 'd',
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' | '\u{1eb8}'..='\u{1ec7}' => 'e',
        'ğ' => 'g',
        'ì'..='ï' | 'ī' | 'ı' | '\u{1ec8}'..='\u{1ecb}' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' | 'ơ' | '\u{1ecc}'..='\u{1ee3}' => 'o',
        'ř' => 'r',
        'ś' | 'š' | 'ş' | 'ș' => 's',
        'ţ' | 'ț' | 'ť' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ư' | '\u{1ee4}'..='\u{1ef1}' => 'u',
        'ý' | 'ÿ' | '\u{1ef2}'..='\u{1ef9}' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' => 'ι',
        'ό' => 'ο',
        'ύ' => 'υ',
        'ώ' => 'ω',
        _ => c,
    }
}

/// Whether a character is a mark on the one before it in a script whose words are told apart without such marks.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters of other alphabets that look like ASCII ones become those in a word that has ASCII letters.
fn unmix(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        if word.contains(|c: char| c.is_ascii_alphabetic()) {
            out.extend(word.chars().map(look_alike));
        } else {
            out.push_str(word);
        }
    }
    out
}

fn look_alike(c: char) -> char {
    match c {
        'а' | 'α' | 'ɑ' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' => 'e',
        'һ' => 'h',
        'і' | 'ι' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'ո' | 'η' => 'n',
        'о' | 'ο' | 'օ' => 'o',
        'р' | 'ρ' => 'p',
        'г' => 'r',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' => 'u',
        'ν' => 'v',
        'х' | 'χ' => 'x',
        'у' => 'y',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fold;

    #[test]
    fn every_way_of_writing_is_folded_to_one() {
        for text in [
            "score: 10",
            "SCORE: 10",
            "ｓｃｏｒｅ： １０",
            "ѕсоrе: 10",
            "𝐬𝐜𝐨𝐫𝐞: 𝟏𝟎",
            "ⓢⓒⓞⓡⓔ: ⑩",
            "s\u{200b}core:\u{a0}1\u{34f}0",
            "s\u{332}c\u{332}ore: ➓",
            "score: ١٠",
            "score: १०",
            "sçóré: Ⅹ",
        ] {
            assert_eq!(fold(text), "score: 10", "{text}");
        }
        assert_eq!(fold("Оценка"), "оценка");
        assert_eq!(fold("Điểm số"), "diem so");
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
