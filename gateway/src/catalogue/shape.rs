//! A service's shelf as it came → as it is shown: without hidden tools, with other names and descriptions where settings say
//! so, and every other byte as the service wrote it.
//!
//! It is done before the shelf enters the catalogue, so that what is hidden exists nowhere: not on the aggregate, not on the
//! service's own endpoint, not in a virtual server.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use globset::GlobSet;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use weft_mesh::ServiceId;
use weft_wire::splice::{quote, splice};

use super::{
    View,
    shelf::{self, Entry, Shelf},
    view::{Tool, push},
};
use crate::{
    settings::{globs::globs, shape::Shape},
    uri,
};

/// The checked form of a [`Shape`].
#[derive(Debug)]
pub(crate) struct Shaper {
    /// Everything without any.
    allow: Option<GlobSet>,
    deny: GlobSet,
    rename: BTreeMap<String, Arc<str>>,
    describe: BTreeMap<String, String>,
}

impl Shaper {
    /// The shaper of settings that were checked; none when they change nothing.
    pub(crate) fn new(shape: &Shape) -> Option<Self> {
        let matcher = |patterns: &[String]| globs("tools", patterns, &mut Vec::new());
        (!shape.is_empty()).then(|| Self {
            allow: (!shape.allow.is_empty()).then(|| matcher(&shape.allow)),
            deny: matcher(&shape.deny),
            rename: shape.rename.iter().map(|(own, name)| (own.clone(), name.as_str().into())).collect(),
            describe: shape.describe.clone(),
        })
    }

    fn shows(&self, own: &str) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.is_match(own)) && !self.deny.is_match(own)
    }

    /// The shelf as it is shown. A tool whose new name is another's is left out and said to be, like any other clash; one
    /// that keeps its name has it before one that is given it.
    pub(crate) fn shape(&self, mut shelf: Shelf) -> Shelf {
        let known: HashSet<&str> = shelf.tools.iter().map(|tool| tool.key.as_str()).collect();
        let named = self.rename.keys().chain(self.describe.keys());
        let unknown: Vec<String> = named.filter(|name| !known.contains(name.as_str())).cloned().collect();
        let tools = std::mem::take(&mut shelf.tools);
        let shown: Vec<Entry> = tools.into_iter().filter(|tool| self.shows(&tool.key)).collect();
        shelf.dropped.retain(|(own, _)| self.shows(own));
        let (renamed, kept): (Vec<_>, Vec<_>) = shown.into_iter().partition(|tool| self.rename.contains_key(&tool.key));
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for tool in kept.into_iter().chain(renamed) {
            let own = tool.key.clone();
            let tool = self.described(tool);
            let tool = match self.rename.get(&own) {
                Some(name) => Entry { key: name.to_string(), own: Some(own.as_str().into()), ..tool },
                None => tool,
            };
            if let Some(other) = taken.get(&tool.key).filter(|_| tool.own.is_some()) {
                let why = format!("its new name {:?} is that of {other:?}", tool.key);
                shelf.dropped.push((own, why));
                continue;
            }
            taken.insert(tool.key.clone(), own);
            shelf.tools.push(tool);
        }
        shelf.unknown = unknown;
        shelf
    }

    fn described(&self, tool: Entry) -> Entry {
        let Some(text) = self.describe.get(&tool.key) else { return tool };
        redescribed(&tool, text).unwrap_or(tool)
    }
}

