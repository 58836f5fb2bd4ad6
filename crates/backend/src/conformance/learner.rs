//! Cases for [`Learner`].

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{Case, assert_close};
use crate::{
    Conversation, Learner, LearnerError, Message, StepSettings, TokenId, TrainedTurns, TrainingSequence,
};

type Run = fn(&mut dyn FnMut() -> Box<dyn Learner>);

/// What every [`Learner`] does. The function loads the same model afresh, in the same settings, without dropout.
pub const LEARNER: &[Case<Run>] = &[
    Case { name: "forward gives the log-probabilities", run: forward_is_log_probs },
    Case { name: "a sequence does not depend on its company", run: company_does_not_matter },
    Case { name: "a step follows the gradient", run: step_follows_the_gradient },
    Case { name: "the gradient is linear in its weights", run: linear_gradient },
    Case { name: "gradients accumulate", run: gradients_accumulate },
    Case { name: "a gradient is measured and forgotten", run: gradient_is_forgotten },
    Case { name: "a gradient that is not finite changes nothing", run: not_finite },
    Case { name: "training goes on from a checkpoint, bit for bit", run: checkpoint },
    Case { name: "a checkpoint that is not one is refused", run: no_checkpoint },
    Case { name: "a response ends with the end of the turn", run: encoding },
    Case { name: "trained tokens are where the ranges are", run: ranges },
    Case { name: "an invalid batch is named", run: invalid },
];

/// Within one engine, sums in another order.
const TOLERANCE: f32 = 2e-4;

fn batch(learner: &dyn Learner) -> Vec<TrainingSequence> {
    [
        ("What is the capital of France?", "It is Paris."),
        ("Name a colour.", "Blue."),
        ("Write one sentence about the sea.", "The sea is deep and cold, and it is never still."),
    ]
    .into_iter()
    .map(|(prompt, response)| encode(learner, &[Message::user(prompt)], response))
    .collect()
}

fn encode(learner: &dyn Learner, prompt: &[Message], response: &str) -> TrainingSequence {
    let chat = Conversation::of_turns(prompt.iter().cloned(), Message::assistant(response));
    learner.encode(&chat, TrainedTurns::Last).expect("a chat is encoded")
}

/// The weights of the mean negative log-likelihood over all targets of a batch.
fn nll(batch: &[TrainingSequence]) -> Vec<Vec<f32>> {
    let targets: usize = batch.iter().map(super::super::learner::TrainingSequence::target_count).sum();
    batch.iter().map(|sequence| vec![-1.0 / targets as f32; sequence.target_count()]).collect()
}

fn settings() -> StepSettings {
    StepSettings { learning_rate: 1e-3, ..StepSettings::default() }
}

fn train(learner: &mut dyn Learner, batch: &[TrainingSequence], steps: usize) {
    for _ in 0..steps {
        learner.forward(batch).expect("forward");
        learner.backward(&nll(batch)).expect("backward");
        learner.step(&settings()).expect("step");
    }
}

fn mean(log_probs: &[Vec<f32>]) -> f32 {
    let all: Vec<f32> = log_probs.iter().flatten().copied().collect();
    all.iter().sum::<f32>() / all.len() as f32
}

/// An empty folder of this process.
fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("lancer-conformance-{}-{number}", process::id()));
    fs::create_dir_all(&folder).expect("the system's folder for temporary files can be written");
    folder
}

fn forward_is_log_probs(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let mut learner = make();
    let batch = batch(&*learner);
    let (plain, kept) =
        (learner.log_probs(&batch).expect("log_probs"), learner.forward(&batch).expect("forward"));
    for ((plain, kept), sequence) in plain.iter().zip(&kept).zip(&batch) {
        assert_eq!(plain.len(), sequence.target_count(), "one log-probability a target");
        assert!(plain.iter().all(|&log_prob| log_prob <= 0.0), "log-probabilities are not above 0");
        assert_close("forward", kept, plain, TOLERANCE);
    }
}

fn company_does_not_matter(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let mut learner = make();
    let batch = batch(&*learner);
    let together = learner.log_probs(&batch).expect("log_probs");
    for (sequence, together) in batch.iter().zip(&together) {
        let alone = learner.log_probs(std::slice::from_ref(sequence)).expect("log_probs").remove(0);
        assert_close("alone and together", &alone, together, TOLERANCE);
    }
    assert!(learner.log_probs(&[]).expect("an empty batch is no error").is_empty());
}

