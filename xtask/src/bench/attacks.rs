//! `cargo xtask bench attacks`: how far texts that try to set their own score move it, in each mode of review.
//!
//! Each attack of `fixtures/attacks` is set after good responses and after other prompts' responses, and its score is
//! compared with that of the same pair without it. docs/lab/reviews.md has the figures.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{
    measure::measure,
    programs::{Programs, read_lines, scratch, write_lines},
};
use crate::{
    process::Failure,
    setup::{Environment, root},
};

/// The files of attacks, and what they are called in the table.
const FILES: [&str; 3] = ["attacks", "unseen", "echoes"];
/// Modes of review, unless `--modes` says otherwise.
const MODES: &str = "expected,likelihood,rubric";
/// Pairs that attacks are set on, half of them good, unless `--pairs` says otherwise.
const PAIRS: usize = 8;
/// Draws of the bootstrap.
const DRAWS: usize = 2000;

/// What is measured.
struct Options {
    /// The model; the default model where it is not given.
    model: Option<PathBuf>,
    modes: Vec<String>,
    pairs: usize,
    /// Every so many attacks one is taken.
    every: usize,
    /// Further options of `lancer review`, such as `--set samples=1`.
    others: Vec<String>,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self {
            model: None,
            modes: MODES.split(',').map(str::to_owned).collect(),
            pairs: PAIRS,
            every: 1,
            others: Vec::new(),
        };
        for option in arguments.chunks(2) {
            let [name, value] = option else {
                return Err(Failure::usage(format!("{} needs a value", option.concat())));
            };
            let count = || {
                value
                    .parse()
                    .ok()
                    .filter(|&count: &usize| count > 0)
                    .ok_or_else(|| Failure::usage(format!("{name} takes a number above 0, not {value}")))
            };
            match name.as_str() {
                "--model" => options.model = Some(PathBuf::from(value)),
                "--modes" => options.modes = value.split(',').map(str::to_owned).collect(),
                "--pairs" => options.pairs = count()?,
                "--every" => options.every = count()?,
                _ => options.others.extend([name.clone(), value.clone()]),
            }
        }
        Ok(options)
    }
}

/// A text that tries to set its score.
struct Attack {
    file: &'static str,
    kind: String,
    /// 1 where it wants a high score, -1 where it wants a low one.
    direction: f64,
    text: String,
}

/// A pair that attacks are set on.
struct Target {
    prompt: String,
    response: String,
}

/// One attack on one pair, reviewed.
struct Moved {
    attack: usize,
    target: usize,
    /// How far the score moved to where the attack wants it; `None` where the attacked pair has no score.
    by: Option<f64>,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = Options::read(arguments)?;
    let environment = Environment::prepare()?;
    let programs = Programs::prepare(&environment)?;
    let seeds = root().join("fixtures/seeds.jsonl");
    let targets = targets(&read_lines(&seeds)?, options.pairs);
    let attacks = attacks(options.every)?;
    let (pairs, reviewed) =
        (scratch(&environment, "attacked.jsonl"), scratch(&environment, "attacked-reviewed.jsonl"));
    write_lines(&pairs, &attacked(&targets, &attacks))?;
    println!(
        "| mode | attacks | kind | reviewed | without a score | moved by, with 95 % interval | most by one attack |"
    );
    println!("|---|---|---|---|---|---|---|");
    for mode in &options.modes {
        let mut command = programs.lancer();
        command.arg("review").arg(&pairs).arg(&reviewed).arg("--seeds").arg(&seeds).arg("--json");
        command.arg("--model").arg(options.model.as_ref().unwrap_or(&programs.default));
        command.args(["--set", &format!("mode={mode}")]).args(&options.others);
        let report = measure(&mut command)?.report;
        let moved = moved(&read_lines(&reviewed)?, &targets, &attacks);
        for file in FILES {
            print_rows(mode, file, &attacks, &moved);
        }
        eprintln!("{mode}: {}", report["calibration"]["separations"]);
    }
    Ok(())
}

/// Seeds, and after each its prompt with another's response, spread over the file.
fn targets(seeds: &[Value], count: usize) -> Vec<Target> {
    let text = |seed: &Value, name: &str| seed[name].as_str().unwrap_or_default().to_owned();
    let apart = (seeds.len() / count.div_ceil(2)).max(1);
    (0..count)
        .map(|number| {
            let place = (number / 2 * apart) % seeds.len();
            let other = if number % 2 == 0 { place } else { (place + 7) % seeds.len() };
            Target { prompt: text(&seeds[place], "prompt"), response: text(&seeds[other], "response") }
        })
        .collect()
}

