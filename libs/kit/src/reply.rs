//! What a tool returns when it worked: its typed data and the little that every result may say about itself.
//!
//! The data goes to `structuredContent.data` under the tool's output schema; `text` is a compact rendering for clients
//! that ignore structured content. A tool without a text of its own gets the compact JSON of its data.

use schemars::JsonSchema;
use serde::Serialize;

/// A successful result around its data `T`.
#[derive(Debug, Clone)]
pub struct Reply<T> {
    pub(crate) data: T,
    pub(crate) about: About,
}

/// Everything of a reply that does not depend on the type of its data.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) text: Option<String>,
    pub(crate) page: Option<Page>,
    pub(crate) truncated: Option<Truncated>,
    pub(crate) warnings: Vec<String>,
    pub(crate) source: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

/// Where a list stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Page {
    /// Pass it back as `cursor` with the same arguments to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Proven by having looked one item further.
    pub has_more: bool,
    /// Items in this page.
    pub returned: u64,
    /// Items in all, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// `total` is a guess.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub total_is_estimate: bool,
}

impl Page {
    /// A page of `returned` items; with a cursor there is more.
    pub fn new(returned: usize, cursor: Option<String>) -> Self {
        Self { has_more: cursor.is_some(), cursor, returned: returned as u64, total: None, total_is_estimate: false }
    }

    /// The exact number of items in all.
    pub fn total(mut self, total: u64) -> Self {
        self.total = Some(total);
        self
    }
}

/// Why and by how much a result was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Truncated {
    /// `budget`, or a word of the service's own (`entries_walked`, `time`).
    pub reason: String,
    /// The limit that was met, in the unit of the reason (bytes for `budget`).
    pub limit: u64,
    /// Bytes known to be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_omitted: Option<u64>,
}

impl Truncated {
    /// Cut for `reason` at `limit`.
    pub fn new(reason: impl Into<String>, limit: u64) -> Self {
        Self { reason: reason.into(), limit, bytes_omitted: None }
    }
}

/// A content block besides the text. Binary data is given raw; it is encoded when it is sent.
#[derive(Debug, Clone)]
pub enum Block {
    /// More text (what fits no rendering of the data: a diff, say).
    Text(String),
    /// A picture.
    Image {
        /// The file's bytes.
        data: Vec<u8>,
        /// Its media type.
        mime: String,
    },
    /// A sound.
    Audio {
        /// The file's bytes.
        data: Vec<u8>,
        /// Its media type.
        mime: String,
    },
    /// A resource that the client may read if it wants the whole.
    Link(Link),
}

/// A resource named by its URI: an entry of `resources/list`, or a [`Block::Link`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// The URI, of a scheme that the service owns.
    pub uri: String,
    /// A short name.
    pub name: String,
    /// One sentence.
    pub description: Option<String>,
    /// The media type, when known.
    pub mime: Option<String>,
    /// Size in bytes, when known.
    pub size: Option<u64>,
}

impl<T> Reply<T> {
    /// A reply that holds `data` and nothing else.
    pub fn new(data: T) -> Self {
        Self { data, about: About::default() }
    }

    /// The rendering for clients that ignore structured content. Compact: not a second dump of the data.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.about.text = Some(text.into());
        self
    }

    /// Where the list stands.
    pub fn page(mut self, page: Page) -> Self {
        self.about.page = Some(page);
        self
    }

    /// That something was left out (`budget.truncated()` fits here as it is).
    pub fn truncated(mut self, truncated: impl Into<Option<Truncated>>) -> Self {
        self.about.truncated = truncated.into();
        self
    }

    /// Something worth knowing that is no failure.
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.about.warnings.push(warning.into());
        self
    }

    /// Where the data came from (default: the service's name). Never a host path outside what callers may see.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.about.source = Some(source.into());
        self
    }

    /// An information-flow label for external policy (`private`, `public`).
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.about.label = Some(label.into());
        self
    }

    /// One more content block.
    pub fn block(mut self, block: Block) -> Self {
        self.about.blocks.push(block);
        self
    }
}

impl<T> From<T> for Reply<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}
