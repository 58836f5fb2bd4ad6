//! Changes to inputs: of bytes, of text by the words of its language, of GGUF by its entries, and of what is packed.

mod bytes;
mod gguf;
mod text;

use std::io::{Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How an input is made of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Bytes,
    Gguf,
    Safetensors,
    Json,
    Jinja,
    Toml,
    Csv,
    Gzip,
    Zstd,
}

/// The longest input that is made.
const MOST_BYTES: usize = 1 << 20;

/// `base` with some changes, which may take parts of `other`.
pub(crate) fn changed(format: Format, base: Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut input = base;
    for _ in 0..1_u32 << random.random_range(0..4) {
        input = once(format, input, other, random);
    }
    input.truncate(MOST_BYTES);
    input
}

fn once(format: Format, input: Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let words: &[&str] = match format {
        Format::Bytes => return bytes::changed(input, other, random),
        // Now and then the bytes, whatever they are.
        _ if random.random_ratio(1, 8) => return bytes::changed(input, other, random),
        Format::Gguf => return gguf::changed(input, other, random),
        Format::Safetensors => return within_header(input, other, random),
        Format::Gzip => return repacked(&input, other, random, unzipped, zipped),
        Format::Zstd => {
            return repacked(
                &input,
                other,
                random,
                |packed| zstd::stream::decode_all(packed).ok(),
                |plain| zstd::stream::encode_all(plain, 1).unwrap_or_default(),
            );
        }
        Format::Json => text::JSON,
        Format::Jinja => text::JINJA,
        Format::Toml => text::TOML,
        Format::Csv => text::CSV,
    };
    text::changed(input, other, words, random)
}

/// A safetensors file with its header changed, and its length set right.
fn within_header(input: Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let length = input.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length));
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8));
    let Some((header, data)) = end.and_then(|end| input.get(8..end).zip(input.get(end..))) else {
        return bytes::changed(input, other, random);
    };
    let header = text::changed(header.to_vec(), other.get(8..).unwrap_or_default(), text::JSON, random);
    [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()
}

/// A packed file with what it holds changed.
fn repacked(
    input: &[u8],
    other: &[u8],
    random: &mut ChaCha8Rng,
    unpacked: impl Fn(&[u8]) -> Option<Vec<u8>>,
    packed: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    match (random.random_range(0..3), unpacked(input)) {
        (0, _) | (_, None) => bytes::changed(input.to_vec(), other, random),
        // Several members or frames in one file.
        (1, Some(_)) => [input, other].concat(),
        (_, Some(plain)) => {
            let other = unpacked(other).unwrap_or_default();
            packed(&text::changed(plain, &other, text::JSON, random))
        }
    }
}

fn unzipped(packed: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).take(MOST_BYTES as u64).read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn zipped(plain: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(plain).and_then(|()| packed.finish()).unwrap_or_default()
}
