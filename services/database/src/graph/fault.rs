//! What a server or the way to it fails with, in words that a caller can act on and that name no host, user or password.

use std::error::Error;

use weft_bolt::{BoltError, Failure};
use weft_kit::ToolError;

use super::guard::Forbidden;

/// What the guard says about a statement.
impl From<Forbidden> for ToolError {
    fn from(forbidden: Forbidden) -> Self {
        match &forbidden {
            Forbidden::Unreadable(_) | Forbidden::Empty | Forbidden::Call => Self::invalid(forbidden.to_string()),
            Forbidden::Procedure(_) | Forbidden::Function(_) => Self::refused(forbidden.to_string())
                .hint("procedures and functions with a namespace are allowed by name for each connection"),
            _ => Self::refused(forbidden.to_string())
                .hint("graph_query reads with one MATCH … RETURN; graph_execute changes nodes and relationships"),
        }
    }
}

/// An error of the connection called `name`.
pub(crate) fn tell(name: &str, error: BoltError) -> ToolError {
    match error {
        BoltError::Failure(failure) => refused(name, &failure),
        BoltError::Busy(_) => {
            ToolError::unavailable(format!("all connections to {name:?} are busy")).hint("try again in a moment")
        }
        BoltError::Malformed(_) => {
            log(name, &error);
            ToolError::too_large(format!("the connection {name:?} gave an answer that cannot be taken in"))
                .hint("ask for fewer or smaller values: name the properties that you need")
        }
        error => {
            log(name, &error);
            ToolError::unavailable(format!("the connection {name:?} cannot be reached now"))
                .hint("try again; check_health tells more")
        }
    }
}

fn log(name: &str, error: &BoltError) {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    tracing::warn!(connection = name, why = %error, cause, "a graph database cannot be used");
}

/// A failure of the server, by its class: `Neo.<class>.<category>.<title>`.
fn refused(name: &str, failure: &Failure) -> ToolError {
    let mut parts = failure.code.split('.').skip(1);
    let (class, category, title) = (parts.next(), parts.next(), parts.next());
    let said = || brief(&failure.message);
    match (class, category, title) {
        (_, _, Some("TransactionTimedOut" | "TransactionTimedOutClientConfiguration")) => ToolError::deadline(),
        (_, Some("Security"), Some("Forbidden")) => ToolError::refused(said()),
        (_, Some("Security"), _) => {
            tracing::error!(connection = name, code = failure.code, "a graph database refuses its user");
            ToolError::unavailable(format!("the connection {name:?} is refused by its server"))
        }
        (_, Some("Statement"), Some("AccessMode")) => ToolError::refused("the statement writes, and may only read"),
        (_, Some("Schema"), Some("ConstraintValidationFailed")) => ToolError::conflict(said()),
        (Some("ClientError"), Some("Statement" | "Schema" | "Procedure"), _) => ToolError::invalid(said()),
        (Some("TransientError"), ..) => {
            ToolError::unavailable(said()).hint("the same call may work in a moment, or if it asks for less")
        }
        _ => ToolError::internal(&format!("{}: {}", failure.code, failure.message)),
    }
}

/// The server's words, which may repeat the whole statement.
fn brief(message: &str) -> String {
    let line: String = message.chars().take(500).collect();
    if line.len() < message.len() { line + "…" } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: &str) -> ToolError {
        tell("movies", BoltError::Failure(Failure { code: code.to_owned(), message: "said".to_owned() }))
    }

    #[test]
    fn a_failure_is_the_callers_the_servers_or_a_matter_of_time() {
        assert_eq!(told("Neo.ClientError.Statement.SyntaxError").code(), "invalid_arguments");
        assert_eq!(told("Neo.ClientError.Statement.AccessMode").code(), "refused");
        assert_eq!(told("Neo.ClientError.Security.Forbidden").code(), "refused");
        assert_eq!(told("Neo.ClientError.Security.Unauthorized").code(), "unavailable");
        assert_eq!(told("Neo.ClientError.Schema.ConstraintValidationFailed").code(), "conflict");
        assert_eq!(told("Neo.ClientError.Transaction.TransactionTimedOut").code(), "deadline_exceeded");
        assert!(told("Neo.TransientError.Transaction.DeadlockDetected").is_retryable());
        assert_eq!(told("Neo.DatabaseError.General.UnknownError").code(), "internal");
    }

    #[test]
    fn an_unreachable_server_is_not_named() {
        let source = std::io::Error::other("refused");
        let error = tell("movies", BoltError::Connect { address: "10.1.2.3:7687".to_owned(), source });
        assert_eq!(error.code(), "unavailable");
        assert!(!error.message().contains("10.1.2.3"), "{error}");
    }
}
