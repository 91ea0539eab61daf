//! A request of the stateless era → what it says of its client: it introduces itself in `_meta` each time.

use weft_wire::{members::Members, translate};

/// How a request of the stateless era introduces its client; raw JSON but for the level.
pub(crate) struct Introduced {
    pub(crate) capabilities: String,
    pub(crate) client_info: String,
    pub(super) level: Option<String>,
    pub(super) progress: Option<String>,
}

impl Default for Introduced {
    /// Of a client that has not said what it can do.
    fn default() -> Self {
        let client_info = r#"{"name":"unknown","version":"0"}"#.to_owned();
        Self { capabilities: "{}".into(), client_info, level: None, progress: None }
    }
}

impl Introduced {
    pub(crate) fn of(body: &[u8]) -> Self {
        let message = std::str::from_utf8(body).ok().and_then(Members::parse).unwrap_or_default();
        let params = message.get("params").and_then(Members::parse).unwrap_or_default();
        let meta = params.get("_meta").and_then(Members::parse).unwrap_or_default();
        let own = |name: &str| meta.get(&format!("io.modelcontextprotocol/{name}"));
        let capabilities = own("clientCapabilities").and_then(translate::capabilities);
        let default = Self::default();
        Self {
            capabilities: capabilities.unwrap_or(default.capabilities),
            client_info: own("clientInfo").map_or(default.client_info, str::to_owned),
            level: meta.text("io.modelcontextprotocol/logLevel").map(std::borrow::Cow::into_owned),
            progress: meta.get("progressToken").map(str::to_owned),
        }
    }
}
