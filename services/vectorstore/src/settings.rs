//! What the vector store server can be told.

use std::{collections::BTreeSet, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_embed::{EmbedderSettings, LocalSettings};
use weft_extract::{PdfLimits, RootSettings};
use weft_kit::Reference;

/// The settings of the server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where collections are; tools use the first unless they are told another.
    pub stores: Vec<StoreSettings>,
    /// What turns texts into vectors; the first is the one of new collections. `lexical/1` is always there.
    pub embedders: Vec<EmbedderSettings>,
    /// The model that ranks hits anew where a search asks for it; words in common without one.
    pub reranker: Option<RerankerSettings>,
    /// One folder that files may be ingested from, called `documents`.
    pub documents: Option<PathBuf>,
    /// Further folders that files may be ingested from.
    pub roots: Vec<RootSettings>,
    /// The folder of snapshots; by default one in the instance's state directory. Several instances need one that all of them see.
    pub snapshots: Option<PathBuf>,
    /// How PDF files are read.
    pub pdf: PdfLimits,
    /// What may be ingested from the web: nothing unless hosts are named.
    pub fetch: FetchSettings,
}

/// A reranking model, by where it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "protocol", rename_all = "snake_case")]
pub enum RerankerSettings {
    /// A reranker of a folder, computed in this server.
    Local(LocalSettings),
    /// The aiml service, through a gateway.
    Mesh(RerankServiceSettings),
}

/// A reranker of the aiml service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankServiceSettings {
    /// The endpoint of aiml at a gateway, as in `http://127.0.0.1:8080/mcp/aiml`.
    pub url: String,
    /// The model as aiml lists it; its own choice if not said.
    #[serde(default)]
    pub model: Option<String>,
    /// The key or token that the gateway asks for.
    #[serde(default)]
    pub api_key: Option<Reference>,
    /// Certificates in PEM that are trusted instead of the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The longest that one call may take.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

/// What may be read from the web.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FetchSettings {
    /// Hosts, on the ports of http and https or one that is said: `docs.example`, `docs.example:8443`, `*.example` for all names
    /// below, `*` for all hosts. Redirects lead nowhere else.
    pub hosts: Vec<String>,
    /// Networks that may be reached beside the public internet: `10.1.0.0/16`. Never those where clouds tell a machine its keys.
    pub private: Vec<String>,
    /// Bytes of one page or file.
    pub max_bytes: u64,
    /// Seconds that reading one may take, with all redirects.
    pub seconds: u64,
    /// Redirects that are followed.
    pub redirects: usize,
    /// PEM file of the authorities that certificates are checked against; the system's if not said.
    pub authorities: Option<PathBuf>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        let (hosts, private, authorities) = (Vec::new(), Vec::new(), None);
        Self { hosts, private, max_bytes: 16 << 20, seconds: 30, redirects: 5, authorities }
    }
}

/// One store, by its kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StoreSettings {
    /// In a folder of this instance.
    Embedded(EmbeddedSettings),
    /// Qdrant, over gRPC.
    Qdrant(RemoteSettings),
    /// Chroma, over HTTP.
    Chroma(RemoteSettings),
    /// PostgreSQL with pgvector.
    Pgvector(RemoteSettings),
}

/// A store in a folder.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedSettings {
    /// How tools name it: 1 to 32 of a-z, 0-9, _ and -.
    pub name: String,
    /// Nothing in it may be changed.
    #[serde(default)]
    pub read_only: bool,
    /// The folder; by default one in the instance's state directory.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The most that one collection may take, in GiB; address space, not disk.
    #[serde(default = "max_gib")]
    pub max_gib: u32,
}

/// A store behind another server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteSettings {
    /// How tools name it: 1 to 32 of a-z, 0-9, _ and -.
    pub name: String,
    /// Nothing in it may be changed.
    #[serde(default)]
    pub read_only: bool,
    /// Its address by reference: `text:http://HOST:6334` (Qdrant, the gRPC port), `text:http://HOST:8000` (Chroma), `env:NAME` with
    /// `postgres://USER:PASSWORD@HOST/DATABASE` (pgvector).
    pub url: Reference,
    /// The key of Qdrant, or the token of Chroma.
    #[serde(default)]
    pub api_key: Option<Reference>,
    /// Chroma's tenant (`default_tenant`), or PostgreSQL's schema (`weft_vectors`).
    #[serde(default)]
    pub space: Option<String>,
    /// Connections at most.
    #[serde(default = "pool")]
    pub pool: u32,
    /// The longest that it may take to answer.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

impl StoreSettings {
    /// How tools name it.
    pub fn name(&self) -> &str {
        match self {
            Self::Embedded(EmbeddedSettings { name, .. }) => name,
            Self::Qdrant(remote) | Self::Chroma(remote) | Self::Pgvector(remote) => &remote.name,
        }
    }

    /// Whether nothing in it may be changed.
    pub fn read_only(&self) -> bool {
        match self {
            Self::Embedded(EmbeddedSettings { read_only, .. }) => *read_only,
            Self::Qdrant(remote) | Self::Chroma(remote) | Self::Pgvector(remote) => remote.read_only,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let store = EmbeddedSettings { name: "default".to_owned(), read_only: false, path: None, max_gib: max_gib() };
        Self {
            stores: vec![StoreSettings::Embedded(store)],
            embedders: Vec::new(),
            reranker: None,
            documents: None,
            roots: Vec::new(),
            snapshots: None,
            pdf: PdfLimits::default(),
            fetch: FetchSettings::default(),
        }
    }
}

impl Settings {
    /// All folders that files may be ingested from.
    pub(crate) fn folders(&self) -> Vec<RootSettings> {
        let one = self.documents.clone().map(|path| RootSettings { name: "documents".to_owned(), path });
        one.into_iter().chain(self.roots.iter().cloned()).collect()
    }

    /// Everything that is wrong with the settings by themselves.
    pub(crate) fn check(&self) -> Result<(), anyhow::Error> {
        anyhow::ensure!(!self.stores.is_empty(), "no store is configured; name at least one in `stores`");
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        let mut seen = BTreeSet::new();
        for name in self.stores.iter().map(StoreSettings::name) {
            anyhow::ensure!(
                (1..=32).contains(&name.len()) && name.bytes().all(fits),
                "the store's name {name:?} must be 1 to 32 of a-z, 0-9, _ and -"
            );
            anyhow::ensure!(seen.insert(name), "two stores are called {name:?}; give each a name of its own");
        }
        Ok(())
    }
}

fn max_gib() -> u32 {
    64
}

fn pool() -> u32 {
    8
}

fn timeout_ms() -> u64 {
    10_000
}
