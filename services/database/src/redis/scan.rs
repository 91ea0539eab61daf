//! Finding keys: `SCAN` over every master in turn, a page at a time, under the caller's prefix.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Page, Reply, ToolError, Truncated};

use super::{
    Key, LONGEST_KEY, Redis, Scope,
    sweep::{Mark, Sweep},
    value::{Bytes, Shown},
};

/// Keys that the server looks at in one step.
const STEP: usize = 500;
/// Keys that it looks at for one page, found or not.
const WALKED: usize = 50_000;
/// Keys of a page when the caller does not say.
const USUAL: usize = 100;

/// What to look for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisScan {
    pub(crate) connection: String,
    /// `user:*`, with `*`, `?`, `[a-z]` and `\` before what is literal; everything if not said.
    #[serde(default)]
    pub(crate) pattern: Option<Bytes>,
    /// Only this type of value.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<Kind>,
    /// Keys in one page, at most 500.
    #[serde(default)]
    pub(crate) count: Option<usize>,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// A type of value.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    String,
    Hash,
    List,
    Set,
    Zset,
    Stream,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::Stream => "stream",
        }
    }
}

/// The keys found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Scanned {
    keys: Vec<Shown>,
}

/// One page of keys. At least once each: a key may come again on a later page.
pub(crate) async fn scan(redis: &Redis, call: &Call, args: &RedisScan) -> Result<Reply<Scanned>, ToolError> {
    let scope = redis.scope(call);
    let count = args.count.unwrap_or(USUAL.min(redis.settings.max_items));
    if !(1..=redis.settings.max_items).contains(&count) {
        return Err(ToolError::invalid(format!("count is from 1 to {}", redis.settings.max_items)));
    }
    let pattern = args.pattern.as_ref().map_or_else(|| Ok(b"*".to_vec()), Bytes::get)?;
    let (masters, version) = scope.masters().await?;
    let from = match call.resume::<Position>(args.cursor.as_deref())? {
        Some(at) => at.fresh(&version)?,
        None => Position::default(),
    };
    let finder = Finder { pattern: scope.prefix.pattern(&pattern), kind: args.kind.map(Kind::name), masters, count };
    let found = finder.find(&scope, from).await?;
    let cursor = found.next.map(|next| call.cursor(&version, &next)).transpose()?;
    let few = cursor.is_some() && found.walked >= WALKED;
    let page = Page::new(found.keys.len(), cursor);
    let reply = Reply::new(Scanned { keys: found.keys.iter().map(|key| scope.shown(key)).collect() }).page(page);
    if !few {
        return Ok(reply);
    }
    Ok(reply.truncated(Truncated::new("keys_walked", WALKED as u64)).warn("few keys match: go on with the cursor"))
}

/// Where a search stands.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// The number of the master.
    #[serde(rename = "m")]
    master: usize,
    #[serde(rename = "a")]
    mark: Mark,
}

/// A search for keys.
pub(super) struct Finder<'a> {
    /// With the prefix.
    pub(super) pattern: Vec<u8>,
    pub(super) kind: Option<&'a str>,
    pub(super) masters: usize,
    /// Keys wanted.
    pub(super) count: usize,
}

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) keys: Vec<Key>,
    /// Keys that the servers looked at, about.
    walked: usize,
    /// Where it goes on, if it does.
    pub(super) next: Option<Position>,
}

impl Finder<'_> {
    pub(super) async fn find(&self, scope: &Scope<'_>, mut at: Position) -> Result<Found, ToolError> {
        let (mut found, mut seen, mut budget) = (Found::default(), HashSet::new(), scope.call.budget());
        while at.master < self.masters {
            if found.walked >= WALKED {
                found.next = Some(at);
                return Ok(found);
            }
            scope.call.check()?;
            let sweep = Sweep::Keys { master: at.master, pattern: self.pattern.clone(), kind: self.kind };
            let (next, keys) = sweep.step(scope, at.mark.cursor, STEP).await?;
            found.walked += STEP;
            for (index, key) in keys.into_iter().enumerate().skip(at.mark.skip) {
                let full = found.keys.len() >= self.count || !budget.admit(key.len().min(LONGEST_KEY) + 8);
                if full && !found.keys.is_empty() {
                    at.mark.skip = index;
                    found.next = Some(at);
                    return Ok(found);
                }
                if scope.prefix.strip(&key).is_some() && seen.insert(key.clone()) {
                    found.keys.push(Key(key));
                }
            }
            at.mark = Mark { cursor: next, skip: 0 };
            at.master += usize::from(next == 0);
        }
        Ok(found)
    }
}
