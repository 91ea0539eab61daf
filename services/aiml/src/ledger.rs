//! What each caller used within the last hour, and whether it may use more.
//!
//! A call reserves the tokens and the money that it may use at most before it begins, and the time that it is expected to take, so that
//! many at once cannot go over together; it settles for what it used. The hour slides in steps of five minutes. Told the time: no clock
//! inside.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use weft_kit::ToolError;

use crate::{
    fault::Fault,
    model::{Price, Usage},
    settings::Allowance,
};

const HOUR: Duration = Duration::from_secs(3_600);
const STEP: Duration = Duration::from_secs(300);
/// Callers that are remembered; those that used nothing for an hour are forgotten before.
const CALLERS: usize = 10_000;

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Used {
    pub(crate) tokens: u64,
    pub(crate) time: Duration,
    pub(crate) cost: f64,
}

impl Used {
    fn add(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.time += other.time;
        self.cost += other.cost;
    }

    /// What is left of it without `other`.
    fn less(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            time: self.time.saturating_sub(other.time),
            cost: (self.cost - other.cost).max(0.0),
        }
    }
}

/// The account of one caller.
#[derive(Debug, Default)]
struct Account {
    steps: VecDeque<(Instant, Used)>,
    reserved: Used,
}

impl Account {
    fn forget(&mut self, now: Instant) {
        while self.steps.front().is_some_and(|(start, _)| now.saturating_duration_since(*start) >= HOUR) {
            self.steps.pop_front();
        }
    }

    /// Whether a call runs. Money is not looked at: taking away what was added may leave a trace of it.
    fn is_reserved(&self) -> bool {
        self.reserved.tokens > 0 || !self.reserved.time.is_zero()
    }

    fn used(&self) -> Used {
        let mut sum = Used::default();
        self.steps.iter().for_each(|(_, used)| sum.add(*used));
        sum
    }

    fn book(&mut self, now: Instant, used: Used) {
        match self.steps.back_mut() {
            Some((start, step)) if now.saturating_duration_since(*start) < STEP => step.add(used),
            _ => self.steps.push_back((now, used)),
        }
    }
}

/// All accounts.
#[derive(Debug)]
pub(crate) struct Ledger {
    allowance: Allowance,
    accounts: Mutex<HashMap<String, Account>>,
}

/// What a call may use. What a model is doing for it is booked even if the call is dropped: giving up in time is not for free.
#[derive(Debug)]
pub(crate) struct Reserved {
    ledger: Arc<Ledger>,
    caller: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What of the reservation is not used yet.
    left: Used,
    running: Option<Running>,
}

/// Work that was begun and not settled.
#[derive(Debug, Clone, Copy)]
struct Running {
    since: Instant,
    usage: Usage,
    price: Price,
}

impl Ledger {
    pub(crate) fn new(allowance: Allowance) -> Arc<Self> {
        Arc::new(Self { allowance, accounts: Mutex::default() })
    }

    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Reserves `most` for `caller`, or says what it lacks.
    pub(crate) fn reserve(self: &Arc<Self>, caller: &str, most: Used, now: Instant) -> Result<Reserved, ToolError> {
        let mut accounts = self.accounts();
        if accounts.len() >= CALLERS {
            accounts.retain(|_, account| {
                account.forget(now);
                !account.steps.is_empty() || account.is_reserved()
            });
        }
        let account = accounts.entry(caller.to_owned()).or_default();
        account.forget(now);
        let used = account.used();
        // A call that may take longer than what is left has all of it.
        let left = self.allowance.seconds.map_or(most.time, |all| Duration::from_secs(all).saturating_sub(used.time));
        let most = Used { time: most.time.min(left), ..most };
        if let Some(lacking) = self.lacking(used, account.reserved, most) {
            let oldest =
                account.steps.front().map(|(start, _)| HOUR.saturating_sub(now.saturating_duration_since(*start)));
            let wait = oldest.unwrap_or(STEP).as_secs().max(1);
            metrics::counter!(weft_kit::names::AIML_BUDGET_REFUSALS.name).increment(1);
            return Err(ToolError::new("budget_exceeded", lacking).retryable().hint(format!(
                "ask for fewer tokens or fewer calls at once, or wait: some of it is free again in {wait} s; usage tells more"
            )));
        }
        account.reserved.add(most);
        let state = Mutex::new(State { left: most, running: None });
        Ok(Reserved { ledger: Arc::clone(self), caller: caller.to_owned(), state })
    }

