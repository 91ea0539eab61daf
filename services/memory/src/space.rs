//! Whose memory: the partitions that a caller reads and writes, found from who calls and nothing else.
//!
//! Private, team and shared records live in partitions of their own, so that no filter, id or score can reach across: what a caller may
//! not see is not in the partitions that are asked.

use serde::{Deserialize, Serialize};
use weft_kit::{Call, ToolError};

use crate::{schema::terse, settings::Share};

/// Who can see a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// The caller who wrote it.
    Private,
    /// All callers of its namespace.
    #[default]
    Team,
    /// These, and the namespaces that the operator shares with.
    Shared,
}

terse!(Visibility, {"type": "string", "enum": ["private", "team", "shared"]});

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Space {
    pub(crate) namespace: String,
    pub(crate) visibility: Visibility,
    /// Whose, where it is private.
    owner: Option<String>,
}

impl Space {
    /// The partition of that visibility for the caller.
    pub(crate) fn of(call: &Call, visibility: Visibility) -> Self {
        let owner = (visibility == Visibility::Private).then(|| call.caller().id.clone());
        Self { namespace: call.namespace().to_owned(), visibility, owner }
    }

    /// What the caller owns, nearest first.
    pub(crate) fn own(call: &Call) -> Vec<Self> {
        [Visibility::Private, Visibility::Team, Visibility::Shared].map(|part| Self::of(call, part)).into()
    }

    /// What the caller may read: its own, then what others share with its namespace.
    pub(crate) fn readable(call: &Call, shares: &[Share]) -> Vec<Self> {
        let mut spaces = Self::own(call);
        for share in shares {
            let with = share.with.iter().any(|name| name == call.namespace());
            if with && share.namespace != call.namespace() {
                let namespace = share.namespace.clone();
                spaces.push(Self { namespace, visibility: Visibility::Shared, owner: None });
            }
        }
        spaces.sort_by_key(|space| space.visibility);
        spaces.dedup();
        spaces
    }

    /// The key in a store. The parts are escaped, so that no two partitions have one.
    pub(crate) fn key(&self) -> String {
        let part = self.part();
        format!("{}/{part}", escape(&self.namespace))
    }

    /// The partition that has this key; none for a key that is no caller's.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let (namespace, part) = key.split_once('/')?;
        let (visibility, owner) = match part {
            "team" => (Visibility::Team, None),
            "shared" => (Visibility::Shared, None),
            _ => (Visibility::Private, Some(unescape(part.strip_prefix("private:")?)?)),
        };
        let space = Self { namespace: unescape(namespace)?, visibility, owner };
        (space.key() == key).then_some(space)
    }

    /// The second half of its key: the visibility, and whose where that is private.
    pub(crate) fn part(&self) -> String {
        match (self.visibility, &self.owner) {
            (Visibility::Private, Some(owner)) => format!("private:{}", escape(owner)),
            (Visibility::Private, None) => "private:".to_owned(),
            (Visibility::Team, _) => "team".to_owned(),
            (Visibility::Shared, _) => "shared".to_owned(),
        }
    }

    /// The resource that stands for all of it.
    pub(crate) fn uri(&self) -> String {
        uri_of(&self.key())
    }
}

/// The resource of a partition, by its key.
pub(crate) fn uri_of(key: &str) -> String {
    format!("memory://{key}")
}

/// The resource of a record, by the key of its partition.
pub(crate) fn record_uri_of(key: &str, id: &str) -> String {
    format!("memory://{key}/{}", escape(id))
}

/// Keeps letters, digits and `-_.:`; everything else becomes `%` and two digits.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

/// The text that was escaped.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Fails unless the id is one that can be given out: 1 to 128 letters, digits and `-_.:`.
pub(crate) fn check_id(id: &str) -> Result<(), ToolError> {
    if (1..=128).contains(&id.len()) && escape(id) == id {
        return Ok(());
    }
    Err(ToolError::invalid("an id has 1 to 128 letters, digits and -_.: in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_into_another_partition() {
        let space = |namespace: &str, owner: Option<&str>| {
            let visibility = if owner.is_some() { Visibility::Private } else { Visibility::Team };
            Space { namespace: namespace.to_owned(), visibility, owner: owner.map(str::to_owned) }.key()
        };
        assert_ne!(space("a/team", None), space("a", Some("team")));
        assert_ne!(space("a", Some("b/c")), space("a", Some("b%2fc")));
        assert!(check_id("../x").is_err() && check_id("").is_err() && check_id("m-1:a.b_c").is_ok());
    }

    #[test]
    fn a_key_leads_back_to_its_partition_and_no_other_text_does() {
        for (namespace, visibility, owner) in [
            ("red", Visibility::Team, None),
            ("r/e%d", Visibility::Shared, None),
            ("red", Visibility::Private, Some("ada/../böb")),
        ] {
            let space = Space { namespace: namespace.to_owned(), visibility, owner: owner.map(str::to_owned) };
            assert_eq!(Space::of_key(&space.key()), Some(space));
        }
        for key in ["red", "red/team/meaning", "red/private:ada/meaning", "red/x", "red/private:%4", "red/private:a b"]
        {
            assert_eq!(Space::of_key(key), None, "{key}");
        }
    }
}
