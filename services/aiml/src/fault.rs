//! What goes wrong at a provider, sorted by what to do about it: try another one, wait, or tell the caller.
//!
//! No message names a host or a key, and what a provider says is repeated only where it is about the request: what it says
//! about a refused key often holds that key.

use std::time::Duration;

use weft_kit::ToolError;

/// Characters of a provider's own words that are passed on.
const QUOTED: usize = 300;

/// Why a provider did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// There was no answer at all, and not because it took too long.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time, or broke off.
    #[error("does not answer: {0}")]
    Away(String),
    /// It has too much to do.
    #[error("is busy")]
    Busy(Option<Duration>),
    /// It does not accept our key.
    #[error("does not accept the key that it is given")]
    Denied,
    /// It has no such model.
    #[error("has no such model")]
    Missing,
    /// It takes the request for wrong.
    #[error("refuses the request: {0}")]
    Rejected(String),
    /// It answers what cannot be understood.
    #[error("answers wrongly: {0}")]
    Broken(String),
    /// It has no way to do this.
    #[error("cannot do this")]
    Unsupported,
}

impl Fault {
    /// Whether it speaks against the health of the model or its provider.
    pub(crate) fn is_sick(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Away(_) | Self::Broken(_))
    }

    /// Whether the provider said no before it did anything.
    pub(crate) fn did_nothing(&self) -> bool {
        !matches!(self, Self::Away(_) | Self::Broken(_))
    }

    /// Whether another provider may do better.
    pub(crate) fn tries_next(&self) -> bool {
        !matches!(self, Self::Rejected(_))
    }

    /// One word, for metrics and lists of attempts.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Away(_) => "away",
            Self::Busy(_) => "busy",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Rejected(_) => "rejected",
            Self::Broken(_) => "broken",
            Self::Unsupported => "unsupported",
        }
    }

    /// The provider's own words about a request that it refuses.
    pub(crate) fn rejected(words: &str) -> Self {
        let short: String = words.chars().filter(|letter| !letter.is_control()).take(QUOTED).collect();
        Self::Rejected(short)
    }

    /// What the caller of `model` is told.
    pub(crate) fn told(&self, model: &str) -> ToolError {
        if self.is_sick() || *self == Self::Denied {
            tracing::warn!(model, why = %self, "a provider of models failed");
        }
        match self {
            Self::Unreachable(_) | Self::Away(_) => {
                ToolError::unavailable(format!("the provider of {model} cannot be reached or broke off"))
                    .hint("try again, or name another model; list_models says which providers answer")
            }
            Self::Busy(after) => {
                let wait = after.map_or(5, |after| after.as_secs().max(1));
                ToolError::new("busy", format!("the provider of {model} has too much to do"))
                    .retryable()
                    .hint(format!("try again in {wait} s, or name another model"))
            }
            Self::Denied => {
                ToolError::unavailable(format!("the provider of {model} does not accept this server's key"))
                    .hint("name a model of another provider; the operator must look at the key")
            }
            Self::Missing => ToolError::not_found(format!("{model} is no model of its provider"))
                .hint("list_models names those that there are"),
            Self::Rejected(words) => {
                ToolError::new("rejected", format!("the provider of {model} refuses this: {words}"))
                    .hint("change the request; model_info says what the model can do")
            }
            Self::Broken(_) => {
                ToolError::new("bad_answer", format!("the provider of {model} answered what cannot be understood"))
                    .retryable()
                    .hint("try again, or name another model")
            }
            Self::Unsupported => ToolError::new("unsupported", format!("the provider of {model} cannot do this"))
                .hint("name another model; list_models with capability finds one"),
        }
    }
}