    fn lacking(&self, used: Used, reserved: Used, most: Used) -> Option<String> {
        /// Sums of money are as exact as this.
        const CENTS: f64 = 1e-9;
        let mut spoken_for = used;
        spoken_for.add(reserved);
        if let Some(all) = self.allowance.tokens.filter(|all| spoken_for.tokens + most.tokens > *all) {
            let (wanted, left) = (most.tokens, all.saturating_sub(spoken_for.tokens));
            return Some(format!("this call may use {wanted} tokens, and {left} of {all} are left for this hour"));
        }
        if let Some(all) = self.allowance.seconds {
            let whole = Duration::from_secs(all);
            if used.time >= whole {
                return Some(format!("the {all} s of model time for this hour are used"));
            }
            if spoken_for.time + most.time > whole {
                return Some(format!("the rest of the {all} s of model time for this hour is for calls that run now"));
            }
        }
        // What is free is free, however much was spent.
        let all = self.allowance.cost.filter(|all| most.cost > 0.0 && spoken_for.cost + most.cost > *all + CENTS)?;
        let short = |cost: f64| (cost.max(0.0) * 1e6).round() / 1e6;
        let (wanted, left) = (short(most.cost), short(all - spoken_for.cost));
        Some(format!("this call may cost {wanted}, and {left} of {all} are left for this hour"))
    }

