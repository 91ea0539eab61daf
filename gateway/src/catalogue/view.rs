//! A [`View`]: one moment of the whole catalogue, immutable: names to services, and every list as the text to answer with.
//!
//! Names are `<service>_<name>`; the pair is looked up and never parsed back. A name that would not be unique to clients
//! that write `_` for every unusual character, or is longer than clients take, is refused here, said aloud, and nobody is
//! renamed.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::Arc,
};

use bytes::Bytes;
use weft_mesh::ServiceId;
use weft_telemetry::names;
use weft_wire::{headers::ParamHeader, splice::quote};

use super::{
    Changed,
    lean::Lean,
    lens::Lens,
    listed::Listed,
    shelf::{Entry, Hints, Shelf},
};
use crate::{upstream::talk::About, uri};

/// The longest name a client is sure to take (official conformance suite, `tools-name-format`).
const LONGEST: usize = 64;

/// A named thing of a service: a tool or a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) service: ServiceId,
    /// Its name at the service.
    pub(crate) name: Arc<str>,
    pub(crate) hints: Hints,
    /// The arguments that it wants mirrored in headers.
    pub(crate) mirrored: Arc<[ParamHeader]>,
}

impl Tool {
    pub(super) fn of(service: &ServiceId, entry: &Entry) -> Self {
        let name = entry.own.clone().unwrap_or_else(|| entry.key.as_str().into());
        let (service, mirrored) = (service.clone(), Arc::clone(&entry.mirrored));
        Self { service, name, hints: entry.hints, mirrored }
    }
}

/// The four lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl Kind {
    /// The list that a method asks for.
    pub(crate) fn of(method: &str) -> Option<Self> {
        match method {
            "tools/list" => Some(Self::Tools),
            "prompts/list" => Some(Self::Prompts),
            "resources/list" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::Templates),
            _ => None,
        }
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }
}

/// What is known of a tool by its own name.
type Own = (Hints, Arc<[ParamHeader]>);

/// A name that is not shown, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedName {
    pub(crate) service: ServiceId,
    pub(crate) name: String,
    pub(crate) why: String,
}

/// One moment of the catalogue.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) tools: BTreeMap<String, Tool>,
    pub(crate) prompts: BTreeMap<String, Tool>,
    pub(crate) schemes: HashMap<String, ServiceId>,
    pub(crate) refused: Vec<RefusedName>,
    pub(crate) stale: Vec<String>,
    /// Tools by service, for the status page and the verbatim path.
    pub(crate) services: BTreeMap<ServiceId, Vec<(Arc<str>, Hints)>>,
    own: HashMap<(ServiceId, Arc<str>), Own>,
    abouts: BTreeMap<ServiceId, About>,
    pub(super) lists: [Bytes; 4],
    tail: String,
    pub(super) info: String,
    pub(super) instructions: Option<String>,
    /// Which part of the catalogue this is; none for the whole.
    pub(super) lens: Option<Arc<Lens>>,
    /// What is searched on a lean endpoint.
    pub(crate) lean: Option<Lean>,
    /// The part of it that readers see, where there may be any.
    pub(crate) readers: Option<Arc<View>>,
}

