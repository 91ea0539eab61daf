//! What the server or the way to it says → what a caller is told: a stable code, and never an address, a user or a password.

use redis::{ErrorKind, RedisError, ServerErrorKind as Server};
use weft_kit::ToolError;

/// Whether a failed command may have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing, or never reached the server.
    None,
    /// Nobody knows.
    Unknown,
}

/// The error that a caller of the connection `name` sees.
pub(crate) fn told(name: &str, error: &RedisError, effect: Effect) -> ToolError {
    match error.kind() {
        ErrorKind::Server(kind) => from_server(name, kind, error),
        ErrorKind::Extension => by_code(name, error.code().unwrap_or_default()),
        ErrorKind::AuthenticationFailed => {
            tracing::warn!(connection = name, "a Redis server does not accept the credentials");
            ToolError::refused(format!("the server of {name:?} does not accept this service's credentials"))
        }
        _ => away(name, error, effect),
    }
}

fn away(name: &str, error: &RedisError, effect: Effect) -> ToolError {
    tracing::warn!(connection = name, why = %error, "a Redis server cannot be reached");
    let what = if error.is_timeout() { "did not answer in time" } else { "cannot be reached now" };
    let told = ToolError::unavailable(format!("the connection {name:?} {what}"));
    match effect {
        Effect::None => told.hint("try again"),
        Effect::Unknown => told.hint("the change may have been made: read before you try again"),
    }
}

fn from_server(name: &str, kind: Server, error: &RedisError) -> ToolError {
    match kind {
        Server::NoPerm => no_permission(name),
        Server::BusyLoading | Server::ClusterDown | Server::MasterDown | Server::ReadOnly | Server::TryAgain => {
            let what = match kind {
                Server::BusyLoading => "is still loading its data",
                Server::ReadOnly => "is a replica just now, as in a failover",
                _ => "has no working master for this key just now",
            };
            ToolError::unavailable(format!("the connection {name:?} {what}")).hint("try again in a moment")
        }
        Server::Moved | Server::Ask => {
            ToolError::unavailable(format!("the keys of {name:?} are being moved, or it is not set up as a cluster"))
        }
        Server::CrossSlot => ToolError::invalid("the keys lie on different nodes of the cluster")
            .hint("give them one hash tag, such as {order1}:a and {order1}:b, or use one call for each"),
        Server::ExecAbort => ToolError::invalid("the transaction was not carried out: one of its commands is wrong"),
        Server::NoScript | Server::NotBusy | Server::NoSub => ToolError::invalid("the server does not do this"),
        // A general `ERR`, and what later versions of the client tell apart.
        _ => general(name, error),
    }
}

/// `ERR`: about the arguments. Its text is shown when it has no look of an address or a user.
fn general(name: &str, error: &RedisError) -> ToolError {
    let detail = error.detail().unwrap_or_default();
    if detail.starts_with("Client sent AUTH") || detail.contains("without any password") {
        return ToolError::refused(format!("the server of {name:?} does not accept this service's credentials"));
    }
    if detail.starts_with("unknown command") || detail.starts_with("unknown subcommand") {
        return ToolError::new("unsupported", format!("the server of {name:?} does not have this command"));
    }
    let shown = detail.chars().all(|letter| !letter.is_control()) && detail.len() <= 200 && !detail.contains('\'');
    if shown && !detail.is_empty() {
        return ToolError::invalid(format!("the server says: {detail}"));
    }
    ToolError::invalid("the server does not accept the command's arguments")
}

fn by_code(name: &str, code: &str) -> ToolError {
    match code {
        "WRONGTYPE" => ToolError::invalid("the key holds another kind of value"),
        "NOAUTH" | "WRONGPASS" => {
            ToolError::refused(format!("the server of {name:?} does not accept this service's credentials"))
        }
        "NOPERM" => no_permission(name),
        "OOM" => ToolError::new("storage_full", format!("the memory of {name:?} is full")),
        "BUSY" => ToolError::unavailable(format!("the connection {name:?} is busy with a script")),
        "MISCONF" | "NOREPLICAS" => {
            ToolError::unavailable(format!("the connection {name:?} takes no changes just now"))
        }
        "BUSYGROUP" | "BUSYKEY" => ToolError::conflict("it exists already"),
        _ => ToolError::invalid("the server does not accept the command"),
    }
}

fn no_permission(name: &str) -> ToolError {
    ToolError::refused(format!("the server of {name:?} does not permit this"))
}

/// Whether the error says that the key holds another kind of value.
pub(crate) fn is_wrong_kind(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}
