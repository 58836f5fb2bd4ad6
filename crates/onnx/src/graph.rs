//! Building a graph: nodes, constants, inputs and outputs.

use crate::proto::{
    AttributeProto, AttributeType, Dimension, ElementType, Extent, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// ONNX's operators as of version 18, which ONNX Runtime 1.14 brought.
const OPSET: i64 = 18;
/// The file format's version that goes with it.
const IR_VERSION: i64 = 8;

/// The domain of ONNX Runtime's own operators.
pub(crate) const MICROSOFT: &str = "com.microsoft";

/// The name of a value in a graph.
pub(crate) type Value = String;

/// What the names of small constants begin with.
const CONSTANT: &str = "constant.";

/// A value that an operator does not take or whose result is not wanted.
pub(crate) const NONE: &str = "";

/// An attribute of an operator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attribute<'a> {
    Int(&'a str, i64),
    Float(&'a str, f32),
    Ints(&'a str, &'a [i64]),
}

impl Attribute<'_> {
    fn to_proto(self) -> AttributeProto {
        let new = |name: &str, kind: AttributeType| AttributeProto {
            name: name.into(),
            kind: Some(kind as i32),
            ..AttributeProto::default()
        };
        match self {
            Self::Int(name, i) => AttributeProto { i: Some(i), ..new(name, AttributeType::Int) },
            Self::Float(name, f) => AttributeProto { f: Some(f), ..new(name, AttributeType::Float) },
            Self::Ints(name, ints) => AttributeProto { ints: ints.into(), ..new(name, AttributeType::Ints) },
        }
    }
}

/// How long a dimension of an input or output is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length<'a> {
    Fixed(usize),
    /// Decided by a run; the same name, the same length.
    Named(&'a str),
}

/// A graph being built. A constant is added when it is first used.
pub(crate) struct Graph {
    proto: GraphProto,
    compute: ElementType,
}

impl Graph {
    /// A graph that computes in `compute`, 16- or 32-bit floats.
    pub(crate) fn new(name: &str, compute: ElementType) -> Self {
        Self { proto: GraphProto { name: name.into(), ..GraphProto::default() }, compute }
    }

    pub(crate) fn input(&mut self, name: &str, kind: ElementType, shape: &[Length<'_>]) -> Value {
        self.proto.input.push(value_info(name, kind, shape));
        name.into()
    }

    /// An input of one integer that need not be given.
    pub(crate) fn input_with_default(&mut self, name: &str, default: i64) -> Value {
        let tensor = TensorProto {
            data_type: Some(ElementType::Int64 as i32),
            name: name.into(),
            raw_data: Some(default.to_le_bytes().into()),
            ..TensorProto::default()
        };
        self.proto.initializer.push(tensor);
        self.input(name, ElementType::Int64, &[])
    }

    pub(crate) fn output(&mut self, name: &str, kind: ElementType, shape: &[Length<'_>]) {
        self.proto.output.push(value_info(name, kind, shape));
    }

    /// An operator of ONNX with one result.
    pub(crate) fn add(&mut self, operator: &str, inputs: &[&str], attributes: &[Attribute<'_>]) -> Value {
        let result = format!("{operator}_{}", self.proto.node.len());
        self.add_named("", operator, inputs, attributes, &[&result]);
        result
    }

    /// An operator of ONNX Runtime with one result.
    pub(crate) fn add_fused(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[Attribute<'_>],
    ) -> Value {
        let result = format!("{operator}_{}", self.proto.node.len());
        self.add_named(MICROSOFT, operator, inputs, attributes, &[&result]);
        result
    }

    /// An operator whose results have these names.
    pub(crate) fn add_named(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        attributes: &[Attribute<'_>],
        outputs: &[&str],
    ) {
        let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.proto.node.push(NodeProto {
            input: strings(inputs),
            output: strings(outputs),
            name: format!("{operator}_{}", self.proto.node.len()),
            op_type: operator.into(),
            attribute: attributes.iter().map(|attribute| attribute.to_proto()).collect(),
            domain: domain.into(),
        });
    }

    /// A list of integers, `[values]`.
    pub(crate) fn integers(&mut self, values: &[i64]) -> Value {
        self.small(ElementType::Int64, &[values.len()], values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// An integer, `[]`.
    pub(crate) fn integer(&mut self, value: i64) -> Value {
        self.small(ElementType::Int64, &[], value.to_le_bytes().into())
    }

    /// A number, `[]`, as a 32-bit float.
    pub(crate) fn float(&mut self, value: f32) -> Value {
        self.small(ElementType::Float, &[], value.to_le_bytes().into())
    }

    /// A number, `[]`, in the type in which the model computes.
    pub(crate) fn number(&mut self, value: f32) -> Value {
        let kind = self.compute;
        let bytes = match kind {
            ElementType::Float16 => half::f16::from_f32(value).to_le_bytes().into(),
            _ => value.to_le_bytes().into(),
        };
        self.small(kind, &[], bytes)
    }

    /// Adds a constant under its name, unless it is there.
    pub(crate) fn constant(&mut self, tensor: TensorProto) -> Value {
        let name = tensor.name.clone();
        if !self.proto.initializer.iter().any(|known| known.name == name) {
            self.proto.initializer.push(tensor);
        }
        name
    }

    /// The graph as a file.
    pub(crate) fn into_model(self) -> ModelProto {
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: "lancer".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.proto),
            opset_import: [("", OPSET), (MICROSOFT, 1)]
                .map(|(domain, version)| OperatorSetIdProto { domain: domain.into(), version: Some(version) })
                .into(),
        }
    }

    fn small(&mut self, kind: ElementType, shape: &[usize], bytes: Vec<u8>) -> Value {
        let known = self.proto.initializer.iter().find(|tensor| {
            tensor.name.starts_with(CONSTANT)
                && tensor.data_type == Some(kind as i32)
                && tensor.dims.len() == shape.len()
                && tensor.raw_data.as_ref() == Some(&bytes)
        });
        if let Some(known) = known {
            return known.name.clone();
        }
        let name = format!("{CONSTANT}{}", self.proto.initializer.len());
        self.constant(TensorProto {
            dims: shape.iter().map(|&length| length as i64).collect(),
            data_type: Some(kind as i32),
            name,
            raw_data: Some(bytes),
            ..TensorProto::default()
        })
    }
}

fn value_info(name: &str, kind: ElementType, shape: &[Length<'_>]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|length| Dimension {
            extent: Some(match *length {
                Length::Fixed(length) => Extent::Value(length as i64),
                Length::Named(name) => Extent::Name(name.into()),
            }),
        })
        .collect();
    let tensor = TensorTypeProto { elem_type: Some(kind as i32), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), kind: Some(TypeProto { tensor_type: Some(tensor) }) }
}