impl View {
    pub(crate) fn build(
        name: &str,
        instructions: Option<&str>,
        shelves: &BTreeMap<ServiceId, Shelf>,
        before: Option<&Self>,
    ) -> Self {
        let mut refused = Vec::new();
        let schemes = schemes(shelves, before);
        let (tools, tool_list) = named(shelves, before.map(|view| &view.tools), |shelf| &shelf.tools, &mut refused);
        let (prompts, prompt_list) =
            named(shelves, before.map(|view| &view.prompts), |shelf| &shelf.prompts, &mut refused);
        for (service, shelf) in shelves {
            let dropped = shelf.dropped.iter().map(|(name, why)| RefusedName {
                service: service.clone(),
                name: name.clone(),
                why: why.clone(),
            });
            refused.extend(dropped);
        }
        let lists = [
            tool_list,
            prompt_list,
            located(shelves, &schemes, |shelf| &shelf.resources),
            located(shelves, &schemes, |shelf| &shelf.templates),
        ]
        .map(Bytes::from);
        let stale: Vec<String> =
            shelves.iter().filter(|(_, shelf)| shelf.stale).map(|(service, _)| service.to_string()).collect();
        let of = |shelf: &Shelf| shelf.tools.iter().map(|tool| (Arc::from(tool.key.as_str()), tool.hints)).collect();
        let services: BTreeMap<_, Vec<_>> =
            shelves.iter().map(|(service, shelf)| (service.clone(), of(shelf))).collect();
        let own = shelves.iter().flat_map(|(service, shelf)| shelf.tools.iter().map(move |tool| (service, tool)));
        let own = own
            .map(|(service, tool)| {
                let key = (service.clone(), Arc::from(tool.key.as_str()));
                (key, (tool.hints, Arc::clone(&tool.mirrored)))
            })
            .collect();
        Self {
            tools,
            prompts,
            schemes,
            refused,
            tail: tail(shelves),
            info: format!(r#"{{"name":{},"version":"{}"}}"#, quote(name), env!("CARGO_PKG_VERSION")),
            instructions: merged_instructions(instructions, shelves),
            stale,
            services,
            own,
            abouts: shelves.iter().map(|(service, shelf)| (service.clone(), shelf.about.clone())).collect(),
            lists,
            lens: None,
            lean: None,
            readers: None,
        }
    }

    /// True when a resource of `service` can be reached here, by its exposed URI.
    pub(crate) fn shows_uri(&self, service: &ServiceId, uri: &str) -> bool {
        self.lens.as_ref().is_none_or(|lens| lens.shows_uri(service, uri))
    }

    /// The hints of a tool by its own name, that name as a shared string, and the arguments it wants mirrored.
    pub(crate) fn own_tool(&self, service: &ServiceId, name: &str) -> Option<(Arc<str>, Hints, Arc<[ParamHeader]>)> {
        let ((_, name), (hints, mirrored)) = self.own.get_key_value(&(service.clone(), Arc::from(name)))?;
        Some((Arc::clone(name), *hints, Arc::clone(mirrored)))
    }

    /// How a service introduced itself.
    pub(crate) fn about(&self, service: &ServiceId) -> Option<&About> {
        self.abouts.get(service)
    }

    /// The result of a list in the stateless era: complete, with its cache hints (MCP 2026-07-28, caching).
    pub(crate) fn stateless_list(&self, kind: Kind) -> Listed {
        Listed {
            before: format!(r#"{{"resultType":"complete","{}":["#, kind.member()),
            list: self.list(kind),
            behind: format!(
                r#"],{},"_meta":{{"io.modelcontextprotocol/serverInfo":{}{}}}}}"#,
                self.tail,
                self.info,
                self.stale_meta(",")
            ),
        }
    }

    /// The result of a list in the session era.
    pub(crate) fn session_list(&self, kind: Kind) -> Listed {
        let behind = match self.stale_meta("") {
            meta if meta.is_empty() => "]}".to_owned(),
            meta => format!(r#"],"_meta":{{{meta}}}}}"#),
        };
        Listed { before: format!(r#"{{"{}":["#, kind.member()), list: self.list(kind), behind }
    }

    /// The result of `server/discover`.
    pub(crate) fn discover(&self) -> String {
        format!(
            r#"{{"resultType":"complete","supportedVersions":[{}],"capabilities":{CAPABILITIES},{}{},"_meta":{{"io.modelcontextprotocol/serverInfo":{}{}}}}}"#,
            crate::refusal::supported_versions(),
            self.instructions_member(),
            self.tail,
            self.info,
            self.stale_meta(",")
        )
    }

    /// The result of `initialize`.
    pub(crate) fn initialize(&self, version: &str) -> String {
        format!(
            r#"{{"protocolVersion":"{version}","capabilities":{CAPABILITIES},{}"serverInfo":{}}}"#,
            self.instructions_member(),
            self.info
        )
    }

    fn instructions_member(&self) -> String {
        self.instructions.as_ref().map_or_else(String::new, |text| format!(r#""instructions":{},"#, quote(text)))
    }

    fn stale_meta(&self, comma: &str) -> String {
        if self.stale.is_empty() {
            return String::new();
        }
        let names: Vec<String> = self.stale.iter().map(|name| quote(name)).collect();
        format!(r#"{comma}"weft/stale":[{}]"#, names.join(","))
    }

    fn list(&self, kind: Kind) -> Bytes {
        let [tools, prompts, resources, templates] = &self.lists;
        let list = match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources => resources,
            Kind::Templates => templates,
        };
        list.clone()
    }

    /// What a client would see differently.
    pub(crate) fn differs(&self, before: &Self) -> Changed {
        let [tools, prompts, resources, templates] = &self.lists;
        let changed = Changed {
            tools: *tools != before.lists[0],
            prompts: *prompts != before.lists[1],
            resources: *resources != before.lists[2] || *templates != before.lists[3],
        };
        match (&self.readers, &before.readers) {
            (Some(readers), Some(before)) => changed.or(readers.differs(before)),
            _ => changed,
        }
    }

    /// Sets the gauges, and says aloud what was refused.
    pub(crate) fn publish(&self) {
        for (service, tools) in &self.services {
            let stale = f64::from(u8::from(self.stale.iter().any(|name| name == service.as_ref())));
            #[expect(clippy::cast_precision_loss, reason = "a count of tools")]
            metrics::gauge!(names::GATEWAY_CATALOGUE_TOOLS.name, "service" => service.to_string())
                .set(tools.len() as f64);
            metrics::gauge!(names::GATEWAY_CATALOGUE_STALE.name, "service" => service.to_string()).set(stale);
        }
        for refused in &self.refused {
            tracing::error!(service = %refused.service, name = refused.name, why = refused.why, "a name is not shown to clients");
        }
    }
}

/// What the aggregate endpoint can do, whatever services are there now: others may join.
const CAPABILITIES: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"completions":{},"logging":{}}"#;

/// Merges named entries in the order of their exposed names; who had a name before keeps it.
fn named(
    shelves: &BTreeMap<ServiceId, Shelf>,
    before: Option<&BTreeMap<String, Tool>>,
    entries: impl Fn(&Shelf) -> &Vec<Entry>,
    refused: &mut Vec<RefusedName>,
) -> (BTreeMap<String, Tool>, String) {
    let mut shown: BTreeMap<String, (Tool, &Entry)> = BTreeMap::new();
    let mut taken: HashMap<String, String> = HashMap::new();
    let kept = |service: &ServiceId, full: &str| {
        before.is_some_and(|before| before.get(full).is_some_and(|tool| tool.service == *service))
    };
    let mut all: Vec<(bool, String, &ServiceId, &Entry)> = shelves
        .iter()
        .flat_map(|(service, shelf)| entries(shelf).iter().map(move |entry| (service, entry)))
        .map(|(service, entry)| (service, entry, format!("{service}_{}", entry.key)))
        .map(|(service, entry, full)| (!kept(service, &full), full, service, entry))
        .collect();
    all.sort_by(|a, b| (a.0, &a.1, a.2).cmp(&(b.0, &b.1, b.2)));
    for (_, full, service, entry) in all {
        let flat: String = full.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let why = if full.len() > LONGEST {
            format!("its full name {full:?} is longer than {LONGEST} characters")
        } else if let Some(other) = taken.get(&flat) {
            format!("its full name {full:?} is not distinct from {other:?}")
        } else {
            taken.insert(flat, full.clone());
            shown.insert(full, (Tool::of(service, entry), entry));
            continue;
        };
        refused.push(RefusedName { service: service.clone(), name: entry.key.clone(), why });
    }
    let mut list = String::new();
    for (full, (_, entry)) in &shown {
        push(&mut list, entry, full);
    }
    (shown.into_iter().map(|(full, (tool, _))| (full, tool)).collect(), list)
}

/// Merges entries that are known by URI: an owned scheme passes, any other URI is wrapped.
fn located(
    shelves: &BTreeMap<ServiceId, Shelf>,
    schemes: &HashMap<String, ServiceId>,
    entries: impl Fn(&Shelf) -> &Vec<Entry>,
) -> String {
    let mut shown: BTreeMap<String, &Entry> = BTreeMap::new();
    for (service, shelf) in shelves {
        for entry in entries(shelf) {
            let owned = uri::scheme(&entry.key).is_some_and(|scheme| schemes.get(scheme) == Some(service));
            let full = if owned { entry.key.clone() } else { uri::wrap(service.as_ref(), &entry.key) };
            shown.insert(full, entry);
        }
    }
    let mut list = String::new();
    for (full, entry) in &shown {
        push(&mut list, entry, full);
    }
    list
}

pub(super) fn push(list: &mut String, entry: &Entry, full: &str) {
    let comma = if list.is_empty() { "" } else { "," };
    let _ = write!(list, "{comma}{}{}{}", entry.head, quote(full), entry.tail);
}

/// Who owns which scheme: the first to claim it keeps it.
fn schemes(shelves: &BTreeMap<ServiceId, Shelf>, before: Option<&View>) -> HashMap<String, ServiceId> {
    let mut owners = HashMap::new();
    for (service, shelf) in shelves {
        for scheme in &shelf.schemes {
            let kept = before.and_then(|view| view.schemes.get(scheme)) == Some(service);
            if kept || !owners.contains_key(scheme) {
                owners.insert(scheme.clone(), service.clone());
            }
        }
    }
    owners
}

fn tail(shelves: &BTreeMap<ServiceId, Shelf>) -> String {
    let ttl = shelves.values().map(|shelf| if shelf.stale { 0 } else { shelf.ttl_ms }).min().unwrap_or(0);
    let scope = if shelves.values().any(|shelf| shelf.private) { "private" } else { "public" };
    format!(r#""ttlMs":{ttl},"cacheScope":"{scope}""#)
}

/// The gateway's own words first, then each service's, named; bounded, because clients put this into every prompt.
fn merged_instructions(own: Option<&str>, shelves: &BTreeMap<ServiceId, Shelf>) -> Option<String> {
    const LONGEST_OF_ONE: usize = 1024;
    let mut text = own.unwrap_or_default().to_owned();
    for (service, shelf) in shelves {
        if let Some(said) = &shelf.about.instructions {
            let end =
                said.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= LONGEST_OF_ONE).last();
            let _ =
                write!(text, "{}{service}: {}", if text.is_empty() { "" } else { "\n\n" }, &said[..end.unwrap_or(0)]);
        }
    }
    (!text.is_empty()).then_some(text)
}
