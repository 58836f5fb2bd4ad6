//! What a model's file takes and gives: the layout of Hugging Face Optimum and onnx-community.

use std::{collections::BTreeSet, fs::File, io, path::Path};

use memmap2::Mmap;
use ort::{
    session::Session,
    value::{Outlet, TensorElementType, ValueType},
};
use prost::Message;

use crate::{
    export::KEEP,
    proto::{ElementType, NodeProto},
};

/// Where the tokens of a sequence stand in the cache's columns, and where what is left over is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// From the first column on: `GroupQueryAttention` reads only how many tokens there are, and writes new ones into the
    /// columns after them, in the same memory.
    Right,
    /// Up to the last column: the graph appends new columns to all sequences and masks what is left over.
    Left,
}

/// Which rows can stand in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    OfAnyLength,
    OfOneLength,
}

/// What a model's file takes and gives.
#[derive(Debug)]
pub(super) struct Interface {
    inputs: BTreeSet<String>,
    /// The cache's inputs and outputs, `past_key_values.N.key` and `present.N.key`.
    pub(super) cache: Vec<CacheNames>,
    pub(super) cache_type: TensorElementType,
    pub(super) kv_heads: usize,
    pub(super) head_size: usize,
    pub(super) padding: Padding,
    /// How weights are held, such as `F32`.
    pub(super) weight_format: String,
    /// Number of weights.
    pub(super) parameters: u64,
}

#[derive(Debug)]
pub(super) struct CacheNames {
    pub(super) past: String,
    pub(super) present: String,
}

/// A file is not that of a decoder with a cache.
#[derive(Debug, thiserror::Error)]
pub(super) enum InterfaceError {
    #[error("cannot read it")]
    Io(#[source] io::Error),
    #[error("it is no ONNX file")]
    NotOnnx(#[source] prost::DecodeError),
    #[error(
        "it has no inputs `past_key_values.N.key` and `.value`; export it with its cache, as Optimum's task \
         `text-generation-with-past` or `lancer convert --to onnx` do"
    )]
    NoCache,
    #[error(
        "its input `{0}` is not known; known are input_ids, attention_mask, position_ids, {KEEP} and past_key_values.N.key and .value"
    )]
    UnknownInput(String),
    #[error("it has no output `{0}`")]
    NoOutput(String),
    #[error(
        "its cache is {0}; it must be [batch, key-value heads, sequence, head size] of 16- or 32-bit floats"
    )]
    CacheShape(String),
}

impl Interface {
    /// Reads what `session`, loaded from `path`, takes and gives.
    pub(super) fn read(session: &Session, path: &Path) -> Result<Self, InterfaceError> {
        let outline = Outline::read(path)?;
        let mut cache = Vec::new();
        let mut inputs: BTreeSet<String> =
            session.overridable_initializers().iter().map(|input| input.name().to_owned()).collect();
        let mut shape = None;
        for input in session.inputs() {
            let name = input.name();
            if let Some(of_layer) = name.strip_prefix("past_key_values.") {
                cache.push(CacheNames { past: name.into(), present: format!("present.{of_layer}") });
                shape = Some(input.dtype().clone());
            } else if ["input_ids", "attention_mask", "position_ids", KEEP].contains(&name) {
                inputs.insert(name.into());
            } else {
                return Err(InterfaceError::UnknownInput(name.into()));
            }
        }
        let shape = shape.ok_or(InterfaceError::NoCache)?;
        let (cache_type, kv_heads, head_size) = cache_shape(&shape)?;
        let outputs: BTreeSet<&str> = session.outputs().iter().map(Outlet::name).collect();
        let wanted = cache.iter().map(|names| names.present.as_str()).chain([LOGITS]);
        if let Some(missing) = wanted.into_iter().find(|name| !outputs.contains(name)) {
            return Err(InterfaceError::NoOutput(missing.into()));
        }
        let fused = outline.nodes().any(|node| node.op_type == "GroupQueryAttention");
        Ok(Self {
            inputs,
            cache,
            cache_type,
            kv_heads,
            head_size,
            padding: if fused { Padding::Right } else { Padding::Left },
            weight_format: outline.weight_format(),
            parameters: outline.parameters(),
        })
    }

