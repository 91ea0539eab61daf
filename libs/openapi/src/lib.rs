//! An OpenAPI 3 document and a base address → an MCP server whose tools are the operations of the document.
//!
//! [`OpenApi::handle`] speaks the stateless era alone, which is enough behind a gateway that translates. What a document says becomes
//! JSON Schema 2020-12; what a caller gives becomes one HTTP request, built so that no argument can leave its place in it.

use std::{path::Path, time::Duration};

use http::HeaderMap;

mod answer;
mod document;
mod input;
mod names;
mod request;
mod schema;
mod serve;

pub use serve::OpenApi;

/// The body of an answer.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, std::convert::Infallible>;

/// What is served, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the service.
    pub name: String,
    /// The document.
    pub document: Document,
    /// Where the API is, when the document does not say it with a whole address.
    pub base: Option<String>,
    /// Headers of every request: credentials, mostly. No argument can change them.
    pub headers: HeaderMap,
    /// How long one request may take.
    pub timeout: Duration,
    /// The longest text of an answer that is passed on, bytes.
    pub answer_bytes: usize,
}

impl Options {
    /// The usual bounds.
    pub fn new(name: &str, document: Document) -> Self {
        Self {
            name: name.to_owned(),
            document,
            base: None,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(60),
            answer_bytes: 1 << 20,
        }
    }
}

/// A parsed document.
#[derive(Debug, Clone)]
pub struct Document(pub(crate) serde_json::Value);

/// Why a document cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenApiError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Its path.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither JSON nor YAML.
    #[error("the document is neither JSON nor YAML: {0}")]
    Syntax(String),
    /// Not OpenAPI 3.
    #[error("the document is no OpenAPI 3: its \"openapi\" is {0}")]
    Version(String),
    /// Nobody says where the API is.
    #[error("the document names no whole address of the API; say it with base")]
    NoBase,
    /// That is no address.
    #[error("{0:?} is no address of an API; write https://HOST/PATH")]
    Base(String),
    /// The client cannot be made.
    #[error("cannot prepare requests: {0}")]
    Client(#[from] reqwest::Error),
}

impl Document {
    /// Parses JSON or YAML.
    pub fn parse(bytes: &[u8]) -> Result<Self, OpenApiError> {
        let text = std::str::from_utf8(bytes).map_err(|error| OpenApiError::Syntax(error.to_string()))?;
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
        let value = match parsed {
            Ok(value) => value,
            Err(_) => serde_saphyr::from_str(text).map_err(|error| OpenApiError::Syntax(error.to_string()))?,
        };
        match value["openapi"].as_str() {
            Some(version) if version.starts_with("3.") => Ok(Self(value)),
            Some(version) => Err(OpenApiError::Version(format!("{version:?}"))),
            None => Err(OpenApiError::Version("missing".into())),
        }
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, OpenApiError> {
        let bytes = std::fs::read(path).map_err(|source| OpenApiError::File { path: path.to_owned(), source })?;
        Self::parse(&bytes)
    }
}
