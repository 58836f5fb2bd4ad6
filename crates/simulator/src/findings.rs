//! Many runs, and what they found.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use crate::{
    course::{Course, Place, References, Report},
    incident::Trouble,
    invariant::{Broken, Invariant},
    options::Options,
    reference::Reference,
    world::World,
};

/// What was found so far.
#[derive(Default)]
struct Tally {
    runs: u64,
    lives: usize,
    troubles: BTreeMap<Trouble, u64>,
    /// By what was broken and the last trouble before it: how often, and the first seed.
    broken: BTreeMap<(Invariant, String), (u64, u64)>,
}

/// Makes the runs and says what was found; the exit code is 1 where something was.
pub(crate) fn run(options: &Options) -> ExitCode {
    if !lancer_faults::IS_SUPPORTED {
        eprintln!("error: faults can be put into system calls on Linux on x86-64 only");
        return ExitCode::from(2);
    }
    match tally(options) {
        Ok(tally) => {
            tally.print(options);
            if tally.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tally(options: &Options) -> Result<Tally, String> {
    let began = Instant::now();
    let scratch = tempfile::Builder::new()
        .prefix("lancer-torture-")
        .tempdir_in(&options.scratch)
        .map_err(|error| format!("cannot make a folder in {}: {error}", options.scratch.display()))?;
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let place = |number: usize| Place {
        program: program.clone(),
        folder: scratch.path().join(format!("place-{number:03}")),
    };
    let mut references = References::new();
    for world in World::ALL {
        references.insert(world, Reference::make(world, &place(0))?);
    }
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for job in 0..options.jobs {
            let (place, next, tally, references) = (place(job), &next, &tally, &references);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.runs {
                        break;
                    }
                    one(options.seed + number, options, &place, references, tally);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("{:.1} s", began.elapsed().as_secs_f64());
    Ok(tally)
}

fn one(seed: u64, options: &Options, place: &Place, references: &References, tally: &Mutex<Tally>) {
    let course = Course::draw(seed, &options.troubles, references);
    let Some(reference) = references.get(&course.world) else { return };
    let report = course.run(place, reference);
    let mut text = String::new();
    if options.is_loud {
        text = format!("seed {seed}, {}: {}\n", course.world, report.lines.join("\n  "));
    }
    if let Err(broken) = &report.result {
        text = told(&course, &report, broken, options, place, reference);
    }
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.runs += 1;
    tally.lives += report.lives;
    for incident in &course.incidents {
        *tally.troubles.entry(incident.trouble).or_default() += 1;
    }
    if let Err(broken) = &report.result {
        let names: Vec<&str> = course.incidents.iter().map(|incident| incident.trouble.name()).collect();
        let entry = tally.broken.entry((broken.invariant, names.join(", "))).or_insert((0, seed));
        entry.0 += 1;
        entry.1 = entry.1.min(seed);
    }
    print!("{text}");
    let done = tally.runs;
    if done.is_multiple_of(500) {
        eprintln!("{done} runs, {} lives", tally.lives);
    }
}

/// A finding for people: what happened, whether it repeats, and with how little.
fn told(
    course: &Course,
    report: &Report,
    broken: &Broken,
    options: &Options,
    place: &Place,
    reference: &Reference,
) -> String {
    let mut text = format!("seed {} ({}): {broken}\n", course.seed, course.world);
    for (number, line) in report.lines.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  life {}: {line}", number + 1);
    }
    let again = course.run(place, reference);
    let repeats = again.lines == report.lines && again.result.as_ref().err() == Some(broken);
    if !repeats {
        let found = again.result.err().map_or("nothing was broken".to_owned(), |broken| broken.to_string());
        let _ = writeln!(text, "  IT DOES NOT REPEAT EXACTLY: {found}");
    }
    let mut least = course.clone();
    let mut place_in = 0;
    while place_in < least.incidents.len() && least.incidents.len() > 1 {
        let mut less = least.clone();
        less.incidents.remove(place_in);
        let found = less.run(place, reference).result;
        if found.is_err_and(|found| found.invariant == broken.invariant) {
            least = less;
        } else {
            place_in += 1;
        }
    }
    if least.incidents.len() < course.incidents.len() {
        let names: Vec<String> = least.incidents.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  enough for it: {}", names.join("; "));
    }
    let only = if options.troubles.len() == Trouble::ALL.len() {
        String::new()
    } else {
        let names: Vec<&str> = options.troubles.iter().map(|trouble| trouble.name()).collect();
        format!(" --only {}", names.join(","))
    };
    text + &format!("  repeat: cargo xtask torture --runs 1 --seed {}{only}\n", course.seed)
}

impl Tally {
    fn print(&self, options: &Options) {
        println!("{} runs from seed {}, {} lives; troubles drawn:", self.runs, options.seed, self.lives);
        for (trouble, count) in &self.troubles {
            println!("  {:<22}{count}", trouble.name());
        }
        if self.broken.is_empty() {
            println!("nothing was found");
            return;
        }
        let total: u64 = self.broken.values().map(|(count, _)| count).sum();
        println!("{total} runs found something:");
        for ((invariant, troubles), (count, seed)) in &self.broken {
            println!("  {count} × {invariant} (first: seed {seed}), after {troubles}");
        }
    }
}
