//! A training from its settings to its model: data, configuration, start, log, check.

use std::fmt::Write as _;
use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use lancer_backend::Seed;
use lancer_model::{ContentHash, Model};
use lancer_prefer::{Examples, Outcome, Prepared, TrainSettings, TrainingObserver, TrainingReport, prepare};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    axolotl,
    batches::{Division, order},
    command, data,
    encode::Tokens,
    error::TrainerError,
    follow::{Amounts, Followed, Tail},
    launch::Launch,
    llama_factory, log,
    method::Method,
    plan::{Paths, Plan},
    process::Running,
    settings::{JobSettings, Trainer},
    start,
    taken::TrainedModel,
    trl,
    versions::versions,
    yaml::Config,
};

/// How often a log is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How many of a log's last lines an error has.
const LAST_LINES: usize = 25;

/// A training that another program makes.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The program.
    pub trainer: Trainer,
    /// How it is found and started.
    pub settings: &'a JobSettings,
    /// What is trained.
    pub method: &'a Method,
    /// The model that is trained: a GGUF file or a Hugging Face folder.
    pub model: &'a Path,
    /// What it learns from.
    pub examples: Examples<'a>,
    /// Batches, epochs, optimizer and schedule.
    pub train: &'a TrainSettings,
    /// Decides the order of the examples, and what the trainer draws at random.
    pub seed: Seed,
    /// Where data, configuration, log and output are kept. It belongs to this job.
    pub folder: &'a Path,
}

/// What became of a job.
#[derive(Debug)]
pub struct Done {
    /// Its steps, as lancer's own trainer reports them.
    pub report: TrainingReport,
    /// The trained model; none where the training was interrupted.
    pub model: Option<TrainedModel>,
    /// The versions of the trainer's packages, by name.
    pub versions: BTreeMap<String, String>,
}

/// What is kept of a job between starts of lancer.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    trainer: String,
    versions: BTreeMap<String, String>,
    command: String,
    /// A hash of everything that decides the weights: another job begins anew.
    sha_256: String,
    /// Whether the trainer ended with success.
    is_finished: bool,
    /// What a program that is not known by name is told.
    job: Value,
}

/// Checks settings without a model and without data, so that what a trainer does not take is refused before a run begins.
///
/// # Errors
/// [`TrainerError::Setting`], naming the setting and what it takes.
pub fn check(
    trainer: Trainer,
    settings: &JobSettings,
    method: &Method,
    train: &TrainSettings,
    loss: Option<&lancer_prefer::loss::PreferenceLoss>,
) -> Result<(), TrainerError> {
    let plan = Plan {
        trainer,
        job: settings,
        method,
        train,
        loss,
        division: Division::of(trainer, train, settings, 1 + usize::from(loss.is_some()))?,
        steps: 1,
        max_length: train.max_length,
        has_held_out: true,
        seed: Seed(0),
        paths: Paths { folder: PathBuf::new() },
        resume: None,
    };
    if trainer != Trainer::Trl && settings.accelerate_config.is_some() {
        return Err(plan.no_field("job.accelerate_config", "give `job.launch` its words"));
    }
    if trainer != Trainer::Command && !settings.command.is_empty() {
        return Err(
            plan.no_field("job.command", "the trainer `command` has one; use `job.launch` or `job.submit`")
        );
    }
    config(&plan)?;
    Launch::of(&plan, Path::new("python3"))?;
    Ok(())
}

