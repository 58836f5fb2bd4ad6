//! Low-rank adapters on disk (LoRA; Hu et al. 2021, arXiv 2106.09685): what training makes of a model whose own weights stay as they
//! are.
//!
//! An adapter is a folder as PEFT has it, with a note of its base beside it, or a GGUF file as llama.cpp's
//! `convert_lora_to_gguf.py` writes it.

mod base;
mod gguf;
mod peft;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lancer_kernels::{Matrix, MatrixMut, Write, multiply};
use rayon::prelude::*;

pub use self::base::AdapterBase;
pub(crate) use self::base::NOTE as BASE_NOTE;
use crate::{Config, Model, ModelError, Tensor};

/// A low-rank adapter: to a matrix `W` it adds `scale · B A`.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// What the pairs' products are multiplied by.
    pub scale: AdapterScale,
    /// `A` and `B` by the Hugging Face name of what they are added to, such as `model.layers.0.self_attn.q_proj`.
    pub pairs: BTreeMap<String, AdapterPair>,
    /// The probability of dropout with which it was trained.
    pub dropout: f64,
    /// The model over which it was trained, where that is known.
    pub base: Option<AdapterBase>,
}

/// What `B A` is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdapterScale {
    /// The rank, at least 1.
    pub rank: usize,
    /// Above 0.
    pub alpha: f64,
    /// Whether `alpha` is divided by the root of the rank in place of the rank (`rsLoRA`).
    pub by_root: bool,
}

/// The two matrices of an adapter beside one matrix `[output, input]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterPair {
    /// `A: [rank, input]`.
    pub down: Tensor,
    /// `B: [output, rank]`.
    pub up: Tensor,
}

impl AdapterScale {
    /// `alpha / rank`, or `alpha / √rank`.
    pub fn factor(self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.by_root { rank.sqrt() } else { rank }
    }
}

impl Adapter {
    /// Whether there is an adapter at `path`: a folder with `adapter_config.json`, or a GGUF file that says so.
    pub fn is_at(path: &Path) -> bool {
        if path.is_dir() { path.join(peft::CONFIG).is_file() } else { gguf::is_adapter(path) }
    }

    /// Reads a PEFT folder or a GGUF adapter, and checks that it is one for a base of this shape.
    pub fn open(path: &Path, config: &Config) -> Result<Self, ModelError> {
        let is_folder = path.is_dir();
        let mut adapter = if is_folder { peft::read(path)? } else { gguf::read(path, config)? };
        adapter.check(path, config)?;
        if !is_folder {
            gguf::reorder(&mut adapter, config);
        }
        Ok(adapter)
    }

    /// The base that an adapter names, if it does.
    pub fn base_of(path: &Path) -> Result<Option<AdapterBase>, ModelError> {
        if path.is_dir() { AdapterBase::beside(path) } else { gguf::base_of(path) }
    }

    /// Writes a PEFT folder with the tokenizer and the chat template of `model`. It is whole or absent, and replaces nothing
    /// but an empty folder.
    pub fn write_folder(&self, model: &Model, to: &Path) -> Result<(), ModelError> {
        peft::write(self, model, to)
    }

    /// Writes a GGUF adapter for llama.cpp, over a base of `config`. It is whole or absent, and replaces nothing.
    pub fn write_gguf(&self, config: &Config, to: &Path) -> Result<(), ModelError> {
        gguf::write(self, config, to)
    }

    /// The pair beside the matrix of this name, without `.weight`.
    pub fn pair(&self, module: &str) -> Option<&AdapterPair> {
        self.pairs.get(module)
    }

    /// Checks that it is one for a model of this shape; `path` is the adapter's.
    pub(crate) fn check(&self, path: &Path, config: &Config) -> Result<(), ModelError> {
        let wrong = |reason: String| ModelError::Adapter { path: path.into(), reason };
        let AdapterScale { rank, alpha, .. } = self.scale;
        if rank == 0 || !(alpha > 0.0 && alpha.is_finite()) {
            return Err(wrong(format!("its rank is {rank} and its alpha {alpha}; both must be above 0")));
        }
        for (module, pair) in &self.pairs {
            let part = module.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
            let in_model =
                part.filter(|(layer, _)| layer.parse().is_ok_and(|layer: usize| layer < config.layers));
            let shape = in_model.and_then(|(_, part)| config.tensor_shape(&format!("{part}.weight")));
            let Some([output, input]) = shape.as_deref().and_then(|shape| <[usize; 2]>::try_from(shape).ok())
            else {
                return Err(wrong(format!(
                    "it changes `{module}`, and the base has no such matrix; the adapter is of another base"
                )));
            };
            let (down, up) = (&pair.down.shape, &pair.up.shape);
            if *down != [self.scale.rank, input] || *up != [output, self.scale.rank] {
                return Err(wrong(format!(
                    "its A {down:?} and B {up:?} for `{module}` do not fit rank {} and the base's [{output}, {input}]; the adapter \
                     is of another base",
                    self.scale.rank
                )));
            }
        }
        Ok(())
    }

    /// Adds the pair of this tensor, if it has one, to its weights.
    pub(crate) fn merge_into(&self, name: &str, weights: &mut Tensor) {
        if let Some(pair) = name.strip_suffix(".weight").and_then(|module| self.pair(module)) {
            pair.merge_into(self.scale.factor(), weights);
        }
    }
}

impl AdapterPair {
    /// Adds `factor · B A` to the weights `[output, input]` beside which it is. Whatever merges adapters does it by this, so that
    /// the same adapter makes the same weights to the last bit.
    ///
    /// # Panics
    /// Where it is not one for a matrix of this shape.
    pub fn merge_into(&self, factor: f64, weights: &mut Tensor) {
        /// Rows of weights that one thread takes at a time.
        const ROWS: usize = 64;
        let (rank, inputs) = (self.down.shape[0], weights.shape[1]);
        assert_eq!(
            [self.up.shape[0], rank, inputs],
            [weights.shape[0], self.up.shape[1], self.down.shape[1]],
            "matrices that fit each other"
        );
        let down: Vec<f32> = self.down.data.iter().map(|number| number * factor as f32).collect();
        let rows = weights.data.par_chunks_mut(ROWS * inputs).zip(self.up.data.par_chunks(ROWS * rank));
        rows.for_each(|(weights, up)| {
            let rows = up.len() / rank;
            multiply(
                Matrix::new(up, [rows, rank], rank),
                Matrix::new(&down, [rank, inputs], inputs),
                MatrixMut::new(weights, [rows, inputs], inputs),
                Write::Add,
            );
        });
    }
}

/// A path as it is written into files that may be read from elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}
