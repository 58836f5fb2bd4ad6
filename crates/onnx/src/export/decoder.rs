//! A model as a graph, top to bottom.

use lancer_model::{Bias, BlockNorms, Config, Head, HeadNorm, ModelError};

use super::{
    attention::Attention,
    settings::{Operators, WeightType},
    shared_inputs::SharedInputs,
    weights::{BLOCK, Weights},
};
use crate::{
    graph::{Attribute, Graph, Length, MICROSOFT, NONE, Value},
    proto::{ElementType, ModelProto},
};

/// The input that says of how many last tokens the logits are wanted.
pub(crate) const KEEP: &str = "num_logits_to_keep";

/// Builds the graph and writes the weights it uses.
pub(super) fn build(
    config: &Config,
    operators: Operators,
    weights: Weights<'_>,
) -> Result<ModelProto, ModelError> {
    let graph = Graph::new(config.family.name(), weights.compute());
    let mut decoder = Decoder { config, operators, graph, weights };
    decoder.whole()?;
    decoder.weights.finish()?;
    Ok(decoder.graph.into_model())
}

/// The states between two blocks.
struct Stream {
    /// What all blocks so far have added up to, `[batch, sequence, hidden]`.
    residual: Value,
    /// The same, normed for the next block.
    normed: Value,
}

pub(super) struct Decoder<'a> {
    pub(super) config: &'a Config,
    pub(super) operators: Operators,
    pub(super) graph: Graph,
    weights: Weights<'a>,
}

