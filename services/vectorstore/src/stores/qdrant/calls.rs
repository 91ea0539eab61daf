//! The client, and what its failures mean to the caller.

use std::fmt::Display;
use std::time::Duration;

use qdrant_client::config::QdrantConfig;
use qdrant_client::{Qdrant as Client, QdrantError};
use weft_kit::{ToolError, database::Database, span::backend};

use super::Settings;

pub(super) fn client(settings: &Settings) -> Result<Client, ToolError> {
    // The client would quote a key that no header can have.
    if settings.key.as_deref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(ToolError::invalid("the Qdrant key has characters that no header can have"));
    }
    let config = QdrantConfig {
        uri: settings.url.clone(),
        timeout: settings.timeout,
        connect_timeout: settings.timeout.min(Duration::from_secs(5)),
        keep_alive_while_idle: true,
        api_key: settings.key.clone(),
        check_compatibility: false,
        check_connection: false,
        pool_size: settings.connections,
        ..QdrantConfig::default()
    };
    let unreadable = |_: QdrantError| ToolError::invalid("the Qdrant address cannot be read, write http://host:6334");
    Client::new(config).map_err(unreadable)
}

/// One call, as a span in the trace of the tool's call: `method` is its name in Qdrant's protocol.
pub(super) async fn ask<T>(
    client: &Client,
    method: &'static str,
    call: impl Future<Output = Result<T, QdrantError>>,
) -> Result<T, QdrantError> {
    let about = || {
        let url = reqwest::Url::parse(&client.config.uri).ok();
        let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
        let port = url.as_ref().and_then(reqwest::Url::port).unwrap_or(6334);
        Database { system: "qdrant", host, port, namespace: "" }.operation(method)
    };
    let failed = |error: &QdrantError| match error {
        QdrantError::ResponseError { status } => format!("{:?}", status.code()).into(),
        _ => "other".into(),
    };
    // In a box: each layer around it would carry its room again.
    backend(about, failed, Box::pin(call)).await
}

/// The numbers are those of gRPC.
pub(super) fn failed(error: QdrantError) -> ToolError {
    let status = match &error {
        QdrantError::ResponseError { status } => status,
        QdrantError::ResourceExhaustedError { .. } => {
            return ToolError::unavailable("the Qdrant server has too much to do");
        }
        _ => return ToolError::internal(&error),
    };
    match status.code() as i32 {
        1 | 4 => ToolError::deadline(),
        5 => ToolError::not_found("there is no such collection").hint("list the collections, or create it"),
        6 => ToolError::conflict("it exists already"),
        7 | 16 => {
            tracing::warn!(code = %status.code(), "Qdrant does not accept our key");
            ToolError::unavailable("the Qdrant server does not let us in")
        }
        // The client says `internal` of a connection that could not be made, with an address that may have a password.
        _ if status.message().starts_with("Failed to connect") => away(status.code()),
        // `unknown`: a connection that broke.
        2 | 8 | 14 => away(status.code()),
        _ => ToolError::internal(&format!("{}: {}", status.code(), status.message())),
    }
}

fn away(code: impl Display) -> ToolError {
    tracing::warn!(%code, "Qdrant is out of reach");
    ToolError::unavailable("the Qdrant server cannot be reached")
}