    /// Whether rows of different lengths can stand in one batch. A model that is not told positions counts them from the
    /// cache's columns: a sequence that does not begin in the first one would be taken for a longer one.
    pub(super) fn rows(&self) -> Rows {
        match self.padding {
            Padding::Left if !self.takes("position_ids") => Rows::OfOneLength,
            Padding::Left | Padding::Right => Rows::OfAnyLength,
        }
    }

    /// Whether the model has this input.
    pub(super) fn takes(&self, input: &str) -> bool {
        self.inputs.contains(input)
    }
}

/// The output with the logits.
pub(super) const LOGITS: &str = "logits";

/// No model has more heads, or wider ones; the cache is made as the file says.
const MAX_HEADS: i64 = 1 << 16;

fn cache_shape(kind: &ValueType) -> Result<(TensorElementType, usize, usize), InterfaceError> {
    let wrong = || InterfaceError::CacheShape(format!("{kind:?}"));
    let ValueType::Tensor { ty, shape, .. } = kind else { return Err(wrong()) };
    let [_, heads, _, size] = shape[..] else { return Err(wrong()) };
    let known = matches!(ty, TensorElementType::Float32 | TensorElementType::Float16)
        && [heads, size].iter().all(|length| (1..=MAX_HEADS).contains(length));
    match (usize::try_from(heads), usize::try_from(size)) {
        (Ok(heads), Ok(size)) if known => Ok((*ty, heads, size)),
        _ => Err(wrong()),
    }
}

/// A file without its weights.
#[derive(Clone, PartialEq, Message)]
struct Outline {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphOutline>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphOutline {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorOutline>,
}

/// A constant's description; its numbers are skipped.
#[derive(Clone, PartialEq, Message)]
struct TensorOutline {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
}

impl Outline {
    /// The file is mapped and its weights are stepped over: they are not read, and take no memory beside the session's.
    #[allow(unsafe_code, reason = "a file is mapped to be read")]
    fn read(path: &Path) -> Result<Self, InterfaceError> {
        let file = File::open(path).map_err(InterfaceError::Io)?;
        // SAFETY: the mapping ends with this function. A file that another process cuts meanwhile would end this one with
        // a signal, as it would a program that maps its model to run it; models are written beside their place and moved.
        let bytes = unsafe { Mmap::map(&file) }.map_err(InterfaceError::Io)?;
        Self::decode(&bytes[..]).map_err(InterfaceError::NotOnnx)
    }

    fn nodes(&self) -> impl Iterator<Item = &NodeProto> {
        self.graph.iter().flat_map(|graph| &graph.node)
    }

    /// The constants that a model has learnt, and how many numbers each has.
    fn weights(&self) -> impl Iterator<Item = (&TensorOutline, u64)> {
        let computed = ["cos_cache", "sin_cache", "scale", "zero_point"];
        self.graph.iter().flat_map(|graph| &graph.initializer).filter_map(move |tensor| {
            let learnt = !computed.iter().any(|part| tensor.name.contains(part));
            let dims = tensor.dims.iter().map(|length| length.unsigned_abs());
            learnt.then(|| (tensor, dims.fold(1, u64::saturating_mul)))
        })
    }

    fn parameters(&self) -> u64 {
        self.weights().map(|(_, count)| count).fold(0, u64::saturating_add)
    }

    /// The bits that matrices are quantised to, or the type of most weights.
    fn weight_format(&self) -> String {
        let bits = self.nodes().find(|node| node.op_type == "MatMulNBits").map(|node| {
            let bits =
                node.attribute.iter().find(|attribute| attribute.name == "bits").and_then(|bits| bits.i);
            format!("INT{}", bits.unwrap_or(4))
        });
        let dynamic = || {
            let quantised = ["MatMulInteger", "DynamicQuantizeMatMul"];
            self.nodes().any(|node| quantised.contains(&node.op_type.as_str())).then(|| "INT8".to_owned())
        };
        bits.or_else(dynamic).unwrap_or_else(|| {
            let of = |kind: ElementType| -> u64 {
                self.weights()
                    .filter(|(tensor, _)| tensor.data_type == kind as i32)
                    .map(|(_, count)| count)
                    .fold(0, u64::saturating_add)
            };
            if of(ElementType::Float16) > of(ElementType::Float) { "F16".into() } else { "F32".into() }
        })
    }
}
