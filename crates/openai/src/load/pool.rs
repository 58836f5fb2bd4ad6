//! The servers: which of them gets the next request.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::limit::Limit;
use crate::{
    ServerAddress,
    cancel::{Cancel, LOOK_EVERY},
};

/// The longest time for which a server that could not be reached is left alone.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// After so many failures without an answer between them a server is left alone.
const STUMBLES: u32 = 3;

/// Servers and what is in flight at each.
#[derive(Debug)]
pub(crate) struct Pool {
    servers: Mutex<Vec<Server>>,
    changed: Condvar,
    most: usize,
}

#[derive(Debug)]
struct Server {
    address: ServerAddress,
    limit: Limit,
    in_flight: usize,
    sent: u64,
    /// Failures since the last answer.
    failures: u32,
    /// What was sent before the last failure and fails too is the same failure.
    failed_at: u64,
    resting_until: Option<Instant>,
}

/// A place at a server for one request, given back when it is dropped.
pub(crate) struct Slot<'a> {
    pool: &'a Pool,
    pub(crate) server: usize,
    pub(crate) address: ServerAddress,
    sent_at: u64,
    in_use: bool,
}

/// Why there is no place.
#[derive(Debug)]
pub(crate) enum NoSlot {
    /// The call was cancelled.
    Cancelled,
    /// Every server asks to be left alone, for so long at least.
    AllRest(Duration),
}

