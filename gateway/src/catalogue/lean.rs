//! The three tools of a lean endpoint, which stand for all others: find, describe, call.
//!
//! A client that puts every schema into its prompt pays for two hundred tools before the first word; here it pays for three
//! and for those that it looks up. Searching and describing are answered from here; calling is `crate::lean`'s.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

use serde::Deserialize;
use serde_json::value::RawValue;
use weft_mesh::ServiceId;
use weft_wire::{headers::ParamHeader, splice::quote};

use super::{
    rank::{Index, Text, nearest},
    shelf::{Entry, Shelf},
    view::Tool,
};

/// Searches.
pub(crate) const FIND: &str = "find_tools";
/// Shows the schema of some.
pub(crate) const DESCRIBE: &str = "describe_tool";
/// Calls one.
pub(crate) const CALL: &str = "call_tool";

/// True for a name that a lean endpoint gives a meaning of its own: a service's tool cannot have it there.
pub(crate) fn is_own(name: &str) -> bool {
    [FIND, DESCRIBE, CALL].contains(&name)
}

/// The most that one search gives, and what it gives unasked.
const MOST: usize = 50;
const USUAL: usize = 8;
/// Tools that are described at once.
const DESCRIBED: usize = 20;
/// Characters of a description in a search's answer.
const LINE: usize = 160;

/// The list of tools, as the text between its brackets.
pub(super) const fn tools() -> &'static str {
    concat!(
        r#"{"name":"find_tools","title":"Find tools","description":"Searches all tools by what you want to do. Gives names, best first, for describe_tool and call_tool. An empty query lists the services, or the tools of one service.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"What you want to do, in a few words, or a tool's name."},"limit":{"type":"integer","minimum":1,"maximum":50,"default":8},"service":{"type":"string","description":"Only tools of this service."}},"required":["query"],"additionalProperties":false},"annotations":{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}},"#,
        r#"{"name":"describe_tool","title":"Describe a tool","description":"Gives the description, input schema and annotations of one tool or several. Do this before you call a tool for the first time.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"A name from find_tools."},"names":{"type":"array","items":{"type":"string"},"maxItems":20,"description":"Several names instead of one."}},"additionalProperties":false},"annotations":{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}},"#,
        r#"{"name":"call_tool","title":"Call a tool","description":"Calls a tool that find_tools found, with arguments that follow its input schema, and gives its result. What it does is up to that tool: see its annotations.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"A name from find_tools."},"arguments":{"type":"object","description":"The tool's arguments."}},"required":["name"],"additionalProperties":false},"annotations":{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":false,"openWorldHint":true}}"#
    )
}

/// The tools behind a lean endpoint.
#[derive(Debug)]
pub(crate) struct Lean {
    tools: BTreeMap<String, (ServiceId, Entry)>,
    /// Made by the first search: most views are replaced before anybody searches them.
    index: OnceLock<Index>,
}

/// What a tool's entry says that a model needs to call it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    description: Option<&'a RawValue>,
    #[serde(borrow)]
    input_schema: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
}

