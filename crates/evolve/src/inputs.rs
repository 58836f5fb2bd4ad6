//! The files from which a run follows: known by their content from the beginning on, and looked at again before each stage that
//! reads them. What follows from two states of a file is no run.

mod changed;
mod hashing;
mod listing;
mod written;

pub use self::changed::Change;
pub(crate) use self::written::Written;
use self::{changed::used_by, hashing::Hashing, listing::Listed};
use crate::{
    error::EvolveError,
    ledger::{InputKind, InputRow, Ledger},
    recipe::Recipe,
    stage::Stage,
};

/// The inputs of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    recipe: &'a Recipe,
    ledger: &'a Ledger,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(recipe: &'a Recipe, ledger: &'a Ledger) -> Self {
        Self { recipe, ledger }
    }

    /// Keeps what the files are where the run does not know them yet, or checks that they are still the same.
    pub(crate) fn check_all(&self) -> Result<(), EvolveError> {
        let known = self.ledger.inputs()?;
        if !known.is_empty() {
            return self.compare(&known, InputKind::ALL);
        }
        let found = self.found(&InputKind::ALL)?;
        self.check_older(&found)?;
        let since = self.next_stage()?;
        self.ledger.together(|| found.iter().try_for_each(|row| self.ledger.add_input(row, since)))
    }

    /// Forgets what the files are where they could not be used and nothing was made of them, so that they may be mended.
    pub(crate) fn forget_unused(&self) -> Result<(), EvolveError> {
        let is_used = self.ledger.is_finished(0, Stage::Import)? || !self.ledger.records(0)?.is_empty();
        if is_used { Ok(()) } else { self.ledger.forget_inputs() }
    }

    /// Checks the files that a stage is about to read.
    pub(crate) fn check_for(
        &self,
        iteration: u32,
        stage: Stage,
        reads_model: bool,
    ) -> Result<(), EvolveError> {
        let kinds = InputKind::ALL.into_iter().filter(|kind| match kind {
            InputKind::Model => reads_model,
            InputKind::Seeds => (iteration, stage) == (0, Stage::Import),
            InputKind::Task | InputKind::TaskData => {
                matches!(stage, Stage::Import | Stage::Clean | Stage::Evaluate)
            }
        });
        self.compare(&self.ledger.inputs()?, kinds)
    }

    /// The files of some kinds as they are now.
    fn found(&self, kinds: &[InputKind]) -> Result<Vec<InputRow>, EvolveError> {
        let hashing = Hashing::new(self.ledger);
        let mut rows = Vec::new();
        for Listed { kind, owner, files } in listing::of(self.recipe, kinds)? {
            for (place, path) in files.into_iter().enumerate() {
                let (bytes, sha256) = hashing.of_file(&path)?;
                rows.push(InputRow { kind, owner: owner.clone(), place, path, bytes, sha256 });
            }
        }
        Ok(rows)
    }

    /// An error at the first file that is not what it was.
    fn compare(
        &self,
        known: &[InputRow],
        kinds: impl IntoIterator<Item = InputKind>,
    ) -> Result<(), EvolveError> {
        // A task's file says where its data is, so the kinds come one after the other.
        kinds.into_iter().try_for_each(|kind| self.compare_kind(known, kind))
    }

    fn compare_kind(&self, known: &[InputRow], kind: InputKind) -> Result<(), EvolveError> {
        let expected: Vec<&InputRow> = known.iter().filter(|row| row.kind == kind).collect();
        // A file that is missing is found here, by its name, before its folder or its pattern is looked through.
        if let Some(row) = expected.iter().find(|row| !row.path.exists()) {
            return Err(self.changed(row, Change::Missing)?);
        }
        let found = self.found(&[kind])?;
        let is_same = |one: &InputRow, two: &InputRow| one.owner == two.owner && one.path == two.path;
        for row in &found {
            match expected.iter().find(|known| is_same(known, row)) {
                None => return Err(self.changed(row, Change::New)?),
                Some(before) if before.sha256 != row.sha256 => {
                    let change = Change::Content {
                        expected: before.sha256.clone(),
                        expected_bytes: before.bytes,
                        found: row.sha256.clone(),
                        found_bytes: row.bytes,
                    };
                    return Err(self.changed(before, change)?);
                }
                Some(before) if before.place != row.place => {
                    return Err(self.changed(before, Change::Order)?);
                }
                Some(_) => {}
            }
        }
        match expected.iter().find(|row| !found.iter().any(|found| is_same(found, row))) {
            Some(row) => Err(self.changed(row, Change::Unread)?),
            None => Ok(()),
        }
    }

    fn changed(&self, row: &InputRow, change: Change) -> Result<EvolveError, EvolveError> {
        Ok(EvolveError::InputChanged {
            path: row.path.clone(),
            kind: row.kind,
            change: Box::new(change),
            used: used_by(self.ledger, row.kind)?,
        })
    }

    /// Ledgers of the first version have the hashes of the file of seeds and of the model's file, or of its `config.json`.
    fn check_older(&self, found: &[InputRow]) -> Result<(), EvolveError> {
        for (name, kind) in [("seeds_sha256", InputKind::Seeds), ("model_sha256", InputKind::Model)] {
            let Some(known) = self.ledger.meta(name)? else { continue };
            let row = found.iter().find(|row| {
                row.kind == kind
                    && (row.path.ends_with("config.json") || row.path.display().to_string() == row.owner)
            });
            if let Some(row) = row.filter(|row| row.sha256 != known) {
                let change = Change::Content {
                    expected: known,
                    expected_bytes: row.bytes,
                    found: row.sha256.clone(),
                    found_bytes: row.bytes,
                };
                return Err(self.changed(row, change)?);
            }
        }
        Ok(())
    }

    /// The first stage that is not finished.
    fn next_stage(&self) -> Result<(u32, Stage), EvolveError> {
        for iteration in 0..=self.recipe.iterations {
            for &stage in Stage::of(iteration) {
                if !self.ledger.is_finished(iteration, stage)? {
                    return Ok((iteration, stage));
                }
            }
        }
        Ok((self.recipe.iterations, Stage::Merge))
    }
}