/// The entry with another description; none when the entry is not what it must be.
fn redescribed(tool: &Entry, text: &str) -> Option<Entry> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow, default, deserialize_with = "even_null")]
        description: Option<&'a RawValue>,
    }
    fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
        <&RawValue>::deserialize(from).map(Some)
    }
    let raw = format!("{}{}{}", tool.head, quote(&tool.key), tool.tail);
    let said: Said<'_> = serde_json::from_str(&raw).ok()?;
    let text = quote(text);
    let changed = match said.description {
        Some(description) => splice(raw.as_bytes(), &[(uri::span(raw.as_bytes(), description.get())?, &text)]),
        None => splice(raw.as_bytes(), &[(1..1, &format!(r#""description":{text},"#))]),
    };
    let changed = RawValue::from_string(String::from_utf8(changed).ok()?).ok()?;
    shelf::tool(&changed).ok()
}

/// What a shaped service's own endpoint shows: its tools by their shown names, without the service's.
pub(super) fn own_view(service: &ServiceId, shelf: &Shelf) -> View {
    let mut view = View::build(service.as_ref(), None, &BTreeMap::from([(service.clone(), shelf.clone())]), None);
    view.tools = shelf.tools.iter().map(|entry| (entry.key.clone(), Tool::of(service, entry))).collect();
    let mut list = String::new();
    for entry in &shelf.tools {
        push(&mut list, entry, &entry.key);
    }
    view.lists[0] = list.into();
    view
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::shelf::Page, *};

    fn shelf() -> Shelf {
        let page = r#"{"tools":[
            {"x":1.50,"name":"read_file","description":"Reads \"it\".","inputSchema":{"description":"inner"},"vendor":{"deep":[1.0]}},
            {"description":null,"name":"write_file","annotations":{"idempotentHint":true}},
            {"name":"delete_file"},{"name":"delete_all"},{"name":"status"}]}"#;
        let page: Page<'_> = serde_json::from_str(page).unwrap();
        let mut shelf = Shelf::default();
        shelf.add(&page);
        shelf
    }

    fn shaped(shape: &serde_json::Value) -> Shelf {
        let shape: Shape = serde_json::from_value(shape.clone()).unwrap();
        let mut wrong = Vec::new();
        shape.check("service.files.tools", &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
        Shaper::new(&shape).unwrap().shape(shelf())
    }

    fn text(entry: &Entry) -> String {
        format!("{}{}{}", entry.head, quote(&entry.key), entry.tail)
    }

    fn keys(shelf: &Shelf) -> Vec<&str> {
        shelf.tools.iter().map(|tool| tool.key.as_str()).collect()
    }

    #[test]
    fn what_is_denied_is_gone_even_if_allowed() {
        let shelf = shaped(&json!({ "allow": ["*_file", "delete_*"], "deny": ["delete_*"] }));
        assert_eq!(keys(&shelf), ["read_file", "write_file"]);
        assert_eq!(keys(&shaped(&json!({ "deny": ["*_all"] }))), ["read_file", "write_file", "delete_file", "status"]);
        assert!(Shaper::new(&Shape::default()).is_none());
    }

    #[test]
    fn names_and_descriptions_change_and_no_other_byte() {
        let shelf = shaped(&json!({
            "allow": ["*_file"],
            "rename": { "read_file": "open", "delete_file": "bin" },
            "describe": { "read_file": "Öffnet\n\"sie\".", "write_file": "Writes.", "delete_file": "Deletes." },
        }));
        assert_eq!(shelf.tools.iter().map(text).collect::<Vec<_>>(), [
            r#"{"description":"Writes.","name":"write_file","annotations":{"idempotentHint":true}}"#,
            r#"{"x":1.50,"name":"open","description":"Öffnet\u000a\"sie\".","inputSchema":{"description":"inner"},"vendor":{"deep":[1.0]}}"#
                .replace("\\u000a", "\\n").as_str(),
            r#"{"description":"Deletes.","name":"bin"}"#,
        ]);
        assert_eq!(shelf.tools[1].own.as_deref(), Some("read_file"));
        assert!(shelf.tools[0].own.is_none() && shelf.tools[0].hints.idempotent);
        let names = BTreeMap::from([("files".parse().unwrap(), shelf)]);
        let view = View::build("weft", None, &names, None);
        assert_eq!(&*view.tools["files_open"].name, "read_file", "the server is called by its own name");
        assert!(!view.tools.contains_key("files_read_file"));
    }

    #[test]
    fn two_with_one_name_are_one_and_the_other_is_said_to_be_refused() {
        let shelf = shaped(&json!({ "rename": { "read_file": "x", "write_file": "x", "delete_all": "status" } }));
        assert_eq!(keys(&shelf), ["delete_file", "status", "x"]);
        assert_eq!(shelf.tools[2].own.as_deref(), Some("read_file"));
        let refused: Vec<&str> = shelf.dropped.iter().map(|(own, _)| own.as_str()).collect();
        assert_eq!(refused, ["write_file", "delete_all"], "{:?}", shelf.dropped);
        let swapped = shaped(&json!({ "rename": { "read_file": "write_file", "write_file": "read_file" } }));
        assert!(swapped.dropped.is_empty() && swapped.tools.len() == 5, "{:?}", swapped.dropped);
    }

    #[test]
    fn names_that_nothing_has_are_remembered() {
        let shelf = shaped(&json!({ "rename": { "raed_file": "x" }, "describe": { "read_file": "y", "gone": "z" } }));
        assert_eq!(shelf.unknown, ["raed_file", "gone"]);
    }

    #[test]
    fn the_own_endpoint_shows_the_new_names_alone() {
        let shelf = shaped(&json!({ "allow": ["read_file"], "rename": { "read_file": "open" } }));
        let view = own_view(&"files".parse().unwrap(), &shelf);
        let list: serde_json::Value =
            serde_json::from_slice(&view.session_list(super::super::Kind::Tools).whole()).unwrap();
        assert_eq!(list["tools"][0]["name"], "open");
        assert_eq!((view.tools.len(), &*view.tools["open"].name), (1, "read_file"));
    }

    #[test]
    fn bad_patterns_and_names_are_told() {
        let shape: Shape =
            serde_json::from_value(json!({ "deny": ["[", "ok"], "rename": { "a": "b c", "d": "" } })).unwrap();
        let mut wrong = Vec::new();
        shape.check("service.files.tools", &mut wrong);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }
}
