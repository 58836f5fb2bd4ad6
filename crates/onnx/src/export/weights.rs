//! Weights as constants: in the file itself or in one beside it, as floats or as blocks of 8-bit integers.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use half::f16;
use lancer_model::{ModelError, NormWeight, Tensor, TensorSource};
use rayon::prelude::*;

use super::settings::WeightType;
use crate::proto::{DataLocation, ElementType, StringStringEntryProto, TensorProto};

/// Where a tensor begins in an external file: at a multiple of a memory page, so that it can be mapped.
const ALIGNMENT: u64 = 4096;
/// Tensors below so many bytes stay in the file itself.
const SMALL: usize = 1024;
/// Weights that share a scale.
pub(super) const BLOCK: usize = 32;

/// Reads a model's weights and keeps them as constants.
pub(super) struct Weights<'a> {
    source: &'a dyn TensorSource,
    kind: WeightType,
    external: Option<External>,
}

/// A file beside the model's for its weights.
struct External {
    path: PathBuf,
    name: String,
    file: BufWriter<File>,
    length: u64,
}

/// A matrix of 8-bit integers, [`BLOCK`] neighbours in a row with a common scale.
pub(super) struct Blocks {
    /// `[rows, blocks in a row, BLOCK]`; 128 stands for zero.
    pub(super) integers: TensorProto,
    /// `[rows × blocks in a row]`.
    pub(super) scales: TensorProto,
}

impl<'a> Weights<'a> {
    /// Weights go into the file `external` where there is one.
    pub(super) fn new(
        source: &'a dyn TensorSource,
        kind: WeightType,
        external: Option<&Path>,
    ) -> Result<Self, ModelError> {
        let external = external.map(External::create).transpose()?;
        Ok(Self { source, kind, external })
    }

    /// How matrices are written.
    pub(super) fn kind(&self) -> WeightType {
        self.kind
    }

    /// In which type the model computes.
    pub(super) fn compute(&self) -> ElementType {
        match self.kind {
            WeightType::F32 | WeightType::Int8 => ElementType::Float,
            WeightType::F16 => ElementType::Float16,
        }
    }

    /// A tensor as the model computes with it.
    pub(super) fn tensor(&mut self, name: &str) -> Result<TensorProto, ModelError> {
        let tensor = self.source.tensor(name)?;
        self.floats(name, &tensor.shape, &tensor.data, self.compute())
    }

    /// By what a norm multiplies.
    pub(super) fn norm(&mut self, name: &str, meaning: NormWeight) -> Result<TensorProto, ModelError> {
        let mut tensor = self.source.tensor(name)?;
        if meaning == NormWeight::FactorLessOne {
            tensor.data.iter_mut().for_each(|weight| *weight += 1.0);
        }
        self.floats(name, &tensor.shape, &tensor.data, self.compute())
    }

    /// A table that is looked up only: in 16 bits, except where all is in 32.
    pub(super) fn table(&mut self, name: &str) -> Result<TensorProto, ModelError> {
        let tensor = self.source.tensor(name)?;
        let kind = match self.kind {
            WeightType::F32 => ElementType::Float,
            WeightType::F16 | WeightType::Int8 => ElementType::Float16,
        };
        self.floats(name, &tensor.shape, &tensor.data, kind)
    }

    /// A matrix of `[output, input]` as `[input, output]`, the order that `MatMul` takes.
    pub(super) fn transposed(&mut self, name: &str) -> Result<TensorProto, ModelError> {
        let Tensor { shape, data } = self.source.tensor(name)?;
        let (rows, columns) = (shape[0], shape[1]);
        let mut turned = vec![0.0; data.len()];
        turned.par_chunks_mut(rows).enumerate().for_each(|(column, turned)| {
            for (row, weight) in turned.iter_mut().enumerate() {
                *weight = data[row * columns + column];
            }
        });
        self.floats(name, &[columns, rows], &turned, self.compute())
    }

    /// A matrix of `[output, input]` in blocks along its inputs.
    pub(super) fn blocks(&mut self, name: &str) -> Result<Blocks, ModelError> {
        let Tensor { shape, data } = self.source.tensor(name)?;
        let (rows, columns) = (shape[0], shape[1]);
        let blocks = columns.div_ceil(BLOCK);
        // A last block that is not full is filled up with zeros.
        let mut integers = vec![128_u8; rows * blocks * BLOCK];
        let mut scales = vec![0.0_f32; rows * blocks];
        integers
            .par_chunks_mut(blocks * BLOCK)
            .zip(scales.par_chunks_mut(blocks))
            .zip(data.par_chunks(columns))
            .for_each(|((integers, scales), weights)| {
                for ((integers, scale), weights) in
                    integers.chunks_mut(BLOCK).zip(scales).zip(weights.chunks(BLOCK))
                {
                    *scale = quantise(weights, integers);
                }
            });
        let integers =
            self.keep(format!("{name}.int8"), &[rows, blocks, BLOCK], ElementType::Uint8, integers)?;
        let scales = self.floats(&format!("{name}.scales"), &[rows * blocks], &scales, ElementType::Float)?;
        Ok(Blocks { integers, scales })
    }

