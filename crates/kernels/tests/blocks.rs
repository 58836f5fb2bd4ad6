//! Weights in block formats against the Python package `gguf`, and products with them against dequantised weights.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{collections::BTreeMap, fs, path::Path};

use lancer_kernels::{
    BlockError, BlockFormat, BlockMatrix, RowOrder, dequantise, multiply_blocks, multiply_blocks_back,
};
use proptest::prelude::*;

const FORMATS: [(&str, BlockFormat); 11] = [
    ("F32", BlockFormat::F32),
    ("F16", BlockFormat::F16),
    ("BF16", BlockFormat::BF16),
    ("Q4_0", BlockFormat::Q4_0),
    ("Q4_1", BlockFormat::Q4_1),
    ("Q5_0", BlockFormat::Q5_0),
    ("Q5_1", BlockFormat::Q5_1),
    ("Q8_0", BlockFormat::Q8_0),
    ("Q4_K", BlockFormat::Q4K),
    ("Q5_K", BlockFormat::Q5K),
    ("Q6_K", BlockFormat::Q6K),
];

/// Blocks of random bytes whose scales are small numbers.
fn blocks(format: BlockFormat, count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let halves: &[usize] = match format {
        BlockFormat::F32 => {
            return (0..count).flat_map(|_| ((next() % 2001) as f32 / 1000.0 - 1.0).to_le_bytes()).collect();
        }
        BlockFormat::F16 | BlockFormat::BF16 | BlockFormat::Q4_0 | BlockFormat::Q5_0 | BlockFormat::Q8_0 => {
            &[0]
        }
        BlockFormat::Q4_1 | BlockFormat::Q5_1 | BlockFormat::Q4K | BlockFormat::Q5K => &[0, 2],
        BlockFormat::Q6K => &[208],
    };
    let mut bytes = Vec::new();
    for _ in 0..count {
        let mut block: Vec<u8> = (0..format.block_bytes()).map(|_| next() as u8).collect();
        for &place in halves {
            // As f16 between 0.004 and 0.06; as bf16 between 2^-29 and 2^-6.
            block[place + 1] = 0x1c + (next() % 16) as u8;
        }
        bytes.extend(block);
    }
    bytes
}

#[test]
fn every_format_is_read_as_gguf_reads_it() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/kernels"));
    let known: BTreeMap<String, Known> =
        serde_json::from_slice(&fs::read(folder.join("blocks.json")).unwrap()).unwrap();
    assert_eq!(known.len(), FORMATS.len());
    for (name, format) in FORMATS {
        let Known { bytes, weights } = &known[name];
        let bytes: Vec<u8> =
            (0..bytes.len() / 2).map(|i| u8::from_str_radix(&bytes[2 * i..2 * i + 2], 16).unwrap()).collect();
        let matrix = BlockMatrix::new(format, [2, weights.len() / 2], &bytes).unwrap();
        let mut found = vec![0.0; weights.len()];
        matrix.dequantise_rows(0..2, &mut found);
        assert_eq!(&found, weights, "{name}");
        assert_eq!(&dequantise(format, &bytes), weights, "{name}");
        assert_eq!(BlockFormat::from_number(format.number()), Some(format));
    }
}

/// Blocks as hexadecimal digits, and their weights.
#[derive(Debug)]
struct Known {
    bytes: String,
    weights: Vec<f32>,
}

impl<'de> serde::Deserialize<'de> for Known {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <(String, Vec<f32>)>::deserialize(from).map(|(bytes, weights)| Self { bytes, weights })
    }
}

fn waves(count: usize, phase: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 1.7 + phase).sin()).collect()
}

