//! Where a model's layers are computed: how many of them go to graphics processors.

use std::{fmt, num::NonZeroUsize};

use lancer_model::gguf::GgufFile;
use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};

use crate::settings::{Decided, GpuLayers};

/// Memory of a device that stays free, for what other programs and the driver take meanwhile: a sixteenth of what is free,
/// and at least this many bytes.
const LEAST_MARGIN: u64 = 256 << 20;
/// Activations that a step holds at the same time, in multiples of tokens × (hidden size + feed-forward size) × 4 bytes.
const ACTIVATIONS: u64 = 6;

/// Where a model is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// On the processor: no graphics processor is built in or found, or the settings want none.
    Processor,
    /// On graphics processors, wholly or in part.
    Gpu {
        /// The last `layers` of the model's layers, its output counted as one, are on graphics processors.
        layers: u32,
        /// How many there are, the output counted as one.
        of: u32,
        /// The names of the devices, such as `NVIDIA H200 (CUDA0)`.
        devices: Vec<String>,
    },
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor => write!(f, "all layers on the processor"),
            Self::Gpu { layers, of, devices } => {
                write!(f, "{layers} of {of} layers on {}", devices.join(" and "))
            }
        }
    }
}

/// The bytes that a model takes on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Weights and KV cache of each layer, the first one first.
    layers: Vec<u64>,
    /// The weights after the last layer, with the embedding where it serves as output too.
    output: u64,
    /// Activations of a step and its logits.
    step: u64,
}

impl Needs {
    /// What a file's tensors need, with a KV cache of `cells` cells whose keys and values take `cache_bits` bits a number,
    /// and steps of `step_tokens` tokens.
    pub(crate) fn of(file: &GgufFile, shape: Shape, cells: u64, cache_bits: u64, step_tokens: u64) -> Self {
        let cache = cells * (shape.key_values * cache_bits).div_ceil(8);
        let mut layers = vec![cache; shape.layers];
        let (mut output, mut embedding) = (0, 0);
        for (name, tensor) in file.tensors() {
            let numbers = tensor.shape.iter().product::<usize>();
            let bytes = (numbers / tensor.kind.block_length() * tensor.kind.block_bytes()) as u64;
            let layer =
                name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            match layer.and_then(|layer| layers.get_mut(layer)) {
                Some(layer) => *layer += bytes,
                None if name == "token_embd.weight" => embedding = bytes,
                None => output += bytes,
            }
        }
        if !file.tensors().contains_key("output.weight") {
            output += embedding;
        }
        let step = step_tokens * 4 * (shape.vocabulary + ACTIVATIONS * shape.widths);
        Self { layers, output, step }
    }

    /// How many layers fit into devices with so many free bytes, from the last one on and the output counted as one.
    fn fitting(&self, free: &[u64]) -> u32 {
        let room = |&free: &u64| free.saturating_sub((free / 16).max(LEAST_MARGIN)).saturating_sub(self.step);
        let room: u64 = free.iter().map(room).sum();
        // llama.cpp moves the output after all layers only.
        let outputs = [self.output];
        let mut taken = 0;
        self.layers
            .iter()
            .rev()
            .chain(&outputs)
            .take_while(|&&bytes| {
                taken += bytes;
                taken <= room
            })
            .count() as u32
    }

    fn count(&self) -> u32 {
        self.layers.len() as u32 + 1
    }
}

/// What decides the size of a cache and of activations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) layers: usize,
    /// Keys and values of one token in one layer together, in numbers.
    pub(crate) key_values: u64,
    /// Hidden size and feed-forward size together.
    pub(crate) widths: u64,
    pub(crate) vocabulary: u64,
}

impl Shape {
    /// As the file's metadata say; 0 for what they do not say, which llama.cpp refuses itself.
    pub(crate) fn of(file: &GgufFile) -> Self {
        let (path, metadata) = (file.path(), file.metadata());
        let architecture = metadata.text(path, "general.architecture").ok().flatten().unwrap_or_default();
        let count = |key: &str| metadata.count(path, &format!("{architecture}.{key}")).ok().flatten();
        let hidden = count("embedding_length").unwrap_or_default();
        let heads = count("attention.head_count").and_then(|heads| NonZeroUsize::new(heads as usize));
        let head = heads.map_or(0, |heads| hidden / heads.get() as u64);
        let key_value_heads =
            count("attention.head_count_kv").unwrap_or(heads.map_or(0, |heads| heads.get() as u64));
        let sizes =
            count("attention.key_length").unwrap_or(head) + count("attention.value_length").unwrap_or(head);
        let vocabulary = file.tensors().get("token_embd.weight").map_or(0, |tensor| tensor.shape[0] as u64);
        Self {
            layers: count("block_count").unwrap_or_default() as usize,
            key_values: key_value_heads * sizes,
            widths: hidden + count("feed_forward_length").unwrap_or_default(),
            vocabulary,
        }
    }
}

/// The graphics processors that this build can use.
pub(crate) fn gpus() -> Vec<LlamaBackendDevice> {
    let is_gpu = |device: &LlamaBackendDevice| {
        matches!(device.device_type, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu)
    };
    list_llama_ggml_backend_devices().into_iter().filter(is_gpu).collect()
}

/// Decides where a model is computed on these devices.
pub(crate) fn place(needs: &Needs, decided: &Decided, gpus: &[LlamaBackendDevice]) -> Placement {
    let used = match decided.main_gpu {
        Some(main) => gpus.get(main as usize..=main as usize).unwrap_or_default(),
        None => gpus,
    };
    let free: Vec<u64> = used.iter().map(|device| device.memory_free as u64).collect();
    let layers = match decided.gpu_layers {
        GpuLayers::Auto => needs.fitting(&free),
        GpuLayers::Count(count) => count.min(needs.count()),
    };
    if layers == 0 || used.is_empty() {
        return Placement::Processor;
    }
    let devices = used.iter().map(|device| format!("{} ({})", device.description, device.name)).collect();
    Placement::Gpu { layers, of: needs.count(), devices }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn needs() -> Needs {
        Needs { layers: vec![GIB; 8], output: 2 * GIB, step: GIB / 2 }
    }

    #[test]
    fn as_many_layers_as_fit_into_free_memory_are_placed() {
        assert_eq!(needs().fitting(&[]), 0);
        assert_eq!(needs().fitting(&[GIB]), 0);
        // 4 GiB less a margin of a quarter and half a GiB for the step leave room for three layers.
        assert_eq!(needs().fitting(&[4 * GIB]), 3);
        assert_eq!(needs().fitting(&[24 * GIB]), 9);
        // The output is the last to move.
        assert_eq!(needs().fitting(&[10 * GIB]), 8);
    }

    #[test]
    fn each_device_keeps_its_own_margin() {
        assert_eq!(needs().fitting(&[4 * GIB, 4 * GIB]), 6);
    }
}
