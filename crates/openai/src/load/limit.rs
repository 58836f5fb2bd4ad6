//! How many requests a server is sent at the same time: more while it keeps up, half as many when it does not.

use std::time::Duration;

/// With so many a server is begun.
const FIRST: f64 = 16.0;

/// A token may take so many times as long as it took at best, before no more requests are added.
const SLOWER: f64 = 4.0;

/// The weight of a new measurement in the smoothed one.
const WEIGHT: f64 = 0.2;

/// The limit of one server.
///
/// It doubles while it grows for the first time and rises by one a round afterwards, as TCP's congestion window does
/// (RFC 5681). A refusal for lack of room halves it. While a token takes far longer than at best, it stays: then requests
/// wait in the server's queue instead of ours.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    now: f64,
    most: f64,
    /// Below it the limit doubles.
    threshold: f64,
    best: Option<f64>,
    smoothed: Option<f64>,
    /// What was sent before the limit was halved says nothing of the new limit.
    halved_at: u64,
}

impl Limit {
    pub(crate) fn new(most: u32) -> Self {
        let most = f64::from(most.max(1));
        Self { now: FIRST.min(most), most, threshold: most, best: None, smoothed: None, halved_at: 0 }
    }

    pub(crate) fn get(&self) -> usize {
        self.now as usize
    }

    /// A request was answered. `in_use` says whether as many as the limit were in flight: else it was no limit.
    pub(crate) fn succeeded(&mut self, time: Duration, tokens: u64, in_use: bool) {
        let per_token = time.as_secs_f64() / tokens.max(1) as f64;
        let smoothed = self.smoothed.map_or(per_token, |before| before + WEIGHT * (per_token - before));
        self.smoothed = Some(smoothed);
        // Against the smoothed time: a single quick answer is no measure.
        let best = self.best.map_or(smoothed, |best| best.min(smoothed));
        self.best = Some(best);
        if in_use && smoothed <= SLOWER * best {
            let more = if self.now < self.threshold { 1.0 } else { 1.0 / self.now };
            self.now = (self.now + more).min(self.most);
        }
    }

    /// A request was refused for lack of room, or got no answer in time. `sent_at` and `now` count requests.
    pub(crate) fn congested(&mut self, sent_at: u64, now: u64) {
        if sent_at >= self.halved_at {
            self.now = (self.now / 2.0).max(1.0);
            self.threshold = self.now;
            self.halved_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_doubles_halves_and_then_rises_by_one_a_round() {
        let mut limit = Limit::new(256);
        for _ in 0..16 {
            limit.succeeded(Duration::from_millis(100), 10, true);
        }
        assert_eq!(limit.get(), 32);
        limit.congested(20, 40);
        assert_eq!(limit.get(), 16);
        // Of the same round as the last one.
        limit.congested(30, 41);
        assert_eq!(limit.get(), 16);
        for _ in 0..16 {
            limit.succeeded(Duration::from_millis(100), 10, true);
        }
        assert!((16..=17).contains(&limit.get()), "{}", limit.get());
        for sent in 50..80 {
            limit.congested(sent * 10, sent * 10 + 1);
        }
        assert_eq!(limit.get(), 1);
    }

    #[test]
    fn a_server_that_slows_down_gets_no_more() {
        let mut limit = Limit::new(256);
        limit.succeeded(Duration::from_millis(100), 10, true);
        for _ in 0..20 {
            limit.succeeded(Duration::from_secs(1), 10, true);
        }
        let slow = limit.get();
        for _ in 0..50 {
            limit.succeeded(Duration::from_secs(1), 10, true);
        }
        assert_eq!(limit.get(), slow);
    }

    #[test]
    fn what_is_no_limit_does_not_grow() {
        let mut limit = Limit::new(256);
        limit.succeeded(Duration::from_millis(100), 10, false);
        assert_eq!(limit.get(), 16);
        assert_eq!(Limit::new(3).get(), 3);
    }
}
