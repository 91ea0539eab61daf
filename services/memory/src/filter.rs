//! Which records are meant: what a caller asks for, joined with what time allows; one predicate that every store applies.
//!
//! It is evaluated here and not in the stores' languages: three translations would differ in the cases that matter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::ToolError;

use crate::{
    model::{Kind, Record, Trust, node},
    moment::Moment,
    schema::terse,
    words,
};

/// Which records a caller means. All that is said must hold; lists mean any of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    #[serde(skip_serializing)]
    pub(crate) kinds: Vec<Kind>,
    #[serde(skip_serializing)]
    pub(crate) topics: Vec<String>,
    /// Named in them.
    #[serde(skip_serializing)]
    pub(crate) entities: Vec<String>,
    #[serde(skip_serializing)]
    pub(crate) project: Option<String>,
    #[serde(skip_serializing)]
    pub(crate) session: Option<String>,
    /// The caller who wrote it.
    #[serde(skip_serializing)]
    pub(crate) by: Option<String>,
    /// Words that must all occur.
    #[serde(skip_serializing)]
    pub(crate) text: Option<String>,
    /// Recorded at or after.
    #[serde(skip_serializing)]
    pub(crate) since: Option<Moment>,
    /// Recorded before.
    #[serde(skip_serializing)]
    pub(crate) until: Option<Moment>,
}

// What each of them means is said once, by the tool `list`.
terse!(Which, {
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "kinds": {"type": "array", "items": {"type": "string"}},
        "topics": {"type": "array", "items": {"type": "string"}},
        "entities": {"type": "array", "items": {"type": "string"}},
        "project": {"type": "string"},
        "session": {"type": "string"},
        "by": {"type": "string"},
        "text": {"type": "string"},
        "since": {"type": "string"},
        "until": {"type": "string"}
    }
});

impl Which {
    /// Whether it says nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        let blank = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
        self.kinds.is_empty()
            && self.topics.iter().all(|topic| topic.trim().is_empty())
            && self.entities.iter().all(|name| name.trim().is_empty())
            && blank(&self.project)
            && blank(&self.session)
            && blank(&self.by)
            && blank(&self.text)
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct During {
    pub(crate) from: Option<Moment>,
    pub(crate) to: Option<Moment>,
}

/// The whole predicate.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    which: Which,
    topics: Vec<String>,
    nodes: Vec<String>,
    words: Vec<String>,
    now: Moment,
    min_trust: Trust,
    valid: Option<During>,
    /// Also what is forgotten, replaced or past its time.
    all: bool,
}

impl Filter {
    /// What is live now and fits `which`.
    pub(crate) fn new(which: &Which, now: Moment) -> Self {
        Self {
            topics: which.topics.iter().map(|topic| words::fold(topic)).collect(),
            nodes: which.entities.iter().map(|name| node(name)).collect(),
            words: which.text.iter().flat_map(|text| words::terms(text).into_keys()).collect(),
            which: which.clone(),
            now,
            min_trust: Trust::Untrusted,
            valid: None,
            all: false,
        }
    }

    /// Everything that there is.
    pub(crate) fn everything() -> Self {
        Self { all: true, ..Self::new(&Which::default(), Moment::now()) }.trusting(Trust::Quarantined)
    }

    /// What is at least so reliable.
    pub(crate) fn trusting(mut self, least: Trust) -> Self {
        self.min_trust = least;
        self
    }

    /// What was, or will be, true at some time within, whatever is true now.
    pub(crate) fn valid(mut self, during: Option<During>) -> Result<Self, ToolError> {
        if let Some(During { from: Some(from), to: Some(to) }) = during
            && to < from
        {
            return Err(ToolError::invalid("valid_during ends before it begins"));
        }
        self.valid = during;
        Ok(self)
    }

    /// Also what is forgotten, replaced or past its time.
    pub(crate) fn including_dead(mut self) -> Self {
        self.all = true;
        self
    }

    /// Whether the record is meant.
    pub(crate) fn admits(&self, record: &Record) -> bool {
        let which = &self.which;
        let kind = if which.kinds.is_empty() {
            self.all || which.session.is_some() || !matches!(record.kind, Kind::Turn | Kind::Erasure)
        } else {
            which.kinds.contains(&record.kind)
        };
        let same =
            |wanted: &Option<String>, own: Option<&str>| wanted.as_deref().is_none_or(|wanted| own == Some(wanted));
        kind && (self.all || self.is_of_its_time(record))
            && record.trust >= self.min_trust
            && same(&which.project, record.project.as_deref())
            && same(&which.session, record.session.as_deref())
            && same(&which.by, Some(&record.by))
            && which.since.is_none_or(|since| record.recorded_at >= since)
            && which.until.is_none_or(|until| record.recorded_at < until)
            && self.is_valid(record)
            && self.fits_words(record)
    }

    /// Without a time that is asked for, what is believed now.
    fn is_of_its_time(&self, record: &Record) -> bool {
        if self.valid.is_some() { record.is_dated(self.now) } else { record.is_live(self.now) }
    }

    fn is_valid(&self, record: &Record) -> bool {
        let Some(during) = self.valid else { return true };
        let begins = during.to.is_none_or(|to| record.valid_from.is_none_or(|from| from <= to));
        let ends = during.from.is_none_or(|from| record.valid_to.is_none_or(|to| to > from));
        begins && ends
    }

    fn fits_words(&self, record: &Record) -> bool {
        let topic = self.topics.is_empty() || record.topics.iter().any(|own| self.topics.contains(&words::fold(own)));
        let named = || {
            let own = record.nodes();
            self.nodes.iter().any(|wanted| own.contains(wanted))
        };
        let said = || {
            let own = words::terms(&record.searched());
            self.words.iter().all(|wanted| own.contains_key(wanted))
        };
        topic && (self.nodes.is_empty() || named()) && (self.words.is_empty() || said())
    }
}