impl Lean {
    /// The tools of `shelves` that are shown in `shown`.
    pub(super) fn new(shown: &BTreeMap<String, Tool>, shelves: &BTreeMap<ServiceId, Shelf>) -> Self {
        let all = shelves.iter().flat_map(|(service, shelf)| shelf.tools.iter().map(move |entry| (service, entry)));
        let tools = all
            .map(|(service, entry)| (format!("{service}_{}", entry.key), (service.clone(), entry.clone())))
            .filter(|(full, (service, _))| shown.get(full).is_some_and(|tool| tool.service == *service))
            .collect();
        Self { tools, index: OnceLock::new() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tools.contains_key(name)
    }

    /// What clients are told: the endpoint's own words, how to go about it, and what there is to be found.
    pub(super) fn instructions(&self, own: Option<&str>) -> String {
        let mut text = own.map_or_else(String::new, |own| format!("{own}\n\n"));
        text.push_str(
            "The tools here are found by searching: find_tools with what you want to do, describe_tool for the input schema, \
             then call_tool.",
        );
        if !self.tools.is_empty() {
            let _ = write!(text, " There are {} tools of these services: {}.", self.tools.len(), self.services());
        }
        text
    }

    fn services(&self) -> String {
        let mut counts: BTreeMap<&ServiceId, usize> = BTreeMap::new();
        for (service, _) in self.tools.values() {
            *counts.entry(service).or_default() += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(service, count)| format!("{service} ({count})")).collect();
        counts.join(", ")
    }

    /// The answer to a search, a line a tool; an error says what to do instead.
    pub(crate) fn find(&self, query: &str, service: Option<&str>, limit: Option<usize>) -> Result<String, String> {
        let limit = limit.unwrap_or(USUAL).clamp(1, MOST);
        let of = |service: &&str| self.tools.values().any(|(other, _)| other.as_ref() == *service);
        if let Some(service) = service.filter(|service| !of(service)) {
            return Err(format!("no service is called {service:?}; there are {}", self.services()));
        }
        if query.trim().is_empty() {
            return Ok(match service {
                None => format!("services, with how many tools: {}", self.services()),
                Some(service) => self.all_of(service, limit),
            });
        }
        let hits = self.index().find(query, service, limit);
        if hits.is_empty() {
            return Ok(format!(
                "nothing fits {query:?}; try other words, or look through a service: {}",
                self.services()
            ));
        }
        let lines = hits.iter().map(|hit| self.line(hit.name, &format!(" ({:.1})", hit.score)));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    fn all_of(&self, service: &str, limit: usize) -> String {
        let names = self.tools.iter().filter(|(_, (other, _))| other.as_ref() == service).map(|(name, _)| name);
        let lines: Vec<String> = names.clone().take(limit).map(|name| self.line(name, "")).collect();
        let rest = names.count() - lines.len();
        let more = if rest == 0 { String::new() } else { format!("\n… and {rest} more: raise limit, or search") };
        lines.join("\n") + &more
    }

    fn line(&self, name: &str, score: &str) -> String {
        let described = self.tools.get(name).and_then(|(_, entry)| {
            let raw = raw(entry, name);
            let described: Described<'_> = serde_json::from_str(&raw).ok()?;
            serde_json::from_str::<String>(described.description?.get()).ok()
        });
        match described {
            Some(text) => format!("{name}{score}: {}", shortened(&text)),
            None => format!("{name}{score}"),
        }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let texts =
                self.tools.iter().map(|(name, (service, entry))| Text::read(name, service.as_ref(), &raw(entry, name)));
            Index::new(texts)
        })
    }

    /// What is needed to call these tools, a JSON object a line; an error names what is unknown.
    pub(crate) fn describe(&self, names: &[String]) -> Result<String, String> {
        if names.is_empty() || names.len() > DESCRIBED {
            return Err(format!("give a name, or 1 to {DESCRIBED} names; find_tools finds them"));
        }
        let described = names.iter().map(|name| match self.tools.get(name) {
            Some((_, entry)) => Ok(described(name, entry)),
            None => Err(self.unknown(name)),
        });
        // What is known is told, even beside what is not.
        let (known, unknown): (Vec<_>, Vec<_>) = described.partition(Result::is_ok);
        match unknown.is_empty() || !known.is_empty() {
            true => Ok(known
                .into_iter()
                .chain(unknown)
                .map(|it| it.unwrap_or_else(|why| why))
                .collect::<Vec<_>>()
                .join("\n")),
            false => Err(unknown.into_iter().filter_map(Result::err).collect::<Vec<_>>().join("\n")),
        }
    }

    /// What is said of a name that nothing has.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let near = nearest(name, self.tools.keys().map(String::as_str), 5);
        match near.is_empty() {
            true => format!("unknown tool: {name}; find_tools finds the right one"),
            false => format!("unknown tool: {name}; did you mean {}?", near.join(", ")),
        }
    }

    /// The arguments that a tool wants mirrored in headers.
    pub(crate) fn mirrored(&self, name: &str) -> &[ParamHeader] {
        self.tools.get(name).map_or(&[], |(_, entry)| &entry.mirrored)
    }
}

fn raw(entry: &Entry, name: &str) -> Arc<str> {
    format!("{}{}{}", entry.head, quote(name), entry.tail).into()
}

/// The output schema is left out: it is the larger half, and no call needs it.
fn described(name: &str, entry: &Entry) -> String {
    let raw = raw(entry, name);
    let Ok(said) = serde_json::from_str::<Described<'_>>(&raw) else { return raw.to_string() };
    let mut text = format!(r#"{{"name":{}"#, quote(name));
    let members = [
        ("title", said.title),
        ("description", said.description),
        ("inputSchema", said.input_schema),
        ("annotations", said.annotations),
    ];
    for (member, value) in members {
        if let Some(value) = value {
            let _ = write!(text, r#","{member}":{}"#, value.get());
        }
    }
    text.push('}');
    text
}

/// The first sentence, on one line and no longer than a line should be.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = line.split_once(". ").map_or(line.as_str(), |(first, _)| first);
    match sentence.char_indices().nth(LINE) {
        Some((cut, _)) => format!("{}…", sentence[..cut].trim_end()),
        None => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests;