fn step_follows_the_gradient(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let mut learner = make();
    let batch = batch(&*learner);
    let before = mean(&learner.log_probs(&batch).expect("log_probs"));
    train(&mut *learner, &batch, 3);
    let after = mean(&learner.log_probs(&batch).expect("log_probs"));
    assert!(
        after > before,
        "three steps on the negative log-likelihood took it from {} to {}",
        -before,
        -after
    );
}

fn gradient_norm(learner: &mut dyn Learner, batch: &[TrainingSequence], scale: f32) -> f64 {
    learner.forward(batch).expect("forward");
    let weights: Vec<Vec<f32>> = nll(batch)
        .into_iter()
        .map(|weights| weights.into_iter().map(|weight| weight * scale).collect())
        .collect();
    learner.backward(&weights).expect("backward");
    let still = StepSettings { learning_rate: 0.0, max_gradient_norm: None, ..settings() };
    learner.step(&still).expect("step").gradient_norm
}

fn linear_gradient(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let mut learner = make();
    let batch = batch(&*learner);
    let zero = gradient_norm(&mut *learner, &batch, 0.0);
    let (one, three) = (gradient_norm(&mut *learner, &batch, 1.0), gradient_norm(&mut *learner, &batch, 3.0));
    assert!(zero.abs() < 1e-9, "weights of 0 gave a gradient of norm {zero}");
    assert!(
        one > 0.0 && (three / one - 3.0).abs() < 1e-3,
        "norms {one} and {three}, expected three times as much"
    );
}

fn gradients_accumulate(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let (mut whole, mut parts) = (make(), make());
    let batch = batch(&*whole);
    let weights = nll(&batch);
    whole.forward(&batch).expect("forward");
    whole.backward(&weights).expect("backward");
    for (sequence, weights) in batch.iter().zip(&weights) {
        parts.forward(std::slice::from_ref(sequence)).expect("forward");
        parts.backward(std::slice::from_ref(weights)).expect("backward");
    }
    let (one, two) = (whole.step(&settings()).expect("step"), parts.step(&settings()).expect("step"));
    let difference = (one.gradient_norm - two.gradient_norm).abs() / one.gradient_norm;
    assert!(difference < 1e-3, "gradient norms {} and {}", one.gradient_norm, two.gradient_norm);
}

fn gradient_is_forgotten(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let (mut one, mut two) = (make(), make());
    let batch = batch(&*one);
    for learner in [&mut one, &mut two] {
        assert!(learner.gradient_norm().expect("gradient_norm").abs() < 1e-12, "no gradient, but a norm");
    }
    one.forward(&batch).expect("forward");
    one.backward(&nll(&batch)).expect("backward");
    let measured = one.gradient_norm().expect("gradient_norm");
    one.clear_gradient();
    assert!(one.gradient_norm().expect("gradient_norm").abs() < 1e-12, "a forgotten gradient has a norm");
    train(&mut *one, &batch, 1);
    two.forward(&batch).expect("forward");
    two.backward(&nll(&batch)).expect("backward");
    let stepped = two.step(&settings()).expect("step").gradient_norm;
    assert!((measured - stepped).abs() <= 1e-6 * stepped, "norms {measured} and {stepped}");
    let (one, two) = (one.log_probs(&batch).expect("log_probs"), two.log_probs(&batch).expect("log_probs"));
    assert_eq!(one, two, "a forgotten gradient changed the step after it");
}

fn not_finite(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let (mut one, mut two) = (make(), make());
    let batch = batch(&*one);
    for learner in [&mut one, &mut two] {
        train(&mut **learner, &batch, 1);
    }
    let weights: Vec<Vec<f32>> =
        batch.iter().map(|sequence| vec![f32::NAN; sequence.target_count()]).collect();
    one.forward(&batch).expect("forward");
    one.backward(&weights).expect("backward");
    assert!(!one.gradient_norm().expect("gradient_norm").is_finite(), "the norm of a gradient of NaN");
    let refused = one.step(&settings());
    assert!(matches!(refused, Err(LearnerError::NotFinite { .. })), "{refused:?}");
    for learner in [&mut one, &mut two] {
        train(&mut **learner, &batch, 1);
    }
    let (one, two) = (one.log_probs(&batch).expect("log_probs"), two.log_probs(&batch).expect("log_probs"));
    assert_eq!(one, two, "a step that was refused left something behind");
}

fn checkpoint(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let folder = folder();
    let place = folder.join("step-2");
    let mut first = make();
    let batch = batch(&*first);
    train(&mut *first, &batch, 2);
    first.save_checkpoint(&place).expect("a checkpoint is written");
    train(&mut *first, &batch, 2);
    let mut second = make();
    second.load_checkpoint(&place).expect("a checkpoint is read");
    train(&mut *second, &batch, 2);
    let expected = first.log_probs(&batch).expect("log_probs");
    assert_eq!(
        second.log_probs(&batch).expect("log_probs"),
        expected,
        "other weights after a resumed training"
    );
    // Writing over an older checkpoint is allowed.
    second.save_checkpoint(&place).expect("a checkpoint is replaced");
    fs::remove_dir_all(folder).expect("the folder can be removed");
}