impl Decoder<'_> {
    fn whole(&mut self) -> Result<(), ModelError> {
        let (config, compute) = (self.config, self.weights.compute());
        let batch = Length::Named("batch_size");
        let sequence = Length::Named("sequence_length");
        let whole = Length::Named("past_sequence_length + sequence_length");
        let tokens = self.graph.input("input_ids", ElementType::Int64, &[batch, sequence]);
        let mask = self.graph.input("attention_mask", ElementType::Int64, &[batch, whole]);
        let positions = self.graph.input("position_ids", ElementType::Int64, &[batch, sequence]);
        let cache = |past| [batch, Length::Fixed(config.kv_heads), past, Length::Fixed(config.head_dim)];
        for layer in 0..config.layers {
            for part in ["key", "value"] {
                let name = format!("past_key_values.{layer}.{part}");
                self.graph.input(&name, compute, &cache(Length::Named("past_sequence_length")));
            }
        }
        let keep = self.graph.input_with_default(KEEP, 0);
        self.graph.output("logits", ElementType::Float, &[batch, sequence, Length::Fixed(config.vocab_size)]);
        for layer in 0..config.layers {
            for part in ["key", "value"] {
                self.graph.output(&format!("present.{layer}.{part}"), compute, &cache(whole));
            }
        }

        let shared =
            SharedInputs::new(&mut self.graph, &mut self.weights, config, self.operators, &mask, &positions)?;
        let residual = self.embedding(&tokens)?;
        let normed = self.norm(&residual, "model.layers.0.input_layernorm.weight")?;
        let mut stream = Stream { residual, normed };
        for layer in 0..config.layers {
            stream = self.layer(layer, &stream, &shared)?;
        }
        let kept = self.last(&stream.normed, &keep);
        self.head(&kept)
    }

    fn embedding(&mut self, tokens: &str) -> Result<Value, ModelError> {
        let table = self.weights.table("model.embed_tokens.weight")?;
        let table = self.graph.constant(table);
        let states = self.graph.add("Gather", &[&table, tokens], &[]);
        let states = match self.weights.kind() {
            WeightType::Int8 => self.cast(&states, ElementType::Float),
            WeightType::F32 | WeightType::F16 => states,
        };
        Ok(match self.config.embedding_scale() {
            Some(scale) => {
                let scale = self.graph.number(scale);
                self.graph.add("Mul", &[&states, &scale], &[])
            }
            None => states,
        })
    }

    fn layer(&mut self, layer: usize, stream: &Stream, shared: &SharedInputs) -> Result<Stream, ModelError> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let [query, key, value] = [
            ("q_proj", self.config.heads),
            ("k_proj", self.config.kv_heads),
            ("v_proj", self.config.kv_heads),
        ]
        .map(|(part, heads)| self.projection(&stream.normed, &name(&format!("self_attn.{part}")), heads));
        let query = self.head_norm(query?, &name("self_attn.q_norm.weight"), self.config.heads)?;
        let key = self.head_norm(key?, &name("self_attn.k_norm.weight"), self.config.kv_heads)?;
        let attention = Attention { config: self.config, layer };
        let mixed = attention.add(&mut self.graph, shared, &query, &key, &value?);
        let width = self.config.heads * self.config.head_dim;
        let mixed = self.linear(&mixed, &name("self_attn.o_proj.weight"), width, self.config.hidden_size)?;
        let norms = self.config.family.design().block_norms;
        let (mixed, before_mlp) = match norms {
            BlockNorms::Before => (mixed, "post_attention_layernorm.weight"),
            BlockNorms::BeforeAndAfter => {
                let mixed = self.norm(&mixed, &name("post_attention_layernorm.weight"))?;
                (mixed, "pre_feedforward_layernorm.weight")
            }
        };
        let stream = self.add_and_norm(&stream.residual, &mixed, &name(before_mlp))?;
        let changed = self.mlp(&stream.normed, &name("mlp"))?;
        let changed = match norms {
            BlockNorms::Before => changed,
            BlockNorms::BeforeAndAfter => self.norm(&changed, &name("post_feedforward_layernorm.weight"))?,
        };
        let next = match layer + 1 {
            next if next == self.config.layers => "model.norm.weight".to_owned(),
            next => format!("model.layers.{next}.input_layernorm.weight"),
        };
        self.add_and_norm(&stream.residual, &changed, &next)
    }

    /// The query, key or value projection, with its bias where the family has one.
    fn projection(&mut self, states: &str, name: &str, heads: usize) -> Result<Value, ModelError> {
        let width = heads * self.config.head_dim;
        let projected = self.linear(states, &format!("{name}.weight"), self.config.hidden_size, width)?;
        if self.config.family.design().bias == Bias::None {
            return Ok(projected);
        }
        let bias = self.weights.tensor(&format!("{name}.bias"))?;
        let bias = self.graph.constant(bias);
        Ok(self.graph.add("Add", &[&projected, &bias], &[]))
    }

    /// The norm of each head of `[batch, sequence, heads × head size]`, where the family has one.
    fn head_norm(&mut self, states: Value, name: &str, heads: usize) -> Result<Value, ModelError> {
        if self.config.family.design().head_norm == HeadNorm::None {
            return Ok(states);
        }
        let (heads, size) = (heads as i64, self.config.head_dim as i64);
        let apart = self.graph.integers(&[0, 0, heads, size]);
        let states = self.graph.add("Reshape", &[&states, &apart], &[]);
        let normed = self.norm(&states, name)?;
        let together = self.graph.integers(&[0, 0, heads * size]);
        Ok(self.graph.add("Reshape", &[&normed, &together], &[]))
    }

    /// A product with a matrix of `[output, input]`.
    pub(super) fn linear(
        &mut self,
        states: &str,
        name: &str,
        input: usize,
        output: usize,
    ) -> Result<Value, ModelError> {
        if self.weights.kind() == WeightType::Int8 {
            return self.linear_in_integers(states, name, input, output);
        }
        let matrix = self.weights.transposed(name)?;
        let matrix = self.graph.constant(matrix);
        Ok(self.graph.add("MatMul", &[states, &matrix], &[]))
    }

    fn linear_in_integers(
        &mut self,
        states: &str,
        name: &str,
        input: usize,
        output: usize,
    ) -> Result<Value, ModelError> {
        /// Computes in 8-bit integers too, each block of states with a scale of its own.
        const INTEGERS: i64 = 4;
        let blocks = self.weights.blocks(name)?;
        let (integers, scales) = (self.graph.constant(blocks.integers), self.graph.constant(blocks.scales));
        let attributes = [
            Attribute::Int("K", input as i64),
            Attribute::Int("N", output as i64),
            Attribute::Int("bits", 8),
            Attribute::Int("block_size", BLOCK as i64),
            Attribute::Int("accuracy_level", INTEGERS),
        ];
        Ok(self.graph.add_fused("MatMulNBits", &[states, &integers, &scales], &attributes))
    }

    /// Adds what a block has computed, and norms the sum for the next one.
    fn add_and_norm(&mut self, residual: &str, change: &str, name: &str) -> Result<Stream, ModelError> {
        if self.operators == Operators::Plain {
            let residual = self.graph.add("Add", &[residual, change], &[]);
            let normed = self.norm(&residual, name)?;
            return Ok(Stream { residual, normed });
        }
        let weight = self.weights.norm(name, self.config.family.design().norm_weight)?;
        let weight = self.graph.constant(weight);
        let stream = Stream { residual: format!("{name}.residual"), normed: format!("{name}.normed") };
        self.graph.add_named(
            MICROSOFT,
            "SkipSimplifiedLayerNormalization",
            &[residual, change, &weight],
            &[Attribute::Float("epsilon", self.config.rms_norm_eps as f32)],
            &[&stream.normed, NONE, NONE, &stream.residual],
        );
        Ok(stream)
    }

    /// `x / √(mean(x²) + ε) × weight`, in ONNX's own operators and in 32-bit floats.
    fn norm(&mut self, states: &str, name: &str) -> Result<Value, ModelError> {
        let weight = self.weights.norm(name, self.config.family.design().norm_weight)?;
        let weight = self.graph.constant(weight);
        let half = self.weights.compute() == ElementType::Float16;
        let states = if half { self.cast(states, ElementType::Float) } else { states.to_owned() };
        let two = self.graph.float(2.0);
        let epsilon = self.graph.float(self.config.rms_norm_eps as f32);
        let last = self.graph.integers(&[-1]);
        let squares = self.graph.add("Pow", &[&states, &two], &[]);
        let mean = self.graph.add("ReduceMean", &[&squares, &last], &[]);
        let sum = self.graph.add("Add", &[&mean, &epsilon], &[]);
        let root = self.graph.add("Sqrt", &[&sum], &[]);
        let normed = self.graph.add("Div", &[&states, &root], &[]);
        let normed = if half { self.cast(&normed, ElementType::Float16) } else { normed };
        Ok(self.graph.add("Mul", &[&normed, &weight], &[]))
    }

    /// The last `keep` states of each sequence; all where it is 0.
    fn last(&mut self, states: &str, keep: &str) -> Value {
        let one = self.graph.integers(&[1]);
        let end = self.graph.integers(&[i64::MAX]);
        let first = self.graph.add("Neg", &[keep], &[]);
        let first = self.graph.add("Reshape", &[&first, &one], &[]);
        self.graph.add("Slice", &[states, &first, &end, &one], &[])
    }

    fn head(&mut self, states: &str) -> Result<(), ModelError> {
        let (hidden, vocabulary) = (self.config.hidden_size, self.config.vocab_size);
        let name = match self.config.head {
            Head::Tied => "model.embed_tokens.weight",
            Head::Separate => "lm_head.weight",
        };
        let logits = match (self.weights.kind(), self.config.head) {
            (WeightType::F32 | WeightType::F16, Head::Tied) => {
                // The runtime folds the transposition into the product.
                let turned = self.graph.add("Transpose", &[name], &[Attribute::Ints("perm", &[1, 0])]);
                self.graph.add("MatMul", &[states, &turned], &[])
            }
            _ => self.linear(states, name, hidden, vocabulary)?,
        };
        let cast = [Attribute::Int("to", ElementType::Float as i64)];
        match self.weights.kind() {
            WeightType::F16 => self.graph.add_named("", "Cast", &[&logits], &cast, &["logits"]),
            WeightType::F32 | WeightType::Int8 => {
                self.graph.add_named("", "Identity", &[&logits], &[], &["logits"]);
            }
        }
        Ok(())
    }

    fn cast(&mut self, value: &str, to: ElementType) -> Value {
        self.graph.add("Cast", &[value], &[Attribute::Int("to", to as i64)])
    }
}