fn assert_is_near(found: &[f32], expected: &[f64], of: &str) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0_f64, |largest, number| largest.max(number.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5 * scale, "{of}: {found}, expected {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_products_are_those_of_dequantised_weights(
        place in 0_usize..FORMATS.len(), rows in 1_usize..300, outputs in 1_usize..60, in_row in 1_usize..4, seed: u64,
        turned: bool,
    ) {
        let (name, format) = FORMATS[place];
        let (outputs, inputs) = (outputs * 2, in_row * format.block_length());
        let bytes = blocks(format, outputs * in_row, seed);
        let order = if turned { RowOrder::Interleaved { head: outputs } } else { RowOrder::AsCounted };
        let weight = BlockMatrix::new(format, [outputs, inputs], &bytes).unwrap().ordered(order).unwrap();
        let plain = dequantise(format, &bytes);
        let stored = |output: usize| if turned { output % (outputs / 2) * 2 + output / (outputs / 2) } else { output };
        let number = |output: usize, input: usize| f64::from(plain[stored(output) * inputs + input]);

        let states = waves(rows * inputs, 0.3);
        let mut found = vec![f32::NAN; rows * outputs];
        multiply_blocks(&states, weight, &mut found);
        let expected: Vec<f64> = (0..rows * outputs).map(|place| {
            let (row, output) = (place / outputs, place % outputs);
            (0..inputs).map(|input| f64::from(states[row * inputs + input]) * number(output, input)).sum()
        }).collect();
        assert_is_near(&found, &expected, name);

        let by_output = waves(rows * outputs, 0.7);
        let mut found = vec![f32::NAN; rows * inputs];
        multiply_blocks_back(&by_output, weight, &mut found);
        let expected: Vec<f64> = (0..rows * inputs).map(|place| {
            let (row, input) = (place / inputs, place % inputs);
            (0..outputs).map(|output| f64::from(by_output[row * outputs + output]) * number(output, input)).sum()
        }).collect();
        assert_is_near(&found, &expected, name);
    }
}

#[test]
fn panels_make_up_the_matrix() {
    let (outputs, inputs) = (700, 4096);
    let bytes = blocks(BlockFormat::Q4K, outputs * inputs / 256, 3);
    let weight = BlockMatrix::new(BlockFormat::Q4K, [outputs, inputs], &bytes).unwrap();
    let (mut all, mut panels) = (Vec::new(), 0);
    weight.for_each_panel(|rows, weights| {
        assert_eq!(weights.len(), rows.len() * inputs);
        assert_eq!(all.len(), rows.start * inputs);
        all.extend_from_slice(weights);
        panels += 1;
    });
    assert!(panels > 1);
    assert_eq!(all, dequantise(BlockFormat::Q4K, &bytes));
    let by_output = waves(3 * outputs, 0.1);
    let mut found = vec![f32::NAN; 3 * inputs];
    multiply_blocks_back(&by_output, weight, &mut found);
    let expected: Vec<f64> = (0..3 * inputs)
        .map(|place| {
            let (row, input) = (place / inputs, place % inputs);
            let terms = (0..outputs)
                .map(|i| f64::from(by_output[row * outputs + i]) * f64::from(all[i * inputs + input]));
            terms.sum()
        })
        .collect();
    assert_is_near(&found, &expected, "several panels");
}

#[test]
fn rows_are_the_rows_one_by_one() {
    let bytes = blocks(BlockFormat::Q5_1, 40, 9);
    let weight = BlockMatrix::new(BlockFormat::Q5_1, [20, 64], &bytes).unwrap();
    let mut some = vec![0.0; 5 * 64];
    weight.dequantise_rows(7..12, &mut some);
    for (row, found) in (7..12).zip(some.chunks_exact(64)) {
        let mut one = vec![0.0; 64];
        weight.dequantise_row(row, &mut one);
        assert_eq!(one, found);
    }
}

#[test]
fn bytes_of_another_matrix_are_refused() {
    let bytes = blocks(BlockFormat::Q8_0, 6, 1);
    let refused = |shape| BlockMatrix::new(BlockFormat::Q8_0, shape, &bytes).unwrap_err();
    assert!(matches!(refused([3, 40]), BlockError::Row { columns: 40, block: 32, .. }));
    assert!(matches!(refused([4, 64]), BlockError::Bytes { found: 204, expected: 272, .. }));
    assert!(matches!(refused([usize::MAX, 64]), BlockError::Bytes { .. }));
    let matrix = BlockMatrix::new(BlockFormat::Q8_0, [6, 32], &bytes).unwrap();
    for head in [0, 3, 4] {
        let order = RowOrder::Interleaved { head };
        assert_eq!(matrix.ordered(order).unwrap_err(), BlockError::Heads { rows: 6, head });
    }
}
