//! What can go wrong with an embedder: when it is opened, for the operator, and when it works, for whoever asked.
//!
//! The second kind says of itself what a tool tells its caller: a stable code, whether the same call may work later, and what to do.
//! Neither shows a key, nor what a server wrote.

use std::{error::Error, path::PathBuf};

use crate::{local::LoadError, service::CallError};

/// Why an embedder, or a service, cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No address.
    #[error("the address of {of:?} is wrong: it begins with http:// or https:// and holds no password; correct `url`")]
    Address {
        /// The embedder or service.
        of: String,
    },
    /// A setting is out of its range.
    #[error("{of:?} cannot be used: {why}")]
    Setting {
        /// The embedder or service.
        of: String,
        /// Which, and what to write.
        why: String,
    },
    /// The file of authorities cannot be used.
    #[error("the authorities of {of:?} in {path:?} cannot be read; give a file of certificates in PEM")]
    Authorities {
        /// The embedder or service.
        of: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The model's folder cannot be used.
    #[error("the model {of:?} cannot be opened; check `path`")]
    Model {
        /// The embedder.
        of: String,
        /// Why.
        #[source]
        cause: LoadError,
    },
    /// No HTTP client could be made.
    #[error("the HTTP client of {of:?} cannot be made; check the system's certificates")]
    Client {
        /// The embedder or service.
        of: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// No answer.
    #[error("the embedder `{embedder}` does not answer")]
    Unreachable {
        /// Its model.
        embedder: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// An answer that says no.
    #[error("the embedder `{embedder}` answered {status}")]
    Failed {
        /// Its model.
        embedder: String,
        /// The HTTP status.
        status: u16,
    },
    /// An answer without vectors.
    #[error("the embedder `{embedder}` gave no embeddings")]
    Unreadable {
        /// Its model.
        embedder: String,
    },
    /// An answer longer than any right one.
    #[error("the embedder `{embedder}` answers without end")]
    Endless {
        /// Its model.
        embedder: String,
    },
    /// Not what the settings promise.
    #[error("the embedder `{embedder}` did not give one vector of {dimensions} numbers a text")]
    Mismatch {
        /// Its model.
        embedder: String,
        /// The length that was promised.
        dimensions: usize,
    },
    /// Another model answered than the one that was asked.
    #[error("`{embedder}` was asked and `{answered}` answered: its vectors do not compare with those of the other")]
    Another {
        /// Its model.
        embedder: String,
        /// The model that answered.
        answered: String,
    },
    /// The aiml service did not do it.
    #[error(transparent)]
    Mesh(Box<CallError>),
    /// The key cannot be had, or the computation failed.
    #[error("the embedder `{embedder}` failed")]
    Broken {
        /// Its model.
        embedder: String,
        /// Why.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
}

impl EmbedError {
    /// A stable code for callers.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } | Self::Unreadable { .. } => "unavailable",
            Self::Failed { .. } => "embedder_failed",
            Self::Endless { .. } => "too_large",
            Self::Broken { .. } => "internal",
            Self::Mismatch { .. } | Self::Another { .. } => "model_mismatch",
            Self::Mesh(cause) => cause.code(),
        }
    }

    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unreadable { .. } => true,
            Self::Failed { status, .. } => *status >= 500 || *status == 429,
            Self::Mesh(cause) => cause.is_retryable(),
            _ => false,
        }
    }

    /// What can be done about it, if anything.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Failed { .. } if !self.is_retryable() => Some("ask the operator to check the embedder's settings"),
            Self::Mismatch { .. } => Some("ask the operator to correct `dimensions` or the model"),
            Self::Another { .. } => Some("ask the operator to name the model itself, provider/model, and no alias"),
            Self::Mesh(cause) => cause.hint(),
            _ => None,
        }
    }
}