    /// What `caller` used within the last hour.
    pub(crate) fn used(&self, caller: &str, now: Instant) -> Used {
        let mut accounts = self.accounts();
        let Some(account) = accounts.get_mut(caller) else { return Used::default() };
        account.forget(now);
        account.used()
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    /// A model begins to work, on about so many tokens.
    pub(crate) fn begin(&self, prompt_tokens: u64, price: Price, now: Instant) {
        self.give_up(now);
        let usage = Usage { prompt_tokens, ..Usage::default() };
        self.state().running = Some(Running { since: now, usage, price });
    }

    /// The model gave another token.
    pub(crate) fn heard(&self) {
        if let Some(running) = &mut self.state().running {
            running.usage.completion_tokens += 1;
        }
    }

    /// The provider failed: if it said no before it did anything, nothing is paid.
    pub(crate) fn refused(&self, fault: &Fault) {
        if fault.did_nothing() {
            self.state().running.take();
        }
    }

    /// The model is done, and this is what it used. The rest of the reservation stays for what is still to come.
    pub(crate) fn settle(&self, used: Used, now: Instant) {
        self.state().running.take();
        self.book(used, now);
    }

    /// The model did not come to an end: what is known of its work is booked.
    pub(crate) fn give_up(&self, now: Instant) {
        let running = self.state().running.take();
        if let Some(Running { since, usage, price }) = running {
            let time = now.saturating_duration_since(since);
            self.book(Used { tokens: usage.total(), time, cost: price.of(usage) }, now);
        }
    }

    fn book(&self, used: Used, now: Instant) {
        let before = self.state().left;
        let left = before.less(used);
        self.state().left = left;
        if let Some(account) = self.ledger.accounts().get_mut(&self.caller) {
            account.reserved = account.reserved.less(before.less(left));
            account.book(now, used);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.give_up(Instant::now());
        let left = self.state().left;
        if let Some(account) = self.ledger.accounts().get_mut(&self.caller) {
            account.reserved = account.reserved.less(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ledger(tokens: u64) -> Arc<Ledger> {
        Ledger::new(Allowance { tokens: Some(tokens), ..Allowance::default() })
    }

    fn tokens(tokens: u64) -> Used {
        Used { tokens, ..Used::default() }
    }

    fn time(seconds: u64) -> Used {
        Used { time: Duration::from_secs(seconds), ..Used::default() }
    }

    fn cost(cost: f64) -> Used {
        Used { cost, ..Used::default() }
    }

    const FREE: Price = Price { input: 0.0, output: 0.0 };

    #[test]
    fn calls_at_once_cannot_go_over_together() {
        let (ledger, now) = (ledger(100), Instant::now());
        let first = ledger.reserve("a", tokens(60), now).unwrap();
        let refused = ledger.reserve("a", tokens(60), now).unwrap_err();
        assert!(refused.message().contains("40 of 100"), "{}", refused.message());
        assert!(ledger.reserve("b", tokens(60), now).is_ok(), "another caller has its own");
        first.settle(tokens(10), now);
        drop(first);
        assert!(ledger.reserve("a", tokens(90), now).is_ok());
    }

    #[test]
    fn what_was_used_is_forgotten_after_an_hour() {
        let (ledger, start) = (ledger(100), Instant::now());
        ledger.reserve("a", tokens(100), start).unwrap().settle(tokens(100), start);
        assert!(ledger.reserve("a", tokens(1), start + HOUR / 2).is_err());
        assert!(ledger.reserve("a", tokens(100), start + HOUR).is_ok());
    }

    #[test]
    fn a_call_that_is_dropped_on_the_way_pays_for_what_it_heard() {
        let (ledger, now) = (ledger(100), Instant::now());
        let reserved = ledger.reserve("a", tokens(60), now).unwrap();
        reserved.begin(7, FREE, now);
        (0..3).for_each(|_| reserved.heard());
        drop(reserved);
        assert_eq!(ledger.used("a", now).tokens, 10);
        assert!(ledger.reserve("a", tokens(90), now).is_ok() && ledger.reserve("a", tokens(91), now).is_err());
    }

    #[test]
    fn time_and_money_are_limits_as_well() {
        let now = Instant::now();
        let ledger = Ledger::new(Allowance { seconds: Some(2), cost: Some(1.0), ..Allowance::default() });
        ledger.reserve("slow", tokens(1), now).unwrap().settle(time(2), now);
        assert!(ledger.reserve("slow", tokens(1), now).is_err());
        ledger.reserve("dear", cost(0.9), now).unwrap().settle(cost(0.9), now);
        assert!(ledger.reserve("dear", cost(0.2), now).unwrap_err().message().contains("may cost 0.2, and 0.1 of"));
        assert!(ledger.reserve("dear", tokens(1), now).is_ok(), "what costs nothing is refused for its cost");
    }

    #[test]
    fn calls_at_once_cannot_spend_the_same_money_or_time() {
        let now = Instant::now();
        let ledger = Ledger::new(Allowance { seconds: Some(60), cost: Some(1.0), ..Allowance::default() });
        let begun: Vec<_> = (0..50).filter_map(|_| ledger.reserve("dear", cost(0.3), now).ok()).collect();
        assert_eq!(begun.len(), 3);
        begun[0].settle(cost(0.1), now);
        assert!(ledger.reserve("dear", cost(0.1), now).is_ok());
        drop(begun);
        assert!(ledger.reserve("dear", cost(0.9), now).is_ok(), "what was not used is free again");
        let running: Vec<_> = (0..50).filter_map(|_| ledger.reserve("slow", time(20), now).ok()).collect();
        assert_eq!(running.len(), 3);
        assert!(ledger.reserve("slow", time(20), now).unwrap_err().message().contains("run now"));
        drop(running);
        let alone = ledger.reserve("slow", time(600), now).unwrap();
        assert!(ledger.reserve("slow", time(1), now).is_err(), "one call may take all that is left");
        drop(alone);
    }

    #[test]
    fn a_call_that_is_given_up_pays_the_price_of_what_it_heard() {
        let now = Instant::now();
        let ledger = Ledger::new(Allowance { cost: Some(1.0), ..Allowance::default() });
        let price = Price { input: 1_000.0, output: 100_000.0 };
        let reserved = ledger.reserve("a", cost(0.9), now).unwrap();
        reserved.begin(100, price, now);
        (0..5).for_each(|_| reserved.heard());
        drop(reserved);
        assert!((ledger.used("a", now).cost - 0.6).abs() < 1e-9, "{:?}", ledger.used("a", now));
        assert!(ledger.reserve("a", cost(0.5), now).is_err());
        let refused = ledger.reserve("b", cost(0.9), now).unwrap();
        refused.begin(100, price, now);
        refused.refused(&Fault::Missing);
        drop(refused);
        assert_eq!(ledger.used("b", now), Used::default());
    }

    proptest! {
        #[test]
        fn nobody_uses_more_than_allowed_if_calls_keep_to_what_they_reserved(
            calls in prop::collection::vec((0u64..200, 0u64..5_000, 0u8..101), 1..60),
        ) {
            let (ledger, start) = (ledger(500), Instant::now());
            let mut now = start;
            for (wanted, wait, share) in calls {
                now += Duration::from_secs(wait);
                if let Ok(reserved) = ledger.reserve("a", tokens(wanted), now) {
                    reserved.settle(tokens(wanted * u64::from(share) / 100), now);
                }
                prop_assert!(ledger.used("a", now).tokens <= 500);
            }
        }
    }
}
