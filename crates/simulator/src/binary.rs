//! The program `lancer` itself on a tiny model, killed at system calls and at random moments.
//!
//! The faults are put into its system calls by the library that is loaded into it (`LD_PRELOAD`); its clock is the system's. A
//! kill at a call is repeated by its seed as far as the program makes its calls in the same order; one at a moment is not.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use lancer_faults::{Action, Clock, Fault, Kinds, Plan, VARIABLE};

use crate::{
    course::Place,
    draw::Draw,
    ending::Ending,
    folder,
    invariant::{Broken, Invariant},
    options::Options,
    process,
    reference::Reference,
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// What every run is started with: two small iterations.
const SETTINGS: [&str; 17] = [
    "review.calibration_seeds=12",
    "format=f32",
    "expand.sources=6",
    "expand.prompts=2",
    "expand.responses=2",
    "expand.worse_responses=2",
    "generate.max_prompt_tokens=24",
    "generate.max_response_tokens=24",
    "annotate.sft_threshold=5.0",
    "annotate.review_examples=2",
    "sft.max_examples=8",
    "sft.train.batch={examples=4}",
    "sft.train.optimizer.learning_rate=0.001",
    "sft.train.checkpoint_every=1",
    "preference.max_pairs=6",
    "preference.train.batch={examples=2}",
    "preference.train.checkpoint_every=1",
];

/// A kill of a life.
#[derive(Debug, Clone)]
enum Kill {
    /// At a system call.
    At(Fault),
    /// After so much time.
    After(Duration),
}

/// Makes the runs and says what was found.
pub(crate) fn run(program: &Path, options: &Options) -> ExitCode {
    match runs(program, options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many runs found something.
fn runs(program: &Path, options: &Options) -> Result<u64, String> {
    let text = |error: io::Error| error.to_string();
    let library = library()?;
    let scratch = tempfile::Builder::new()
        .prefix("lancer-torture-")
        .tempdir_in(&options.scratch)
        .map_err(|error| format!("cannot make a folder in {}: {error}", options.scratch.display()))?;
    let place = Place { program: program.into(), folder: scratch.path().join("place-000") };
    prepare(&place).map_err(text)?;
    let began = Instant::now();
    let whole = live(&place, &library, None).map_err(text)?;
    let took = began.elapsed();
    if whole != Ending::Finished {
        return Err(format!("the uninterrupted run: {whole}"));
    }
    let reference = Reference::taken(&place)?;
    println!(
        "the uninterrupted run took {:.1} s and made {} calls on its files",
        took.as_secs_f64(),
        reference.calls.len()
    );
    let (mut found, mut at_calls, mut at_moments) = (0, 0, 0);
    for seed in options.seed..options.seed + options.runs {
        let mut draw = Draw::new(seed, "binary");
        let mut lines = Vec::new();
        let mut result = prepare(&place).map_err(outside);
        for _ in 0..draw.one(&[1, 1, 2, 3]) {
            let kill = draw_kill(&mut draw, &reference, took);
            let ending = live(&place, &library, Some(&kill)).map_err(text)?;
            lines.push(format!("{kill:?}: {ending}"));
            if ending == Ending::Killed(9) {
                match kill {
                    Kill::At(_) => at_calls += 1,
                    Kill::After(_) => at_moments += 1,
                }
            } else if ending != Ending::Finished {
                result = result.and(Err(Broken::new(Invariant::EndsAsItMust, ending.to_string())));
            }
        }
        if result.is_ok() {
            let last = live(&place, &library, None).map_err(text)?;
            result = match last {
                Ending::Finished => reference.compare(&place),
                other => Err(Broken::new(Invariant::GoesOn, other.to_string())),
            };
        }
        if let Err(broken) = result {
            found += 1;
            println!("seed {seed}: {broken}\n  {}", lines.join("\n  "));
        } else if options.is_loud {
            println!("seed {seed}: the same end\n  {}", lines.join("\n  "));
        }
    }
    println!(
        "{} runs of {} from seed {}: {at_calls} kills at system calls and {at_moments} at moments; {found} runs found something",
        options.runs,
        program.display(),
        options.seed
    );
    Ok(found)
}

#[expect(clippy::needless_pass_by_value, reason = "it is for `map_err`")]
fn outside(error: io::Error) -> Broken {
    Broken::new(Invariant::GoesOn, format!("the simulator itself: {error}"))
}

/// The library that is loaded into the program, which lies where this program does.
fn library() -> Result<PathBuf, String> {
    let here = env::current_exe().map_err(|error| error.to_string())?;
    let folder = here.parent().unwrap_or(Path::new("."));
    let name = "liblancer_faults.so";
    [folder.join("deps").join(name), folder.join(name), folder.join("..").join(name)]
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| format!("{name} is not beside {}", here.display()))
}

fn draw_kill(draw: &mut Draw, reference: &Reference, took: Duration) -> Kill {
    if draw.below(3) == 0 {
        return Kill::After(took.mul_f64(draw.below(1000) as f64 / 1000.0));
    }
    let action = draw.one(&[Action::KillBefore, Action::KillAfter, Action::Torn(500)]);
    let after = draw.early(reference.calls.len() as u64) as u32;
    Kill::At(Fault { kinds: Kinds::CHANGES, within: String::new(), after, times: 1, action })
}

fn prepare(place: &Place) -> io::Result<()> {
    if place.folder.exists() {
        fs::remove_dir_all(&place.folder)?;
    }
    fs::create_dir_all(place.scratch())?;
    fs::create_dir_all(place.inputs())?;
    let all = fs::read_to_string(Path::new(FIXTURES).join("seeds.jsonl"))?;
    let some: String = all.lines().take(24).flat_map(|line| [line, "\n"]).collect();
    folder::write(
        &place.inputs(),
        &[("seeds.jsonl".to_owned(), (some + "a line that is not JSON\n").into_bytes())].into(),
    )
}

fn live(place: &Place, library: &Path, kill: Option<&Kill>) -> io::Result<Ending> {
    let record = place.record();
    if record.exists() {
        fs::remove_file(&record)?;
    }
    let faults = match kill {
        Some(Kill::At(fault)) => vec![fault.clone()],
        _ => Vec::new(),
    };
    let plan = Plan {
        folder: place.run(),
        record: Some(record),
        with_data: false,
        clock: Clock::Real,
        seed: None,
        faults,
    };
    let mut command = Command::new(&place.program);
    command.args(["--json", "evolve", "--run"]).arg(place.run());
    command.arg("--seeds").arg(place.inputs().join("seeds.jsonl"));
    command.arg("--model").arg(format!("{FIXTURES}/tiny-llama"));
    for task in ["everyday", "held_out"] {
        command.arg("--task").arg(format!("{FIXTURES}/tasks/{task}.toml"));
    }
    command.args(["--review", "likelihood", "--iterations", "2", "--threads", "1"]);
    for setting in SETTINGS {
        command.args(["--set", setting]);
    }
    command.env("LD_PRELOAD", library).env(VARIABLE, plan.to_string());
    let mut life = process::start(&mut command, &place.scratch().join("errors"))?;
    if let Some(Kill::After(time)) = kill {
        thread::sleep(*time);
        life.kill()?;
    }
    life.wait()
}