impl Job<'_> {
    /// Makes the training and checks what came of it.
    ///
    /// Where the folder holds the same job from an earlier start, it goes on from the trainer's last checkpoint, or takes the
    /// model over where the trainer had ended.
    ///
    /// # Errors
    /// See [`TrainerError`]. Whatever fails, the same call can be made again.
    pub fn run(&self, observer: &mut dyn TrainingObserver) -> Result<Done, TrainerError> {
        let python = self.settings.python.clone().unwrap_or_else(|| PathBuf::from("python3"));
        let versions = versions(self.trainer, &python)?;
        let folder = std::path::absolute(self.folder).map_err(TrainerError::io("find", self.folder))?;
        let paths = Paths { folder };
        if !paths.description().exists() {
            // So that the folder is known for a job's from its first file on.
            write_json(&paths.description(), &json!(Kept::default()))?;
        }
        let model = Model::open(self.model)?;
        let tokens = Tokens(&model);
        let prepared = prepare(&tokens, self.examples, self.train, self.seed)?;
        let loss = match self.examples {
            Examples::Sft(_) => None,
            Examples::Preference(_, loss) => Some(loss),
        };
        let sides = 1 + usize::from(loss.is_some());
        let division = Division::of(self.trainer, self.train, self.settings, sides)?;
        let order = order(&prepared, division.batch);
        let amounts = Amounts::new(&prepared, &order, division.batch, loss.is_some());
        let mut plan = Plan {
            trainer: self.trainer,
            job: self.settings,
            method: self.method,
            train: self.train,
            loss,
            division,
            steps: amounts.steps(),
            max_length: self.train.max_length.min(model.config().context_length),
            has_held_out: !prepared.held_out.is_empty(),
            seed: self.seed,
            paths: paths.clone(),
            resume: None,
        };
        let mut kept = Kept { trainer: self.trainer.to_string(), versions, ..Kept::default() };
        let data = self.write_data(&plan, &prepared, &order)?;
        kept.sha_256 = self.identity(&plan, &data)?;
        let before: Kept = fs::read_to_string(paths.description())
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let is_same = before.sha_256 == kept.sha_256;
        kept.is_finished = is_same && before.is_finished && paths.output().exists();
        if !is_same {
            start::remove(&paths.output())?;
            start::remove(&paths.log())?;
        }
        start::write(&model, &paths.model())?;
        let resumed = log::checkpoints(&paths.output()).into_iter().next().filter(|_| is_same);
        // A checkpoint of the model alone is none to go on from.
        let resumed = resumed.filter(|_| self.train.checkpoint_every.is_some());
        plan.resume = resumed.as_ref().map(|saved| saved.folder.clone());
        let made = resumed.map_or(0, |saved| saved.step);
        let launch = Launch::of(&plan, &python)?;
        kept.command = launch.line();
        kept.job = command::description(&plan);
        self.write_files(&plan, &launch)?;
        write_json(&paths.description(), &json!(kept))?;

        let mut shown = prepared.plan.clone();
        shown.steps = amounts.steps();
        shown.done = made;
        shown.notes.push(self.note(&kept, &paths));
        let mut followed = Followed::after(&amounts, made);
        let flow = observer.planned(&shown);
        let report = |followed: Followed<'_>, outcome| TrainingReport {
            plan: shown,
            steps: followed.steps,
            evaluations: followed.evaluations,
            set_aside: Vec::new(),
            outcome,
        };
        if !kept.is_finished {
            if flow.is_break() || self.follow(&launch, &paths, &python, &mut followed, observer)?.is_break() {
                let step = followed.made;
                let report = report(followed, Outcome::Interrupted { step });
                return Ok(Done { report, model: None, versions: kept.versions });
            }
            kept.is_finished = true;
            write_json(&paths.description(), &json!(kept))?;
        }
        let last = log::checkpoints(&paths.output()).into_iter().next();
        let state = last.map_or_else(|| paths.output(), |saved| saved.folder);
        let history = log::history(&state);
        if !history.is_empty() {
            let _ = fs::copy(state.join("trainer_state.json"), paths.folder.join("trainer_state.json"));
            followed.history(&history, observer);
        }
        let checked = TrainedModel::check(self.trainer, self.model, &paths);
        if checked.is_err() {
            // Taken over again it would be refused again.
            kept.is_finished = false;
            kept.sha_256.clear();
            write_json(&paths.description(), &json!(kept))?;
        }
        Ok(Done {
            report: report(followed, Outcome::Finished),
            model: Some(checked?),
            versions: kept.versions,
        })
    }

    /// Removes what a job no longer needs once its model was taken over: weights, checkpoints and caches. Data,
    /// configuration, log and the numbers of its steps stay.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub fn tidy(folder: &Path) -> Result<(), TrainerError> {
        ["model", "output", "taken", "cache", "prepared"]
            .iter()
            .try_for_each(|name| start::remove(&folder.join(name)))
    }

    /// Writes the data, and gives all of its text.
    fn write_data(
        &self,
        plan: &Plan<'_>,
        prepared: &Prepared,
        order: &[usize],
    ) -> Result<[String; 2], TrainerError> {
        let readable = data::readable(self.examples);
        let row = |example| data::row(self.trainer, example, &readable);
        let folder = plan.paths.data();
        fs::create_dir_all(&folder).map_err(TrainerError::io("make", &folder))?;
        let train = order.iter().map(|&place| row(&prepared.train[place]));
        let train = data::write(&folder.join(data::TRAIN), train)?;
        let held_out = folder.join(data::HELD_OUT);
        if prepared.held_out.is_empty() {
            // An empty file is an error to who reads it.
            start::remove(&held_out)?;
            return Ok([train, String::new()]);
        }
        Ok([train, data::write(&held_out, prepared.held_out.iter().map(row))?])
    }

    /// Writes the configuration and the script.
    fn write_files(&self, plan: &Plan<'_>, launch: &Launch) -> Result<(), TrainerError> {
        if let Some(config) = config(plan)? {
            data::write_text(&plan.paths.config(), &config.to_yaml())?;
        }
        if self.trainer == Trainer::LlamaFactory {
            write_json(&plan.paths.data().join("dataset_info.json"), &llama_factory::dataset_info(plan))?;
        }
        data::write_text(&plan.paths.script(), &launch.script(&plan.paths))
    }

    /// A hash of all that decides the weights.
    fn identity(&self, plan: &Plan<'_>, data: &[String; 2]) -> Result<String, TrainerError> {
        let model = ContentHash::of_model(self.model)?.to_string();
        let config =
            config(plan)?.map_or_else(|| command::description(plan).to_string(), |config| config.to_yaml());
        let mut hash = Sha256::new();
        for part in [self.trainer.name(), &model, &config, &data[0], &data[1]] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
            // A string takes all that is written to it.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// What the user is told when the training begins.
    fn note(&self, kept: &Kept, paths: &Paths) -> String {
        let version = self.trainer.packages().first().and_then(|name| kept.versions.get(*name));
        let version = version.map(|version| format!(" {version}")).unwrap_or_default();
        let trainer = self.trainer;
        if kept.is_finished {
            return format!("{trainer}{version} had finished the training in {}", paths.folder.display());
        }
        format!("{trainer}{version} trains; its log is {}: {}", paths.log().display(), kept.command)
    }

    /// Starts the trainer and follows it until it ends. `Break` where the observer ended it.
    fn follow(
        &self,
        launch: &Launch,
        paths: &Paths,
        python: &Path,
        followed: &mut Followed<'_>,
        observer: &mut dyn TrainingObserver,
    ) -> Result<ControlFlow<()>, TrainerError> {
        let log = paths.log();
        let begins = fs::metadata(&log).map_or(0, |about| about.len());
        let mut running = Running::start(launch, paths, python)?;
        let mut tail = Tail::from(begins);
        loop {
            let ended =
                running.ended().map_err(TrainerError::io("wait for the trainer in", &paths.folder))?;
            let mut flow = observer.waiting();
            for line in tail.read(&log) {
                if flow.is_continue() {
                    flow = followed.line(&line, observer);
                }
            }
            match ended {
                Some(status) if status.success() => return Ok(ControlFlow::Continue(())),
                Some(_) if flow.is_break() => return Ok(flow),
                Some(status) => {
                    let text = fs::read(&log).unwrap_or_default();
                    let text = text.get(begins as usize..).unwrap_or_default();
                    return Err(TrainerError::Failed {
                        trainer: self.trainer,
                        status: status.to_string(),
                        log,
                        last_lines: log::last_lines(&String::from_utf8_lossy(text), LAST_LINES),
                    });
                }
                None if flow.is_break() => {
                    running.stop();
                    return Ok(flow);
                }
                None => thread::sleep(LOOK),
            }
        }
    }
}

/// The configuration of a trainer that has one.
fn config(plan: &Plan<'_>) -> Result<Option<Config>, TrainerError> {
    match plan.trainer {
        Trainer::Trl => trl::config(plan).map(Some),
        Trainer::LlamaFactory => llama_factory::config(plan).map(Some),
        Trainer::Axolotl => axolotl::config(plan).map(Some),
        Trainer::Command => Ok(None),
    }
}

fn write_json(path: &Path, value: &Value) -> Result<(), TrainerError> {
    data::write_text(path, &format!("{value:#}\n"))
}