fn no_checkpoint(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let folder = folder();
    let mut learner = make();
    let batch = batch(&*learner);
    let before = learner.log_probs(&batch).expect("log_probs");
    let absent = learner.load_checkpoint(&folder.join("absent"));
    assert!(matches!(absent, Err(LearnerError::Checkpoint { .. })), "{absent:?}");
    let empty = learner.load_checkpoint(&folder);
    assert!(matches!(empty, Err(LearnerError::Checkpoint { .. })), "{empty:?}");
    assert_eq!(
        learner.log_probs(&batch).expect("log_probs"),
        before,
        "a refused checkpoint changed the weights"
    );
    fs::remove_dir_all(folder).expect("the folder can be removed");
}

fn encoding(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let learner = make();
    let prompt = [Message::user("Name a colour.")];
    let (one, two) = (encode(&*learner, &prompt, "Blue."), encode(&*learner, &prompt, "Red"));
    assert_eq!(one.prompt_length(), two.prompt_length());
    assert_eq!(one.tokens[..one.prompt_length()], two.tokens[..two.prompt_length()], "the same prompt");
    assert_eq!(one.tokens.last(), two.tokens.last(), "the end of the turn");
    let empty = encode(&*learner, &prompt, "");
    assert_eq!(empty.target_count(), 1, "an empty response is the end of the turn");
}

fn ranges(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let mut learner = make();
    let whole = encode(&*learner, &[Message::user("Name a colour.")], "Blue and green and yellow.");
    let (start, end) = (whole.prompt_length(), whole.tokens.len());
    let parts = TrainingSequence { trained: vec![1..2, start..start + 1, end - 1..end], ..whole.clone() };
    let all = TrainingSequence::after_prompt(whole.tokens.clone(), 1);
    let (two, one) = ([parts.clone(), parts.clone()], [all.clone()]);
    let expected = learner.log_probs(&one).expect("log_probs").remove(0);
    let expected = vec![expected[0], expected[start - 1], expected[end - 2]];
    for found in learner.log_probs(&two).expect("log_probs") {
        assert_close("trained tokens apart from each other", &found, &expected, TOLERANCE);
    }
    // A token that is not trained on is one whose derivative is 0.
    let of_parts = gradient_norm(&mut *learner, &two[..1], 1.0);
    learner.forward(&one).expect("forward");
    let third = -1.0 / 3.0;
    let weight = |place: usize| if [1, start, end - 1].contains(&place) { third } else { 0.0 };
    learner.backward(&[(1..end).map(weight).collect()]).expect("backward");
    let still = StepSettings { learning_rate: 0.0, max_gradient_norm: None, ..settings() };
    let of_all = learner.step(&still).expect("step").gradient_norm;
    assert!((of_parts - of_all).abs() <= 1e-3 * of_all, "gradient norms {of_parts} and {of_all}");
}

fn invalid(make: &mut dyn FnMut() -> Box<dyn Learner>) {
    let mut learner = make();
    let batch = batch(&*learner);
    let valid = &batch[0];
    let wrong = [
        TrainingSequence::after_prompt(valid.tokens.clone(), 0),
        TrainingSequence::after_prompt(valid.tokens.clone(), valid.tokens.len()),
        TrainingSequence { trained: vec![1..2, 1..3], ..valid.clone() },
        TrainingSequence { trained: std::iter::once(1..valid.tokens.len() + 1).collect(), ..valid.clone() },
        TrainingSequence::after_prompt(vec![TokenId(u32::MAX); 4], 1),
        TrainingSequence::after_prompt(vec![valid.tokens[0]; learner.context_length() + 1], 1),
    ];
    for wrong in wrong {
        let result = learner.forward(&[valid.clone(), wrong]);
        assert!(matches!(result, Err(LearnerError::InvalidSequence { sequence: 1, .. })), "{result:?}");
    }
    let early = make().backward(&nll(&batch));
    assert!(matches!(early, Err(LearnerError::InvalidBackward(_))), "{early:?}");
    learner.forward(&batch).expect("forward");
    let misshapen = learner.backward(&nll(&batch)[1..]);
    assert!(matches!(misshapen, Err(LearnerError::InvalidBackward(_))), "{misshapen:?}");
    train(&mut *learner, &batch, 1);
}
