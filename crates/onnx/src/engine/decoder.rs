//! The model in a session: a pass of tokens over a cache gives logits.

use std::{borrow::Cow, error::Error, path::Path};

use half::f16;
use lancer_backend::{BackendError, TokenId};
use ort::{
    environment::Environment,
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
    session::{IoBinding, Session, SessionOutputs, builder::GraphOptimizationLevel},
    value::{DynValue, Tensor, TensorElementType, ValueType},
};

use super::{
    cache::{Cache, CacheId, Memory},
    engine_error,
    interface::{Interface, LOGITS, Padding},
    library::LIBRARY_VARIABLE,
    settings::OnnxSettings,
};
use crate::export::KEEP;

/// A loaded model.
///
/// What stands in a device's memory is dropped before the session that the device belongs to.
pub(super) struct Decoder {
    binding: IoBinding,
    /// The cache that is bound, where runs write into it.
    bound: Option<CacheId>,
    cache_memory: Memory,
    session: Session,
    interface: Interface,
    processor: MemoryInfo<'static>,
}

/// Logits of the last tokens of each row, `[rows, kept, vocabulary]`.
pub(super) struct Logits {
    values: DynValue,
    rows: usize,
}

impl Decoder {
    pub(super) fn load(
        environment: &Environment,
        path: &Path,
        settings: &OnnxSettings,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let plain = |error: ort::Error<_>| error.message().to_owned();
        let session = Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(plain)?
            .with_intra_threads(settings.thread_count())
            .map_err(plain)?
            // Sums of 8-bit products overflow in ONNX Runtime on processors without VNNI, where weights have more than 7 bits;
            // it takes slower products there and for such weights only.
            .with_precise_qmm()
            .map_err(plain)?
            .with_execution_providers(settings.provider.dispatch())
            .map_err(|error| {
                let (message, package) = (plain(error), settings.provider.package());
                format!(
                    "{}; {LIBRARY_VARIABLE} can name another ONNX Runtime, such as the library of PyPI's {package}",
                    message.trim_end_matches(['.', ' '])
                )
            })?
            .commit_from_file(path)?;
        let interface = Interface::read(&session, path)?;
        if interface.padding == Padding::Right && !settings.provider.has_fused_attention() {
            return Err(
                "ONNX Runtime has no GroupQueryAttention on this device that takes sequences of different \
                        lengths; write the model with `lancer convert --to onnx --operators plain`"
                    .into(),
            );
        }
        let binding = session.create_binding()?;
        let cache_memory = Memory::new(&session, &interface, settings.provider)?;
        let processor =
            MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
        Ok(Self { binding, bound: None, cache_memory, session, interface, processor })
    }

    /// Where the caches of its sequences are kept.
    pub(super) fn cache_memory(&mut self) -> &mut Memory {
        &mut self.cache_memory
    }

    pub(super) fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Reads the next tokens of each row, `[rows, new]`, into the cache. Gives the logits after the last `keep` of them,
    /// or after more.
    ///
    /// Several rows take one token each: `GroupQueryAttention` can do no more over a cache.
    pub(super) fn read(
        &mut self,
        tokens: &[TokenId],
        cache: &mut Cache,
        keep: usize,
    ) -> Result<Logits, BackendError> {
        let rows = cache.lengths().len();
        let new = tokens.len() / rows.max(1);
        self.run(tokens, cache, keep)
            .map_err(engine_error(format!("computing {new} tokens of {rows} sequences")))
    }

    fn run(&mut self, tokens: &[TokenId], cache: &mut Cache, keep: usize) -> ort::Result<Logits> {
        let rows = cache.lengths().len();
        let new = tokens.len() / rows;
        cache.reserve(&mut self.cache_memory, new)?;
        self.bind_tokens(tokens, cache, new, keep)?;
        self.bind_cache(cache)?;
        self.binding.bind_output_to_device(LOGITS, &self.processor)?;
        let mut outputs = self.session.run_binding(&self.binding)?;
        let values = taken(&mut outputs, LOGITS)?;
        let longer = match self.interface.padding {
            Padding::Right => None,
            Padding::Left => {
                let present =
                    self.interface.cache.iter().map(|names| taken(&mut outputs, &names.present)?.downcast());
                Some(present.collect::<ort::Result<Vec<_>>>()?)
            }
        };
        cache.advance(new, longer);
        Ok(Logits { values, rows })
    }

