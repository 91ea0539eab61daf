//! What may be called, remembered for a minute: the catalogue is not asked again for what every statement uses.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::sql::Name;

/// How long a verdict holds.
const FRESH: Duration = Duration::from_secs(60);

/// What a statement calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Called {
    Function(Name),
    /// By its name alone: which one of that name is meant depends on the types.
    Operator(String),
    /// A cast to this type.
    CastTo(String),
}

impl fmt::Display for Called {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(name) => write!(formatter, "the function {name}"),
            Self::Operator(name) => write!(formatter, "the operator {name}"),
            Self::CastTo(name) => write!(formatter, "the cast to {name}"),
        }
    }
}

/// Why something may not be called, if so.
pub(super) type Verdict = Result<(), String>;

/// Verdicts of the last minute.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<Called, (Instant, Verdict)>>);

impl Known {
    pub(super) fn of(&self, called: &Called) -> Option<Verdict> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(called).filter(|(since, _)| since.elapsed() < FRESH).map(|(_, verdict)| verdict.clone())
    }

    pub(super) fn keep(&self, called: Called, verdict: &Verdict) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > 1_000 {
            known.clear();
        }
        known.insert(called, (Instant::now(), verdict.clone()));
    }
}