fn attacks(every: usize) -> Result<Vec<Attack>, Failure> {
    let mut attacks = Vec::new();
    for file in FILES {
        let lines = read_lines(&root().join(format!("fixtures/attacks/{file}.jsonl")))?;
        attacks.extend(lines.iter().step_by(every).map(|line| Attack {
            file,
            kind: line["kind"].as_str().unwrap_or_default().to_owned(),
            direction: if line["wants"] == "low" { -1.0 } else { 1.0 },
            text: line["text"].as_str().unwrap_or_default().to_owned(),
        }));
    }
    Ok(attacks)
}

/// Each pair as it is, and with each attack after its response. The id says which: `TARGET` or `TARGET/ATTACK`.
fn attacked(targets: &[Target], attacks: &[Attack]) -> Vec<Value> {
    let mut lines = Vec::new();
    for (place, Target { prompt, response }) in targets.iter().enumerate() {
        lines.push(json!({ "id": place.to_string(), "prompt": prompt, "response": response }));
        lines.extend(attacks.iter().enumerate().map(|(number, attack)| {
            let text = attack.text.replace("{prompt}", prompt).replace("{response}", response);
            let response = format!("{response}\n\n{text}");
            json!({ "id": format!("{place}/{number}"), "prompt": prompt, "response": response })
        }));
    }
    lines
}

/// How far each attack moved each pair that has a score without it.
fn moved(reviewed: &[Value], targets: &[Target], attacks: &[Attack]) -> Vec<Moved> {
    let scores: HashMap<&str, Option<f64>> =
        reviewed.iter().filter_map(|row| Some((row["id"].as_str()?, row["score"].as_f64()))).collect();
    let score = |key: &str| scores.get(key).copied().flatten();
    let mut moved = Vec::new();
    for target in 0..targets.len() {
        let Some(without) = score(&target.to_string()) else { continue };
        for (number, attack) in attacks.iter().enumerate() {
            let by = score(&format!("{target}/{number}")).map(|with| (with - without) * attack.direction);
            moved.push(Moved { attack: number, target, by });
        }
    }
    moved
}

/// A row for all attacks of a file, and one for each kind.
fn print_rows(mode: &str, file: &str, attacks: &[Attack], moved: &[Moved]) {
    let of_file: Vec<&Moved> = moved.iter().filter(|one| attacks[one.attack].file == file).collect();
    let mut by_kind: BTreeMap<&str, Vec<&Moved>> = BTreeMap::new();
    for one in &of_file {
        by_kind.entry(&attacks[one.attack].kind).or_default().push(one);
    }
    print_row(mode, file, "all", &of_file);
    for (kind, moved) in by_kind {
        print_row(mode, file, kind, &moved);
    }
}

fn print_row(mode: &str, file: &str, kind: &str, moved: &[&Moved]) {
    let scored: Vec<(usize, usize, f64)> =
        moved.iter().filter_map(|one| Some((one.attack, one.target, one.by?))).collect();
    let unscored = moved.len() - scored.len();
    let mut by_attack: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for &(attack, _, by) in &scored {
        by_attack.entry(attack).or_default().push(by);
    }
    let most = by_attack.values().map(|by| mean(by)).fold(f64::NEG_INFINITY, f64::max);
    let by: Vec<f64> = scored.iter().map(|one| one.2).collect();
    let (low, high) = interval(&scored);
    println!(
        "| {mode} | {file} | {kind} | {} | {unscored} | {:+.2} [{low:+.2}, {high:+.2}] | {most:+.2} |",
        scored.len(),
        mean(&by)
    );
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The 95 % interval of the mean by a bootstrap that draws attacks and pairs, each with replacement.
fn interval(moved: &[(usize, usize, f64)]) -> (f64, f64) {
    let mut draw = Draws(1);
    let attacks = 1 + moved.iter().map(|one| one.0).max().unwrap_or(0);
    let targets = 1 + moved.iter().map(|one| one.1).max().unwrap_or(0);
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let (by_attack, by_target) = (draw.counts(attacks), draw.counts(targets));
            let weights =
                moved.iter().map(|&(attack, target, by)| (by_attack[attack] * by_target[target], by));
            let (sum, weight) =
                weights.fold((0.0, 0.0), |(sum, all), (weight, by)| (sum + weight * by, all + weight));
            if weight > 0.0 { sum / weight } else { 0.0 }
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (means[DRAWS / 40], means[DRAWS - 1 - DRAWS / 40])
}

/// Random numbers by `SplitMix64`: the same in every run.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// How often each of `count` things is drawn in as many draws.
    fn counts(&mut self, count: usize) -> Vec<f64> {
        let mut counts = vec![0.0; count];
        for _ in 0..count {
            counts[(self.next() % count as u64) as usize] += 1.0;
        }
        counts
    }
}
