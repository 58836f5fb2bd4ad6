//! One request until it has its answer: what is sent again, when, and what is given up.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use lancer_backend::Seed;
use serde_json::Value;

use super::pool::{NoSlot, Pool};
use crate::{
    BudgetSpent, OpenAiSettings, Tokens,
    cancel::Cancel,
    http::{Answer, Client, NoAnswer},
};

/// The servers and how they are asked.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) client: Client,
    pub(crate) pool: Pool,
    pub(crate) settings: OpenAiSettings,
    /// Numbers the waits, each of which is drawn anew.
    waits: AtomicU64,
}

/// A request, and how its answer is read.
pub(crate) trait Exchange: Send + Sync + 'static {
    /// What the answer says.
    type Answer: Send + 'static;

    /// Path and body for the server of that number.
    fn request(&self, server: usize) -> (&'static str, Value);

    /// Reads the server's answer.
    ///
    /// # Errors
    /// Where it is no answer to the request, with the reason.
    fn read(&self, server: usize, answer: &Answer) -> Result<Self::Answer, String>;

    /// What it takes at most.
    fn most(&self) -> Tokens;

    /// What an answer took.
    fn took(&self, answer: &Self::Answer) -> Tokens;
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The call was called off.
    #[error("cancelled")]
    Cancelled,
    /// The budget has no room for it.
    #[error(transparent)]
    Budget(#[from] BudgetSpent),
    /// The server does not take the request; sent again it would not either.
    #[error("{server} refuses the request with status {status}: {reason}")]
    Refused { server: String, status: u16, reason: String },
    /// Every server asks for more patience than there is.
    #[error("every server asks to be left alone, for {seconds} s at least")]
    AllRest { seconds: u64 },
    /// It was sent again until that had no more sense.
    #[error("{server} {reason}; the request was sent {attempts} times within {} s", time.as_secs())]
    GaveUp { server: String, reason: String, attempts: u32, time: Duration },
}

/// What an attempt came to.
enum Attempt<A> {
    Answered(A),
    /// There is no room now.
    Congested {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// The server cannot be reached, or does not answer.
    Lost(String),
    /// The server has an error of its own, or its answer makes no sense.
    Wrong(String),
    Refused {
        status: u16,
        reason: String,
    },
}

impl Servers {
    pub(crate) fn new(settings: OpenAiSettings) -> Self {
        Self {
            client: Client::new(settings.timeout, settings.key.clone()),
            pool: Pool::new(&settings.servers, settings.in_flight.get()),
            settings,
            waits: AtomicU64::new(0),
        }
    }

    /// Sends a request until it has an answer. There is one answer, whatever was sent again.
    pub(crate) fn perform<E: Exchange>(&self, exchange: &E, cancel: &Cancel) -> Result<E::Answer, Failed> {
        let retry = self.settings.retry;
        let reserved = self.settings.budget.reserve(exchange.most(), cancel)?.ok_or(Failed::Cancelled)?;
        let (mut sent, mut wrong, mut failures) = (0, 0, 0);
        let mut first_failure: Option<Instant> = None;
        loop {
            let slot = self.pool.acquire(cancel, retry.patience).map_err(|reason| match reason {
                NoSlot::Cancelled => Failed::Cancelled,
                NoSlot::AllRest(time) => Failed::AllRest { seconds: time.as_secs() },
            })?;
            sent += 1;
            let clock = Instant::now();
            let attempt = self.attempt(exchange, &slot.address, slot.server);
            let server = slot.address.base().to_owned();
            let (reason, mut wait, given_up) = match attempt {
                Attempt::Answered(answer) => {
                    let tokens = exchange.took(&answer);
                    slot.succeeded(clock.elapsed(), tokens.generated.max(1));
                    reserved.spend(tokens);
                    return Ok(answer);
                }
                Attempt::Refused { status, reason } => {
                    return Err(Failed::Refused { server, status, reason });
                }
                Attempt::Congested { reason, retry_after } => {
                    slot.congested(retry_after);
                    (reason, self.wait(failures), false)
                }
                Attempt::Lost(reason) => {
                    slot.failed(retry.first_wait);
                    (reason, self.wait(failures), false)
                }
                Attempt::Wrong(reason) => {
                    slot.stumbled(retry.first_wait);
                    wrong += 1;
                    (reason, self.wait(failures), wrong >= retry.attempts)
                }
            };
            // Another may have it before this one is sent again.
            drop(slot);
            failures += 1;
            let since = first_failure.get_or_insert(clock).elapsed();
            if given_up || since > retry.patience {
                return Err(Failed::GaveUp { server, reason, attempts: sent, time: since });
            }
            wait = wait.min(retry.patience.saturating_sub(since));
            cancel.wait(wait);
        }
    }

    fn attempt<E: Exchange>(
        &self,
        exchange: &E,
        address: &crate::ServerAddress,
        server: usize,
    ) -> Attempt<E::Answer> {
        let (path, body) = exchange.request(server);
        let answer = match self.client.post(address, path, &body) {
            Ok(answer) => answer,
            Err(error @ (NoAnswer::Unreachable(_) | NoAnswer::Timeout(_))) => {
                return Attempt::Lost(error.to_string());
            }
            Err(error @ NoAnswer::Cut(_)) => return Attempt::Wrong(error.to_string()),
        };
        let said = || self.client.shown(&answer.error_text());
        match answer.status {
            200..300 => match exchange.read(server, &answer) {
                Ok(read) => Attempt::Answered(read),
                Err(reason) => Attempt::Wrong(format!("gave a wrong answer: {}", self.client.shown(&reason))),
            },
            // A spent quota has the same status as a burst, and is not there again in a minute.
            429 if answer.error_text().contains("quota") && answer.retry_after.is_none() => {
                Attempt::Refused { status: 429, reason: said() }
            }
            429 | 503 | 529 => Attempt::Congested {
                reason: format!("has no room (status {}): {}", answer.status, said()),
                retry_after: answer.retry_after,
            },
            408 | 425 | 500..600 => Attempt::Wrong(format!("failed (status {}): {}", answer.status, said())),
            401 | 403 => Attempt::Refused {
                status: answer.status,
                reason: format!(
                    "{}; give its key in the variable {} or with --server-key-file FILE",
                    said(),
                    crate::KEY_VARIABLE
                ),
            },
            status => Attempt::Refused { status, reason: said() },
        }
    }

    /// The wait after so many failures: drawn between nothing and a time that doubles, so that requests that failed
    /// together are not sent again together.
    fn wait(&self, failures: u32) -> Duration {
        let retry = self.settings.retry;
        let longest = retry.first_wait.saturating_mul(1 << failures.min(16)).min(retry.longest_wait);
        let number = self.waits.fetch_add(1, Ordering::Relaxed);
        let drawn = Seed(u64::from(std::process::id())).derive(&number.to_string()).0;
        longest.mul_f64(drawn as f64 / u64::MAX as f64)
    }
}
