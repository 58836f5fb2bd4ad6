//! What may be spent at servers: tokens, and money by the price of tokens.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::cancel::Cancel;

/// What may be spent. Nothing is sent that could take the sum past it, at the request's longest form.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    /// Tokens, of prompts and of samples.
    pub tokens: Option<u64>,
    /// Money, in the currency of the price.
    pub money: Option<Money>,
    /// What has been spent. Engines that share it share the budget.
    pub meter: Meter,
}

/// A limit in money.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Money {
    /// What may be spent.
    pub limit: f64,
    /// What tokens cost.
    pub price: Price,
}

/// What a million tokens cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// A million tokens of prompts.
    pub prompt: f64,
    /// A million tokens of samples.
    pub generated: f64,
}

/// Tokens of prompts and of samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of prompts.
    pub prompt: u64,
    /// Of samples.
    pub generated: u64,
}

/// Counts what is spent, and what requests in flight may come to spend. Its clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter {
    counts: Mutex<Counts>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    spent: Tokens,
    reserved: Tokens,
}

/// The budget has no room for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget is spent: {} tokens of prompts and {} of samples went through the servers, and the next request may take {} and {} more; what is finished is kept: raise the budget and run the same command to go on",
    spent.prompt, spent.generated, next.prompt, next.generated
)]
pub struct BudgetSpent {
    /// What has been spent.
    pub spent: Tokens,
    /// What the next request may take.
    pub next: Tokens,
}

/// Room in the budget for one request, given back when it is dropped.
pub(crate) struct Reserved<'a> {
    meter: &'a Meter,
    tokens: Tokens,
}

impl Meter {
    /// What has been spent so far.
    pub fn spent(&self) -> Tokens {
        self.counts().spent
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // The counts are whole between any two of their changes.
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Budget {
    /// Whether spending so much stays within it.
    fn affords(&self, tokens: Tokens) -> bool {
        let of_tokens =
            self.tokens.is_none_or(|limit| tokens.prompt.saturating_add(tokens.generated) <= limit);
        of_tokens && self.money.is_none_or(|money| money.price.of(tokens) <= money.limit)
    }

    /// Takes room for a request that takes so many tokens at most; waits while requests in flight may leave some. `None`
    /// where it was cancelled meanwhile.
    ///
    /// # Errors
    /// [`BudgetSpent`] where there is no room and nothing is in flight.
    pub(crate) fn reserve(&self, next: Tokens, cancel: &Cancel) -> Result<Option<Reserved<'_>>, BudgetSpent> {
        let mut counts = self.meter.counts();
        while !self.affords(counts.spent + counts.reserved + next) {
            if cancel.is_set() {
                return Ok(None);
            }
            if !self.affords(counts.spent + next) || counts.reserved == Tokens::default() {
                return Err(BudgetSpent { spent: counts.spent, next });
            }
            let waited = self.meter.0.settled.wait_timeout(counts, crate::cancel::LOOK_EVERY);
            counts = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        counts.reserved = counts.reserved + next;
        Ok(Some(Reserved { meter: &self.meter, tokens: next }))
    }
}

impl Reserved<'_> {
    /// Counts what the request took.
    pub(crate) fn spend(&self, tokens: Tokens) {
        let mut counts = self.meter.counts();
        counts.spent = counts.spent + tokens;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut counts = self.meter.counts();
        counts.reserved.prompt -= self.tokens.prompt;
        counts.reserved.generated -= self.tokens.generated;
        self.meter.0.settled.notify_all();
    }
}

impl Price {
    /// What tokens cost.
    pub fn of(&self, tokens: Tokens) -> f64 {
        (tokens.prompt as f64 * self.prompt + tokens.generated as f64 * self.generated) / 1e6
    }
}

impl std::ops::Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { prompt: self.prompt + other.prompt, generated: self.generated + other.generated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(prompt: u64, generated: u64) -> Tokens {
        Tokens { prompt, generated }
    }

    #[test]
    fn what_is_reserved_counts_until_it_is_given_back() {
        let budget = Budget { tokens: Some(100), ..Budget::default() };
        let cancel = Cancel::default();
        let first = budget.reserve(tokens(30, 50), &cancel).unwrap().unwrap();
        // It waits while the first may leave room: here until it is cancelled.
        cancel.set();
        assert!(budget.reserve(tokens(10, 40), &cancel).unwrap().is_none());
        first.spend(tokens(30, 5));
        drop(first);
        let cancel = Cancel::default();
        let second = budget.reserve(tokens(10, 40), &cancel).unwrap().unwrap();
        second.spend(tokens(10, 40));
        drop(second);
        let spent = budget.reserve(tokens(10, 6), &cancel).err().unwrap();
        assert_eq!(spent, BudgetSpent { spent: tokens(40, 45), next: tokens(10, 6) });
        assert!(budget.reserve(tokens(10, 5), &cancel).unwrap().is_some());
    }

    #[test]
    fn money_is_counted_by_the_price_of_each_kind() {
        let price = Price { prompt: 1.0, generated: 4.0 };
        let budget = Budget { money: Some(Money { limit: 0.001, price }), ..Budget::default() };
        let cancel = Cancel::default();
        assert!(budget.reserve(tokens(600, 100), &cancel).unwrap().is_some());
        assert!(budget.reserve(tokens(601, 100), &cancel).is_err());
    }
}
