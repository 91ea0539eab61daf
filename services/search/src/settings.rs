//! What the search server can be told: where indexes are, which directories may be read into them, and how much a call may ask.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_extract::{PdfLimits, RootSettings};
use weft_kit::Reference;

/// An index of the cluster that was not made here: it can be searched and not changed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedIndex {
    /// What callers name it.
    pub name: String,
    /// Its name in the cluster, or that of an alias. No pattern.
    pub target: String,
    /// Namespaces (tenants) that may search it; all if empty.
    #[serde(default)]
    pub tenants: Vec<String>,
}

/// An Elasticsearch or OpenSearch cluster.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// `https://host:port`, with a path if a proxy needs one.
    pub url: Reference,
    /// Value of the header `Authorization`: `ApiKey …`, `Basic …` or `Bearer …`.
    #[serde(default)]
    pub authorization: Option<Reference>,
    /// PEM file of the authorities that its certificate is checked against; the system's if not said.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Begins the names of all indexes that are made here.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// Indexes of others that can be searched.
    #[serde(default)]
    pub shared: Vec<SharedIndex>,
    /// Milliseconds that one request may take.
    #[serde(default = "request_ms")]
    pub request_ms: u64,
}

fn prefix() -> String {
    "weft".to_owned()
}

fn request_ms() -> u64 {
    30_000
}

/// How much one call may ask.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Indexes that one namespace may have.
    pub indexes: usize,
    /// Bytes of one document; what is much larger than half a MiB cannot be read back in one result.
    pub document_bytes: usize,
    /// Bytes of one file that is indexed; larger ones are passed over.
    pub file_bytes: u64,
    /// Files of one directory.
    pub files: usize,
    /// Bytes of memory for writing to one embedded index, at least 16 MiB.
    pub writer_bytes: usize,
    /// Milliseconds from which on a search is kept in the list of slow ones.
    pub slow_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            indexes: 100,
            document_bytes: 512 << 10,
            file_bytes: 448 << 10,
            files: 50_000,
            writer_bytes: 32 << 20,
            slow_ms: 500,
        }
    }
}

/// The settings of the server. Without a cluster, indexes are embedded, in the state directory.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Keep indexes in this cluster.
    pub cluster: Option<ClusterSettings>,
    /// One directory that may be indexed, called `root`.
    pub root: Option<PathBuf>,
    /// Further directories that may be indexed.
    pub roots: Vec<RootSettings>,
    /// How much one call may ask.
    pub limits: Limits,
    /// What turns texts into vectors; the first is the one of new fields. `lexical/1`, which needs no model, is always there.
    pub embedders: Vec<weft_embed::EmbedderSettings>,
    /// How PDF files are read.
    pub pdf: PdfLimits,
    /// Offer the cluster's own query language, without what reaches beyond the index that is asked.
    pub native_queries: bool,
}

impl Settings {
    /// All directories that may be indexed.
    pub(crate) fn directories(&self) -> Vec<RootSettings> {
        let one = self.root.clone().map(|path| RootSettings { name: "root".to_owned(), path });
        one.into_iter().chain(self.roots.iter().cloned()).collect()
    }
}
