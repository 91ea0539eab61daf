//! What goes wrong between a client and its server, and whose fault it is.

use std::{io, time::Duration};

use weft_identity::IdentityError;

use crate::packstream::Malformed;

/// A failure that the server reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `Neo.<class>.<category>.<title>`.
    pub code: String,
    /// In the server's words.
    pub message: String,
}

impl Failure {
    /// The server says that the same may work later.
    pub fn is_transient(&self) -> bool {
        let stopped = ["Neo.TransientError.Transaction.Terminated", "Neo.TransientError.Transaction.LockClientStopped"];
        self.code.starts_with("Neo.TransientError.") && !stopped.contains(&self.code.as_str())
    }

    /// The member of the cluster does not write: another one does now.
    pub(crate) fn is_of_another_role(&self) -> bool {
        let codes = ["Neo.ClientError.Cluster.NotALeader", "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase"];
        codes.contains(&self.code.as_str())
    }
}

/// Why something could not be had from a server.
#[derive(Debug, thiserror::Error)]
pub enum BoltError {
    /// The address cannot be used as it is written.
    #[error("not an address of a Bolt server: {0}")]
    Address(&'static str),
    /// Nobody answers there, or not in time.
    #[error("cannot connect to {address}; check that the server runs and listens there")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The server does not prove to be who it should be, or the authorities cannot be read.
    #[error("no TLS with {address}; check its certificate and the authorities")]
    Tls {
        /// Host and port.
        address: String,
        /// Why.
        source: IdentityError,
    },
    /// The server has no version in common with us.
    #[error("{address} speaks none of Bolt 4.3, 4.4 and 5.0 to 5.4; use another server or its Bolt port")]
    Version {
        /// Host and port.
        address: String,
    },
    /// The connection ended, or an answer did not come in time.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// What came is no Bolt, is over a limit, or does not belong there.
    #[error("a message is not as it should be")]
    Malformed(#[from] Malformed),
    /// The server refused or failed.
    #[error("{}: {}", .0.code, .0.message)]
    Failure(Failure),
    /// All connections are lent out.
    #[error("no connection became free within {0:?}; allow more, or ask for less at once")]
    Busy(Duration),
}

impl BoltError {
    /// The server's failure, if that is what it is.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failure(failure) => Some(failure),
            _ => None,
        }
    }

    /// What went wrong in a word, or in the server's code: for traces and metrics.
    pub fn kind(&self) -> &str {
        match self {
            Self::Address(_) => "address",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Version { .. } => "version",
            Self::Broken(cause) if cause.kind() == io::ErrorKind::TimedOut => "timeout",
            Self::Broken(_) => "broken",
            Self::Malformed(_) => "malformed",
            Self::Failure(failure) => &failure.code,
            Self::Busy(_) => "busy",
        }
    }

    /// The server is away or does not answer: another one may.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken(_))
    }
}
