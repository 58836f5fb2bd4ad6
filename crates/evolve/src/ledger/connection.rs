//! The connection to the file, and the thread that commits what was written to it.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::{Connection, Result};

use super::marker::Marker;

/// Rows are committed together, at most so long after the first of them: a commit a row would cost more than the row.
const GROUP: Duration = Duration::from_millis(200);

/// A connection whose rows are committed by a thread, so that a row is safe after 200 ms also where none follows it.
#[derive(Debug)]
pub(super) struct Rows {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    /// Remembers how often was committed; none in a ledger that is only read.
    marker: Option<Marker>,
    group: Group,
    /// Why rows were lost that no call has failed for yet.
    lost: Option<rusqlite::Error>,
    is_closed: bool,
}

/// Rows that are not committed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    None,
    /// Since the first of them.
    Since(Instant),
    /// They are committed all together or not at all.
    Whole,
}

impl Rows {
    /// For reading alone.
    pub(super) fn reading(connection: Connection) -> Self {
        let state = State { connection, marker: None, group: Group::None, lost: None, is_closed: false };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }), thread: None }
    }

    /// For writing too.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn writing(connection: Connection, marker: Marker) -> io::Result<Self> {
        let mut rows = Self::reading(connection);
        rows.shared.lock().marker = Some(marker);
        let shared = Arc::clone(&rows.shared);
        let thread = thread::Builder::new().name("ledger".into());
        rows.thread = Some(thread.spawn(move || shared.commit_when_due())?);
        Ok(rows)
    }

    /// Reads. `read` must not come back to this connection.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        read(&self.shared.lock().connection)
    }

    /// Adds or changes rows. `write` must not come back to this connection.
    pub(super) fn write<T>(&self, write: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut state = self.shared.lock();
        state.begin()?;
        let written = write(&state.connection);
        state.forget_what_was_rolled_back();
        self.shared.changed.notify_one();
        written
    }

    /// Commits what is written so far.
    pub(super) fn flush(&self) -> Result<()> {
        self.shared.lock().commit()
    }

    /// From here until [`flush`](Self::flush) or [`undo`](Self::undo) nothing is committed.
    pub(super) fn begin_whole(&self) -> Result<()> {
        let mut state = self.shared.lock();
        state.begin()?;
        state.group = Group::Whole;
        Ok(())
    }

    /// Undoes what was written since the last commit.
    pub(super) fn undo(&self) -> Result<()> {
        let mut state = self.shared.lock();
        state.group = Group::None;
        if state.connection.is_autocommit() { Ok(()) } else { state.connection.execute_batch("ROLLBACK") }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It ends with the next commit; what it failed with is in the state.
            let _ = thread.join();
        }
        // What cannot be committed here is made again by the next session.
        let _ = self.flush();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while rows were read or written leaves the connection usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does.
    fn commit_when_due(&self) {
        let mut state = self.lock();
        while !state.is_closed {
            let left = match state.group {
                Group::Since(begun) => Some(GROUP.saturating_sub(begun.elapsed())),
                Group::None | Group::Whole => None,
            };
            state = match left {
                Some(left) if left.is_zero() => {
                    if let Err(error) = state.commit() {
                        state.lost = Some(error);
                    }
                    state
                }
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl State {
    fn begin(&mut self) -> Result<()> {
        self.fail_for_what_was_lost()?;
        if self.group == Group::None {
            // At once, not with the first row: a person's judgement may be committed by another process in between, after which
            // a transaction that has read could not write any more.
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.group = Group::Since(Instant::now());
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.fail_for_what_was_lost()?;
        if self.group == Group::None {
            return Ok(());
        }
        self.group = Group::None;
        let number = match &self.marker {
            Some(_) => Marker::count(&self.connection),
            None => Ok(0),
        };
        let committed = number.and_then(|number| self.connection.execute_batch("COMMIT").map(|()| number));
        match committed {
            Ok(number) => {
                if let Some(marker) = &mut self.marker {
                    marker.set(number);
                }
                Ok(())
            }
            Err(error) => {
                // Half of a group must not be committed with the next one.
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                Err(error)
            }
        }
    }

    /// A full disk, for example, undoes the whole group: the call that finds it out fails, and with it the stage.
    fn forget_what_was_rolled_back(&mut self) {
        if self.connection.is_autocommit() {
            self.group = Group::None;
        }
    }

    fn fail_for_what_was_lost(&mut self) -> Result<()> {
        self.lost.take().map_or(Ok(()), Err)
    }
}
