//! What is remembered: one kind of record for facts, events, entities, links and turns of a conversation.
//!
//! A record is never changed: a change is its next version, and the one before stays, with the time at which it was replaced. So
//! "what did we believe on that day" has an answer for everything, links and entities included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{moment::Moment, schema::terse, words};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    #[default]
    Fact,
    Event,
    Preference,
    Procedure,
    Note,
    Entity,
    Link,
    Turn,
    Erasure,
}

terse!(Kind, {"type": "string", "enum": ["fact", "event", "preference", "procedure", "note"]});
terse!(Trust, {"type": "string", "enum": ["quarantined", "untrusted", "stated", "trusted"]});
terse!(Origin, {"type": "string", "enum": ["user", "agent", "tool", "document", "import"]});

impl Kind {
    /// Whether callers write it as it is, and searches find it.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Self::Fact | Self::Event | Self::Preference | Self::Procedure | Self::Note)
    }

    /// As callers write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Event => "event",
            Self::Preference => "preference",
            Self::Procedure => "procedure",
            Self::Note => "note",
            Self::Entity => "entity",
            Self::Link => "link",
            Self::Turn => "turn",
            Self::Erasure => "erasure",
        }
    }
}

/// How far a record can be relied on, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trust {
    /// From outside, and reads like orders to a model.
    Quarantined,
    /// From outside: a tool, a document, an import.
    #[default]
    Untrusted,
    /// Said by a user or an agent.
    Stated,
    /// Said by someone with a role that the operator trusts.
    Trusted,
}

/// Where the words came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    User,
    #[default]
    Agent,
    Tool,
    Document,
    Import,
}

/// Where a record came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Source {
    #[serde(default)]
    pub(crate) origin: Origin,
    /// Tool, file or person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uri: Option<String>,
}

/// A relation between two nodes: names of entities, or `#` and the id of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) from: String,
    pub(crate) relation: String,
    pub(crate) to: String,
}

/// Someone or something that is remembered by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entity {
    pub(crate) name: String,
    pub(crate) entity_type: String,
    pub(crate) observations: Vec<String>,
}

/// One version of something remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) kind: Kind,
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) topics: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entities: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entity: Option<Entity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_time: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) valid_from: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) valid_to: Option<Moment>,
    pub(crate) recorded_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Moment>,
    pub(crate) importance: f64,
    #[serde(default)]
    pub(crate) pinned: bool,
    pub(crate) source: Source,
    /// The caller that wrote this version.
    pub(crate) by: String,
    pub(crate) trust: Trust,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) superseded_by: Option<String>,
    /// It was superseded because the other says the same, not because something else became true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) duplicate: bool,
    /// The record in whose place this one became true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    /// Why it replaces that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Records that were merged into this one, as `id@version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) merged: Vec<String>,
    #[serde(default)]
    pub(crate) forgotten: bool,
}

impl Record {
    /// A record of a kind with a text, and nothing else said.
    pub(crate) fn new(id: String, kind: Kind, text: String, by: &str) -> Self {
        Self {
            id,
            version: 0,
            kind,
            text,
            topics: Vec::new(),
            entities: Vec::new(),
            project: None,
            session: None,
            link: None,
            entity: None,
            event_time: None,
            valid_from: None,
            valid_to: None,
            recorded_at: Moment::from_micros(0),
            expires_at: None,
            importance: 0.5,
            pinned: false,
            source: Source::default(),
            by: by.to_owned(),
            trust: Trust::Stated,
            superseded_by: None,
            duplicate: false,
            replaces: None,
            reason: None,
            merged: Vec::new(),
            forgotten: false,
        }
    }

    /// Whether it says the same as another, whoever wrote it and whenever.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let own = Self { recorded_at: other.recorded_at, version: other.version, by: other.by.clone(), ..self.clone() };
        own == *other
    }

    /// Whether it is there at all: not forgotten, not past its time.
    pub(crate) fn is_kept(&self, now: Moment) -> bool {
        !self.forgotten && self.expires_at.is_none_or(|until| until > now)
    }

    /// Whether it is what is believed now: what is replaced is, until the other begins to be true, and that one not before.
    pub(crate) fn is_live(&self, now: Moment) -> bool {
        let is_over = self.superseded_by.is_some() && (self.duplicate || self.valid_to.is_none_or(|to| to <= now));
        let is_to_come = self.replaces.is_some() && self.valid_from.is_some_and(|from| from > now);
        self.is_kept(now) && !is_over && !is_to_come
    }

    /// Whether it says of itself when it was true, and still stands for that time whatever is true now.
    pub(crate) fn is_dated(&self, now: Moment) -> bool {
        let is_undone = self.superseded_by.is_some() && (self.duplicate || self.valid_to.is_none());
        self.is_kept(now) && !is_undone
    }

    /// All that can be searched.
    pub(crate) fn searched(&self) -> String {
        let mut text = self.text.clone();
        let entity = self.entity.iter().flat_map(|own| own.observations.iter().chain([&own.entity_type]));
        for more in self.topics.iter().chain(&self.entities).chain(entity) {
            text.push('\n');
            text.push_str(more);
        }
        text
    }

    /// The nodes of the graph that it touches.
    pub(crate) fn nodes(&self) -> Vec<String> {
        let ends = self.link.iter().flat_map(|link| [&link.from, &link.to]);
        let named = self.entities.iter().chain(self.entity.as_ref().map(|own| &own.name)).chain(ends);
        let mut nodes: Vec<String> = named.map(|name| node(name)).collect();
        nodes.extend(self.session.as_ref().map(|session| session_node(session)));
        nodes.sort();
        nodes.dedup();
        nodes
    }
}

/// The key of a node: the name without what does not tell it apart, or an id as it is.
pub(crate) fn node(name: &str) -> String {
    if name.starts_with('#') {
        return name.to_owned();
    }
    words::fold(name).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The key under which the turns of a conversation are found. No name folds to it: names have no control characters.
pub(crate) fn session_node(session: &str) -> String {
    format!("\u{1}{session}")
}

/// How often a record was of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Uses {
    pub(crate) used: u64,
    pub(crate) misled: u64,
    /// Hours in which a call was shown it.
    pub(crate) recalled: u64,
    /// The last of all these.
    pub(crate) last: Option<Moment>,
}