    /// Computed numbers, such as those of the rotary embedding, as the model computes with them.
    pub(super) fn computed(
        &mut self,
        name: &str,
        shape: &[usize],
        data: &[f32],
    ) -> Result<TensorProto, ModelError> {
        self.floats(name, shape, data, self.compute())
    }

    /// Closes the file of the weights.
    pub(super) fn finish(&mut self) -> Result<(), ModelError> {
        match &mut self.external {
            Some(external) => external.file.flush().map_err(|source| written(&external.path, source)),
            None => Ok(()),
        }
    }

    fn floats(
        &mut self,
        name: &str,
        shape: &[usize],
        data: &[f32],
        kind: ElementType,
    ) -> Result<TensorProto, ModelError> {
        let bytes = match kind {
            ElementType::Float16 => {
                data.iter().flat_map(|&weight| f16::from_f32(weight).to_le_bytes()).collect()
            }
            _ => data.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
        };
        self.keep(name.into(), shape, kind, bytes)
    }

    fn keep(
        &mut self,
        name: String,
        shape: &[usize],
        kind: ElementType,
        bytes: Vec<u8>,
    ) -> Result<TensorProto, ModelError> {
        let mut tensor = TensorProto {
            dims: shape.iter().map(|&length| length as i64).collect(),
            data_type: Some(kind as i32),
            name,
            ..TensorProto::default()
        };
        match &mut self.external {
            Some(external) if bytes.len() >= SMALL => {
                tensor.external_data = external.append(&bytes)?;
                tensor.data_location = Some(DataLocation::External as i32);
            }
            _ => tensor.raw_data = Some(bytes),
        }
        Ok(tensor)
    }
}

impl External {
    fn create(path: &Path) -> Result<Self, ModelError> {
        let file = File::create(path).map_err(|source| written(path, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path: path.into(), name, file: BufWriter::new(file), length: 0 })
    }

    /// Writes a tensor; where it stands, as `TensorProto` says it.
    fn append(&mut self, bytes: &[u8]) -> Result<Vec<StringStringEntryProto>, ModelError> {
        let offset = self.length.next_multiple_of(ALIGNMENT);
        let gap = vec![0; (offset - self.length) as usize];
        self.file
            .write_all(&gap)
            .and_then(|()| self.file.write_all(bytes))
            .map_err(|source| written(&self.path, source))?;
        self.length = offset + bytes.len() as u64;
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
        Ok(vec![
            entry("location", self.name.clone()),
            entry("offset", offset.to_string()),
            entry("length", bytes.len().to_string()),
        ])
    }
}

/// Rounds a block of weights to multiples of its scale, which is returned; 128 stands for zero.
fn quantise(weights: &[f32], integers: &mut [u8]) -> f32 {
    let largest = weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
    let scale = largest / 127.0;
    if scale > 0.0 {
        for (integer, weight) in integers.iter_mut().zip(weights) {
            *integer = ((weight / scale).round() + 128.0) as u8;
        }
    }
    scale
}

fn written(path: &Path, source: io::Error) -> ModelError {
    ModelError::Io { path: path.into(), action: "write", source }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK, quantise};

    proptest! {
        #[test]
        fn a_weight_is_off_by_half_a_step_at_most(
            weights in prop::collection::vec(-3.0_f32..3.0, 1..=BLOCK), small in any::<bool>(),
        ) {
            let weights: Vec<f32> = weights.into_iter().map(|w| if small { w * 1e-6 } else { w }).collect();
            let mut integers = [128_u8; BLOCK];
            let scale = quantise(&weights, &mut integers);
            for (&integer, weight) in integers.iter().zip(&weights) {
                let back = (f32::from(integer) - 128.0) * scale;
                prop_assert!((back - weight).abs() <= scale * 0.501, "{weight} became {back}, scale {scale}");
            }
            prop_assert!(integers[weights.len()..].iter().all(|&filling| filling == 128));
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut integers = [128_u8; BLOCK];
        assert!(quantise(&[0.0; BLOCK], &mut integers).abs() < f32::EPSILON);
        assert_eq!(integers, [128; BLOCK]);
    }
}