    fn bind_tokens(&mut self, tokens: &[TokenId], cache: &Cache, new: usize, keep: usize) -> ort::Result<()> {
        let rows = cache.lengths().len();
        let ids: Vec<i64> = tokens.iter().map(|token| i64::from(token.0)).collect();
        let length = |row: Option<usize>| row.unwrap_or(0);
        let columns = new
            + match self.interface.padding {
                Padding::Right => cache.longest(),
                Padding::Left => cache.capacity(),
            };
        let mut mask = vec![0_i64; rows * columns];
        for (mask, &row) in mask.chunks_exact_mut(columns).zip(cache.lengths()) {
            let count = length(row) + new;
            match self.interface.padding {
                Padding::Right => mask[..count].fill(1),
                Padding::Left => mask[columns - count..].fill(1),
            }
        }
        self.binding.bind_input("input_ids", &Tensor::from_array(([rows, new], ids))?)?;
        self.binding.bind_input("attention_mask", &Tensor::from_array(([rows, columns], mask))?)?;
        if self.interface.takes("position_ids") {
            let first = cache.lengths().iter().map(|&row| length(row) as i64);
            let positions: Vec<i64> = first.flat_map(|first| first..first + new as i64).collect();
            self.binding.bind_input("position_ids", &Tensor::from_array(([rows, new], positions))?)?;
        }
        if self.interface.takes(KEEP) {
            self.binding.bind_input(KEEP, &Tensor::from_array(((), vec![keep as i64]))?)?;
        }
        Ok(())
    }

    /// Binds the cache as it stands: no run copies it.
    fn bind_cache(&mut self, cache: &mut Cache) -> ort::Result<()> {
        // As long as the graph writes into the same tensors, they stay bound.
        if self.interface.padding == Padding::Right && self.bound == Some(cache.id()) {
            return Ok(());
        }
        self.bound = None;
        let memory = self.cache_memory.info().unwrap_or(&self.processor);
        for (names, tensor) in self.interface.cache.iter().zip(cache.tensors()) {
            self.binding.bind_input(&names.past, tensor)?;
            match self.interface.padding {
                Padding::Right => self.binding.bind_output(&names.present, tensor)?,
                Padding::Left => self.binding.bind_output_to_device(&names.present, memory)?,
            }
        }
        self.bound = Some(cache.id());
        Ok(())
    }
}

fn taken(outputs: &mut SessionOutputs<'_>, name: &str) -> ort::Result<DynValue> {
    outputs.remove(name).ok_or_else(|| ort::Error::new(format!("the model gave no `{name}`")))
}

impl Logits {
    /// The logits after a row's token, counted from its last: 0 is the last.
    pub(super) fn of(&self, row: usize, from_last: usize) -> Result<Cow<'_, [f32]>, BackendError> {
        self.slice(row, from_last).map_err(engine_error("reading logits"))
    }

    fn slice(&self, row: usize, from_last: usize) -> ort::Result<Cow<'_, [f32]>> {
        let ValueType::Tensor { ty, shape, .. } = self.values.dtype() else {
            return Err(ort::Error::new("the logits are no tensor"));
        };
        let vocabulary = shape.last().map_or(0, |&size| size as usize);
        let kept = shape.num_elements() / (self.rows * vocabulary).max(1);
        if row >= self.rows || from_last >= kept {
            return Err(ort::Error::new(format!("row {row} has {kept} logits, not {}", from_last + 1)));
        }
        let first = (row * kept + kept - 1 - from_last) * vocabulary;
        let range = first..first + vocabulary;
        Ok(match ty {
            TensorElementType::Float16 => {
                let (_, values) = self.values.try_extract_tensor::<f16>()?;
                Cow::Owned(values[range].iter().map(|value| value.to_f32()).collect())
            }
            _ => Cow::Borrowed(&self.values.try_extract_tensor::<f32>()?.1[range]),
        })
    }
}