impl Pool {
    /// `most` requests are in flight at all servers together.
    pub(crate) fn new(servers: &[ServerAddress], most: u32) -> Self {
        let server = |address: &ServerAddress| Server {
            address: address.clone(),
            limit: Limit::new(most),
            in_flight: 0,
            sent: 0,
            failures: 0,
            failed_at: 0,
            resting_until: None,
        };
        Self {
            servers: Mutex::new(servers.iter().map(server).collect()),
            changed: Condvar::new(),
            most: most.max(1) as usize,
        }
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        // What it guards is whole between any two of its changes.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place at the server that has the least work for its weight, among those that are well; waits for one.
    pub(crate) fn acquire(&self, cancel: &Cancel, patience: Duration) -> Result<Slot<'_>, NoSlot> {
        let mut servers = self.servers();
        loop {
            if cancel.is_set() {
                return Err(NoSlot::Cancelled);
            }
            let now = Instant::now();
            let rest = servers.iter().map(|server| server.rest(now)).min().unwrap_or_default();
            if rest > patience {
                return Err(NoSlot::AllRest(rest));
            }
            let in_flight: usize = servers.iter().map(|server| server.in_flight).sum();
            let best = (0..servers.len())
                .filter(|&one| in_flight < self.most && servers[one].has_room(now))
                .min_by(|&one, &other| servers[one].load().total_cmp(&servers[other].load()));
            if let Some(place) = best {
                let server = &mut servers[place];
                server.in_flight += 1;
                server.sent += 1;
                return Ok(Slot {
                    pool: self,
                    server: place,
                    address: server.address.clone(),
                    sent_at: server.sent,
                    in_use: server.in_flight >= server.limit.get(),
                });
            }
            let waited = self.changed.wait_timeout(servers, LOOK_EVERY);
            servers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Server {
    /// For how long it is left alone yet.
    fn rest(&self, now: Instant) -> Duration {
        self.resting_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Whether another request may be sent. A server that failed gets a single one until it has answered.
    fn has_room(&self, now: Instant) -> bool {
        let rests = !self.rest(now).is_zero();
        let room = if self.failures >= STUMBLES { 1 } else { self.limit.get() };
        !rests && self.in_flight < room
    }

    /// Counts a failure of what was sent as number `sent_at`.
    fn stumbled(&mut self, sent_at: u64, first_rest: Duration) {
        if sent_at < self.failed_at {
            return;
        }
        self.failed_at = self.sent + 1;
        self.failures = self.failures.saturating_add(1);
        if let Some(more) = self.failures.checked_sub(STUMBLES) {
            let rest = first_rest.saturating_mul(1 << more.min(16)).min(LONGEST_REST);
            self.resting_until = Some(Instant::now() + rest);
        }
    }

    fn load(&self) -> f64 {
        (self.in_flight + 1) as f64 / f64::from(self.address.weight().get())
    }
}

impl Slot<'_> {
    /// The server answered, and its answer took so long for so many tokens.
    pub(crate) fn succeeded(&self, time: Duration, tokens: u64) {
        let mut servers = self.pool.servers();
        let server = &mut servers[self.server];
        server.failures = 0;
        server.resting_until = None;
        server.limit.succeeded(time, tokens, self.in_use);
    }

    /// The server has no room. It is left alone for as long as it asks.
    pub(crate) fn congested(&self, retry_after: Option<Duration>) {
        let mut servers = self.pool.servers();
        let server = &mut servers[self.server];
        server.limit.congested(self.sent_at, server.sent);
        if let Some(time) = retry_after {
            let until = Instant::now() + time;
            server.resting_until = Some(server.resting_until.map_or(until, |before| before.max(until)));
        }
    }

    /// The server could not be reached, or did not answer. It is left alone for a time that doubles with each failure.
    pub(crate) fn failed(&self, first_rest: Duration) {
        let mut servers = self.pool.servers();
        let server = &mut servers[self.server];
        server.limit.congested(self.sent_at, server.sent);
        server.failures = server.failures.max(STUMBLES - 1);
        server.stumbled(self.sent_at, first_rest);
    }

    /// The server has an error of its own, or its answer makes no sense. It is left alone once it does nothing else.
    pub(crate) fn stumbled(&self, first_rest: Duration) {
        self.pool.servers()[self.server].stumbled(self.sent_at, first_rest);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.pool.servers()[self.server].in_flight -= 1;
        self.pool.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_mins(10);

    fn pool(servers: &[&str], most: u32) -> Pool {
        let servers: Vec<ServerAddress> = servers.iter().map(|text| text.parse().unwrap()).collect();
        Pool::new(&servers, most)
    }

    #[test]
    fn work_follows_the_weights() {
        let pool = pool(&["http://a", "http://b,weight=3"], 256);
        let slots: Vec<Slot<'_>> =
            (0..16).filter_map(|_| pool.acquire(&Cancel::default(), PATIENCE).ok()).collect();
        let at_first = slots.iter().filter(|slot| slot.server == 0).count();
        assert_eq!((slots.len(), at_first), (16, 4));
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_nothing_meanwhile() {
        let pool = pool(&["http://a", "http://b"], 256);
        let cancel = Cancel::default();
        let first = pool.acquire(&cancel, PATIENCE).unwrap();
        assert_eq!(first.server, 0);
        first.congested(Some(Duration::from_hours(1)));
        drop(first);
        for _ in 0..4 {
            assert_eq!(pool.acquire(&cancel, PATIENCE).unwrap().server, 1);
        }
    }

    #[test]
    fn a_server_that_failed_is_tried_by_a_single_request() {
        let pool = pool(&["http://a"], 256);
        let cancel = Cancel::default();
        pool.acquire(&cancel, PATIENCE).unwrap().failed(Duration::ZERO);
        let trial = pool.acquire(&cancel, PATIENCE).unwrap();
        assert!(!pool.servers()[0].has_room(Instant::now()));
        trial.succeeded(Duration::from_millis(10), 10);
        assert!(pool.servers()[0].has_room(Instant::now()));
    }

    #[test]
    fn no_more_are_in_flight_than_asked_for() {
        let pool = pool(&["http://a", "http://b"], 3);
        let cancel = Cancel::default();
        let slots: Vec<Slot<'_>> = (0..3).filter_map(|_| pool.acquire(&cancel, PATIENCE).ok()).collect();
        cancel.set();
        assert!(pool.acquire(&cancel, PATIENCE).is_err());
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn nobody_waits_for_servers_that_ask_for_longer_than_the_patience() {
        let pool = pool(&["http://a"], 256);
        let cancel = Cancel::default();
        pool.acquire(&cancel, PATIENCE).unwrap().congested(Some(Duration::from_hours(1)));
        assert!(matches!(pool.acquire(&cancel, PATIENCE), Err(NoSlot::AllRest(_))));
    }
}
