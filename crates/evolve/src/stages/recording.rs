//! Writing rows while an engine works: it can only be told to stop, so what went wrong is kept here.

use std::ops::ControlFlow;

use lancer_backend::Usage;

use crate::{error::EvolveError, ledger::Ledger, progress::Progress, stage::Stage};

/// Where the sinks of a stage write and show what is made.
pub(crate) struct Recording<'a> {
    pub(crate) ledger: &'a Ledger,
    progress: &'a mut dyn Progress,
    ended: Option<Ended>,
}

enum Ended {
    Interrupted,
    Failed(EvolveError),
}

impl<'a> Recording<'a> {
    pub(crate) fn new(ledger: &'a Ledger, progress: &'a mut dyn Progress) -> Self {
        Self { ledger, progress, ended: None }
    }

    /// One unit was made and `written` to the ledger.
    pub(crate) fn unit(&mut self, written: Result<(), EvolveError>) -> ControlFlow<()> {
        match written {
            Ok(()) => self.advance(1, 0),
            Err(error) => {
                self.ended = Some(Ended::Failed(error));
                ControlFlow::Break(())
            }
        }
    }

    /// Tokens went through the model.
    pub(crate) fn tokens(&mut self, tokens: usize) -> ControlFlow<()> {
        self.advance(0, tokens)
    }

    /// The result of the work, given what the engine returned.
    pub(crate) fn outcome<E: Into<EvolveError>>(
        self,
        result: Result<Usage, E>,
        iteration: u32,
        stage: Stage,
    ) -> Result<Usage, EvolveError> {
        match self.ended {
            Some(Ended::Failed(error)) => Err(error),
            Some(Ended::Interrupted) => Err(EvolveError::Interrupted { iteration, stage }),
            None => result.map_err(Into::into),
        }
    }

    fn advance(&mut self, units: usize, tokens: usize) -> ControlFlow<()> {
        let flow = self.progress.advance(units, tokens);
        if flow.is_break() {
            self.ended = Some(Ended::Interrupted);
        }
        flow
    }
}
