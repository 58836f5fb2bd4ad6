//! Checkpoints: a folder that is whole or absent, from which training goes on bit for bit.
//!
//! `state.json` holds the settings and the counters, `weights.safetensors` the trained weights, `first_moment.safetensors`
//! and `second_moment.safetensors` the optimizer's. Adapters leave the frozen weights out; their hash is checked instead.

use std::{borrow::Cow, error::Error, fs, path::Path};

use burn::tensor::Tensor;
use lancer_backend::LearnerError;
use lancer_output::{Existing, Place};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use super::{BurnLearner, adamw::Moments};
use crate::{
    numbers::{matrix, read},
    settings::TrainSettings,
    transformer::{Parameter, Transformer},
};

const STATE: &str = "state.json";
const WEIGHTS: &str = "weights.safetensors";
const FIRST_MOMENT: &str = "first_moment.safetensors";
const SECOND_MOMENT: &str = "second_moment.safetensors";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Of the model that is trained: its shape, and what is frozen in it.
    fingerprint: String,
    settings: TrainSettings,
    /// Optimizer steps made.
    steps: u64,
    /// Forward passes made, from which dropout takes its randomness.
    passes: u64,
}

type Failure = Box<dyn Error + Send + Sync>;

/// Writes a checkpoint, in place of an older one.
pub(crate) fn save(learner: &BurnLearner, folder: &Path) -> Result<(), LearnerError> {
    let write = || -> Result<(), Failure> {
        let scratch = Place::folder(folder, Existing::Own)?.begin()?;
        fs::create_dir(scratch.path())?;
        write_files(learner, scratch.path())?;
        Ok(scratch.finish()?)
    };
    write().map_err(|source| failed(folder, "cannot write it", source))
}

fn write_files(learner: &BurnLearner, folder: &Path) -> Result<(), Failure> {
    let state = State {
        fingerprint: learner.fingerprint.clone(),
        settings: learner.settings.clone(),
        steps: learner.optimizer.steps,
        passes: learner.passes,
    };
    fs::write(folder.join(STATE), serde_json::to_string_pretty(&state)?)?;
    let parameters = learner.transformer.parameters();
    let trained = || {
        let moments = learner.optimizer.moments.iter();
        parameters
            .iter()
            .zip(moments)
            .filter_map(|(parameter, moments)| Some((*parameter, moments.as_ref()?)))
    };
    write_file(folder, WEIGHTS, trained().map(|(parameter, _)| (parameter, &parameter.value)))?;
    write_file(folder, FIRST_MOMENT, trained().map(|(parameter, moments)| (parameter, &moments.first)))?;
    write_file(folder, SECOND_MOMENT, trained().map(|(parameter, moments)| (parameter, &moments.second)))?;
    Ok(())
}

/// What is written under a parameter's name, in the order of memory.
struct Written<'a> {
    shape: Vec<usize>,
    numbers: &'a Tensor<2>,
}

impl View for Written<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Cow::Owned(read(self.numbers, bytes))
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

fn write_file<'a>(
    folder: &Path,
    file: &str,
    numbers: impl Iterator<Item = (&'a Parameter, &'a Tensor<2>)>,
) -> Result<(), Failure> {
    let views = numbers.map(|(parameter, numbers)| {
        (parameter.name.clone(), Written { shape: vec![parameter.size()], numbers })
    });
    Ok(safetensors::serialize_to_file(views, None, &folder.join(file))?)
}

/// Goes back to a checkpoint. Nothing changes where it is not one of this model and these settings.
pub(crate) fn load(learner: &mut BurnLearner, folder: &Path) -> Result<(), LearnerError> {
    let read = || -> Result<_, Failure> {
        let state: State = serde_json::from_str(&fs::read_to_string(folder.join(STATE))?)?;
        if state.fingerprint != learner.fingerprint {
            return Err("it is of another model; load the model that this training began with".into());
        }
        // Where a model is computed makes no other training of it.
        let theirs = TrainSettings { device: learner.settings.device, ..state.settings.clone() };
        if theirs != learner.settings {
            let (theirs, ours) =
                (serde_json::to_string(&state.settings)?, serde_json::to_string(&learner.settings)?);
            return Err(format!("it was made with the settings {theirs}, but these are {ours}").into());
        }
        let parameters = learner.transformer.parameters();
        let trained: Vec<&Parameter> =
            parameters.into_iter().filter(|parameter| parameter.is_trained()).collect();
        let all = |file| read_file(&folder.join(file), &trained).map_err(|error| format!("{file}: {error}"));
        Ok((state, all(WEIGHTS)?, all(FIRST_MOMENT)?, all(SECOND_MOMENT)?))
    };
    let (state, weights, first, second) =
        read().map_err(|source| failed(folder, "cannot go on from it", source))?;
    learner.last = None;
    learner.gradients.clear();
    learner.passes = state.passes;
    learner.optimizer.steps = state.steps;
    let parameters = learner.transformer.parameters_mut();
    for (parameter, weights) in parameters.into_iter().filter(|one| one.is_trained()).zip(weights) {
        parameter.put(weights);
    }
    let moments = learner.optimizer.moments.iter_mut().flatten();
    for (moments, numbers) in moments.zip(first.into_iter().zip(second)) {
        let (shape, device) = (moments.first.dims(), moments.first.device());
        let [first, second] = [numbers.0, numbers.1].map(|numbers| matrix(numbers, shape, &device));
        *moments = Moments { first, second };
    }
    Ok(())
}

/// The numbers under the names of `parameters`, in their order.
fn read_file(path: &Path, parameters: &[&Parameter]) -> Result<Vec<Vec<f32>>, Failure> {
    let bytes = fs::read(path)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    parameters
        .iter()
        .map(|parameter| {
            let tensor = tensors.tensor(&parameter.name)?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != [parameter.size()] {
                let (kind, shape) = (tensor.dtype(), tensor.shape());
                return Err(format!("`{}` is {kind:?} of shape {shape:?}", parameter.name).into());
            }
            let numbers = tensor.data().as_chunks::<4>().0;
            Ok(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
        })
        .collect()
}

/// A hash (64-bit FNV-1a) of a model's shape and of its frozen weights.
pub(crate) fn fingerprint(transformer: &Transformer) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |word: u64| hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:?}", transformer.config).bytes().for_each(|byte| add(byte.into()));
    for parameter in transformer.parameters().into_iter().filter(|parameter| !parameter.is_trained()) {
        read(&parameter.value, |weights| weights.iter().for_each(|weight| add(weight.to_bits().into())));
    }
    for weight in transformer.stored() {
        let (words, rest) = weight.bytes().as_chunks::<8>();
        for word in words {
            add(u64::from_le_bytes(*word));
        }
        for &byte in rest {
            add(byte.into());
        }
    }
    format!("{hash:016x}")
}

fn failed(folder: &Path, action: &str, source: Failure) -> LearnerError {
    LearnerError::Checkpoint { path: folder.into(), action: action.into(), source }
}
