//! A [`Shelf`]: everything one service offers, as it said it, with the few facts about each entry that the mesh acts on.
//!
//! Entries keep their own bytes; fields that this code does not know pass through untouched.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use weft_wire::headers::{self, ParamHeader};

use crate::{upstream::talk::About, uri};

/// What one service offers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shelf {
    pub(crate) tools: Vec<Entry>,
    pub(crate) prompts: Vec<Entry>,
    pub(crate) resources: Vec<Entry>,
    pub(crate) templates: Vec<Entry>,
    /// How the service introduces itself.
    pub(crate) about: About,
    /// URI schemes that the service owns in the whole mesh.
    pub(crate) schemes: Vec<String>,
    /// The shortest freshness of its lists, milliseconds.
    pub(crate) ttl_ms: u64,
    /// The service said so itself.
    pub(crate) hinted: bool,
    /// Some list may differ between callers.
    pub(crate) private: bool,
    /// The service cannot be asked now: this is what it offered last.
    pub(crate) stale: bool,
    /// Entries that were dropped, and why.
    pub(crate) dropped: Vec<(String, String)>,
    /// Names in the settings of its shape that no tool of it has.
    pub(crate) unknown: Vec<String>,
    /// The operator stands for what the service says of itself.
    pub(crate) vouched: bool,
}

/// One tool, prompt, resource or template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Its name, or its URI or URI template, as it is shown.
    pub(crate) key: String,
    /// Its name at the service, where it is shown by another.
    pub(crate) own: Option<Arc<str>>,
    /// The entry's JSON object, around the value of its key: the key's JSON string stands between them.
    pub(crate) head: Arc<str>,
    pub(crate) tail: Arc<str>,
    pub(crate) hints: Hints,
    /// The arguments of a tool that it wants mirrored in headers.
    pub(crate) mirrored: Arc<[ParamHeader]>,
}

/// What a tool's annotations promise, and whether its word counts where trust is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(crate) read_only: bool,
    pub(crate) idempotent: bool,
    /// The operator stands for what the service says of itself.
    pub(crate) vouched: bool,
}

impl Hints {
    /// True when a call whose answer was lost may be sent again.
    pub(crate) const fn repeatable(self) -> bool {
        self.read_only || self.idempotent
    }
}

/// One page of any list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<'a> {
    #[serde(borrow, default)]
    tools: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    prompts: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    resources: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    resource_templates: Vec<&'a RawValue>,
    pub(crate) next_cursor: Option<String>,
    ttl_ms: Option<u64>,
    cache_scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    uri_template: Option<&'a RawValue>,
    #[serde(default)]
    annotations: Annotations,
    #[serde(borrow)]
    input_schema: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Annotations {
    read_only_hint: Option<bool>,
    idempotent_hint: Option<bool>,
}

impl Shelf {
    /// Notes whether the operator stands for what the service says.
    pub(crate) fn vouch(&mut self, vouched: bool) {
        self.vouched = vouched;
        for tool in &mut self.tools {
            tool.hints.vouched = vouched;
        }
    }

    /// True when the service offers nothing.
    pub(crate) fn is_empty(&self) -> bool {
        [&self.tools, &self.prompts, &self.resources, &self.templates].iter().all(|list| list.is_empty())
    }

    /// Adds a page's entries; returns how many there were.
    pub(crate) fn add(&mut self, page: &Page<'_>) -> usize {
        for raw in &page.tools {
            match tool(raw) {
                Ok(entry) => self.tools.push(entry),
                Err((name, why)) => self.dropped.push((name, why)),
            }
        }
        let others = [
            (&page.prompts, &mut self.prompts, Which::Name),
            (&page.resources, &mut self.resources, Which::Uri),
            (&page.resource_templates, &mut self.templates, Which::Template),
        ];
        for (raws, shelf, which) in others {
            shelf.extend(raws.iter().filter_map(|raw| entry(raw, which)));
        }
        self.ttl_ms = self.ttl_ms.min(page.ttl_ms.unwrap_or(0));
        self.hinted = true;
        self.private |= page.cache_scope.as_deref() != Some("public");
        page.tools.len() + page.prompts.len() + page.resources.len() + page.resource_templates.len()
    }
}

#[derive(Clone, Copy)]
enum Which {
    Name,
    Uri,
    Template,
}

fn entry(raw: &RawValue, which: Which) -> Option<Entry> {
    let keys: Keys<'_> = serde_json::from_str(raw.get()).ok()?;
    let key = match which {
        Which::Name => keys.name,
        Which::Uri => keys.uri,
        Which::Template => keys.uri_template,
    }?;
    let span = uri::span(raw.get().as_bytes(), key.get())?;
    Some(Entry {
        key: serde_json::from_str(key.get()).ok()?,
        own: None,
        head: raw.get()[..span.start].into(),
        tail: raw.get()[span.end..].into(),
        hints: Hints {
            read_only: keys.annotations.read_only_hint == Some(true),
            idempotent: keys.annotations.idempotent_hint == Some(true),
            vouched: false,
        },
        mirrored: Arc::default(),
    })
}

/// A tool, unless its `x-mcp-header` marks are wrong: such a tool must not be shown (MCP 2026-07-28, SEP-2243).
pub(super) fn tool(raw: &RawValue) -> Result<Entry, (String, String)> {
    let entry = entry(raw, Which::Name).ok_or_else(|| ("?".to_owned(), "it has no name".to_owned()))?;
    let schema = serde_json::from_str::<Keys<'_>>(raw.get()).ok().and_then(|keys| keys.input_schema);
    match schema.map(|schema| headers::param_headers(schema.get())) {
        Some(Err(fault)) => Err((entry.key, fault.to_string())),
        Some(Ok(mirrored)) => Ok(Entry { mirrored: mirrored.into(), ..entry }),
        None => Ok(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_hints_survive() {
        let text = r#"{"tools":[{"x":1,"name":"read","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"vendor":{"deep":[1.50]}}],"ttlMs":5000,"cacheScope":"public","nextCursor":""}"#;
        let page: Page<'_> = serde_json::from_str(text).unwrap();
        let mut shelf = Shelf { ttl_ms: u64::MAX, ..Shelf::default() };
        assert_eq!(shelf.add(&page), 1);
        let tool = &shelf.tools[0];
        assert!(tool.hints.repeatable() && tool.hints.read_only);
        let shown = format!("{}\"fs_read\"{}", tool.head, tool.tail);
        assert_eq!(
            shown,
            r#"{"x":1,"name":"fs_read","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true},"vendor":{"deep":[1.50]}}"#
        );
        assert_eq!((shelf.ttl_ms, shelf.private, page.next_cursor.as_deref()), (5000, false, Some("")));
    }
}
