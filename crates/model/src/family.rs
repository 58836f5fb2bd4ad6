//! Families of models, and one table of where each differs from Llama.

/// A family of models: transformers that differ in a few places only, which [`design`](Self::design) names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Llama and its kin (SmolLM2), Llama 3.x with its stretched rotary embedding included.
    Llama,
    /// Mistral, with a sliding window or without. GGUF files know it as a Llama.
    Mistral,
    /// Qwen2 and Qwen2.5: biases on the query, key and value projections.
    Qwen2,
    /// Qwen3: queries and keys are normed.
    Qwen3,
    /// Gemma 3, text only: queries and keys are normed, and so is what attention and MLP give; most layers have a sliding
    /// window and a rotary embedding of their own.
    Gemma3,
}

/// Where a family differs from others, and how files name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Design {
    /// `model_type` in `config.json`.
    pub(crate) model_type: &'static str,
    /// transformers' class, `architectures` in `config.json`.
    pub(crate) class: &'static str,
    /// `general.architecture` in GGUF.
    pub(crate) gguf: &'static str,
    /// The order of the query and key rows of a head in GGUF.
    pub(crate) gguf_rows: GgufRows,
    /// Whether GGUF files of the family can have a sliding window.
    pub(crate) gguf_window: GgufWindow,
    /// Which projections have biases.
    pub bias: Bias,
    /// What of each head is normed before the rotary embedding.
    pub head_norm: HeadNorm,
    /// Where the norms of a layer stand.
    pub block_norms: BlockNorms,
    /// What the weights of norms mean.
    pub norm_weight: NormWeight,
    /// The activation of the MLP's gate.
    pub activation: Activation,
    /// The field of `config.json` that names it.
    pub(crate) activation_field: &'static str,
    /// By what embeddings are multiplied.
    pub embedding_scale: EmbeddingScale,
}

/// Which projections of the attention have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bias {
    /// None.
    None,
    /// Those to queries, keys and values.
    QueryKeyValue,
}

/// What of each head is normed (by an RMS norm over the head's width) before the rotary embedding (Dehghani et al. 2023,
/// arXiv 2302.05442).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeadNorm {
    /// Nothing.
    None,
    /// Queries and keys.
    QueryKey,
}

/// Where the norms of a layer stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockNorms {
    /// Before the attention and before the MLP.
    Before,
    /// There, and after each too, before its result is added.
    BeforeAndAfter,
}

/// What the weights of norms mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NormWeight {
    /// What a normed state is multiplied by.
    Factor,
    /// That, less one. GGUF files have the factor itself.
    FactorLessOne,
}

/// The activation of the MLP's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x σ(x)`.
    Silu,
    /// The tanh approximation of GELU, `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2` (Hendrycks & Gimpel 2016, arXiv
    /// 1606.08415).
    GeluTanh,
}

impl Activation {
    /// Its name in `config.json`.
    pub(crate) fn json_name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::GeluTanh => "gelu_pytorch_tanh",
        }
    }
}

/// By what embeddings are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmbeddingScale {
    /// Nothing.
    One,
    /// The square root of the hidden width.
    RootOfWidth,
}

/// The order of the rows of a query or key head in GGUF; the rotary embedding turns pairs of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum GgufRows {
    /// As in Hugging Face's files: row `i` is turned with row `i + head_dim / 2`.
    Halves,
    /// Row `2i` is turned with row `2i + 1`.
    Neighbours,
}

/// Whether GGUF files of a family can have a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum GgufWindow {
    /// llama.cpp knows of none.
    Unknown,
    /// It reads the window, its layers and their rotary base.
    Known,
}

/// What the others are compared with.
const LLAMA: Design = Design {
    model_type: "llama",
    class: "LlamaForCausalLM",
    gguf: "llama",
    gguf_rows: GgufRows::Neighbours,
    gguf_window: GgufWindow::Unknown,
    bias: Bias::None,
    head_norm: HeadNorm::None,
    block_norms: BlockNorms::Before,
    norm_weight: NormWeight::Factor,
    activation: Activation::Silu,
    activation_field: "hidden_act",
    embedding_scale: EmbeddingScale::One,
};

const MISTRAL: Design = Design { model_type: "mistral", class: "MistralForCausalLM", ..LLAMA };

const QWEN2: Design = Design {
    model_type: "qwen2",
    class: "Qwen2ForCausalLM",
    gguf: "qwen2",
    gguf_rows: GgufRows::Halves,
    bias: Bias::QueryKeyValue,
    ..LLAMA
};

const QWEN3: Design = Design {
    model_type: "qwen3",
    class: "Qwen3ForCausalLM",
    gguf: "qwen3",
    gguf_rows: GgufRows::Halves,
    head_norm: HeadNorm::QueryKey,
    ..LLAMA
};

const GEMMA3: Design = Design {
    model_type: "gemma3_text",
    class: "Gemma3ForCausalLM",
    gguf: "gemma3",
    gguf_rows: GgufRows::Halves,
    gguf_window: GgufWindow::Known,
    bias: Bias::None,
    head_norm: HeadNorm::QueryKey,
    block_norms: BlockNorms::BeforeAndAfter,
    norm_weight: NormWeight::FactorLessOne,
    activation: Activation::GeluTanh,
    activation_field: "hidden_activation",
    embedding_scale: EmbeddingScale::RootOfWidth,
};

impl Family {
    /// All families, in the order in which errors name them.
    pub const ALL: [Self; 5] = [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3, Self::Gemma3];

    /// Where it differs from others.
    pub fn design(self) -> &'static Design {
        match self {
            Self::Llama => &LLAMA,
            Self::Mistral => &MISTRAL,
            Self::Qwen2 => &QWEN2,
            Self::Qwen3 => &QWEN3,
            Self::Gemma3 => &GEMMA3,
        }
    }

    /// The name, `model_type` in `config.json`.
    pub fn name(self) -> &'static str {
        self.design().model_type
    }

    /// The family of a `model_type`.
    pub(crate) fn from_model_type(name: &str) -> Result<Self, String> {
        Self::find(name, |design| design.model_type)
    }

    /// The family of a GGUF architecture, of two that share one the first.
    pub(crate) fn from_gguf(name: &str) -> Result<Self, String> {
        Self::find(name, |design| design.gguf)
    }

    fn find(name: &str, of: impl Fn(&Design) -> &'static str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|family| of(family.design()) == name).ok_or_else(|| {
            let mut known: Vec<&str> = Self::ALL.into_iter().map(|family| of(family.design())).collect();
            known.dedup();
            format!("the model family `{name}` is not known; known are {}", known.join(", "))
        })
    }
}
