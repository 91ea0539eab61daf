//! One window of a value of each type, and where the next one begins.

use redis::Value;
use weft_kit::{Budget, ToolError};

use super::{At, Entry, FETCHED, Field, Holds, Member, Part, RedisRead, Start, Subject, text};
use crate::redis::{
    sweep::{Mark, Sweep},
    value::Shown,
};

/// Items of a page when the caller does not say.
const USUAL: usize = 100;

impl Subject<'_> {
    fn longest(&self) -> usize {
        self.scope.longest()
    }

    fn budget(&self) -> Budget {
        Budget::new(self.scope.redis.settings.max_bytes)
    }

    /// The window that was asked for, by type.
    pub(super) async fn window(&self, kind: &str, args: &RedisRead, at: Option<At>) -> Result<Part, ToolError> {
        if args.path.is_some() && kind != "ReJSON-RL" {
            return Err(ToolError::invalid(format!("path is for JSON values, and this is a {kind}")));
        }
        let count = args.window.as_ref().and_then(|window| window.count);
        let start = args.window.as_ref().and_then(|window| window.start.clone());
        match kind {
            "string" => self.string(self.first(start, at)?, count).await,
            "list" => self.list(self.first(start, at)?, self.count(count)?).await,
            "zset" => self.ranked(self.first(start, at)?, self.count(count)?).await,
            "hash" => self.hash(mark(start, at)?, self.count(count)?).await,
            "set" => self.set(mark(start, at)?, self.count(count)?).await,
            "stream" => self.stream(start, at, self.count(count)?).await,
            "ReJSON-RL" => self.json(args.path.as_deref().unwrap_or("$")).await,
            other => Err(ToolError::new("unsupported", format!("values of the type {other} cannot be shown"))),
        }
    }

    /// The first byte, index or rank of the window.
    fn first(&self, start: Option<Start>, at: Option<At>) -> Result<u64, ToolError> {
        match (at, start) {
            (Some(At::Number(at)), _) => Ok(at),
            (Some(_), _) => Err(ToolError::conflict("the key holds another kind of value than before")),
            (None, None) => Ok(0),
            (None, Some(Start::At(start))) if start < 0 => Ok(self.length.saturating_sub(start.unsigned_abs())),
            (None, Some(Start::At(start))) => Ok(start.unsigned_abs()),
            (None, Some(Start::Id(_))) => Err(ToolError::invalid("start is a number for this type of value")),
        }
    }

    /// How many items: as asked, and no more than may be fetched by what an item takes on average.
    fn count(&self, asked: Option<usize>) -> Result<usize, ToolError> {
        let most = self.scope.redis.settings.max_items;
        let asked = asked.unwrap_or(USUAL.min(most));
        if !(1..=most).contains(&asked) {
            return Err(ToolError::invalid(format!("count is from 1 to {most}")));
        }
        let Some(memory) = self.memory.filter(|memory| *memory > FETCHED) else { return Ok(asked) };
        let each = (memory / self.length.max(1)).max(1);
        match usize::try_from(FETCHED / each).unwrap_or(asked) {
            0 => Err(ToolError::too_large("the items of this value are too large to be shown")
                .hint("read one of them by its field, if it is a hash")),
            fitting => Ok(asked.min(fitting)),
        }
    }

    async fn string(&self, start: u64, count: Option<usize>) -> Result<Part, ToolError> {
        let most = self.scope.redis.settings.max_bytes;
        let wanted = count.unwrap_or(most);
        if !(1..=most).contains(&wanted) {
            return Err(ToolError::invalid(format!("count of a string is from 1 to {most} bytes")));
        }
        let mut command = self.key.cmd("GETRANGE");
        command.arg(start).arg(start.saturating_add(wanted as u64 - 1).min(i64::MAX as u64));
        let mut bytes: Vec<u8> = self.scope.read(self.key, &command).await?;
        // A character that the window cut in two belongs to the next one.
        if let Err(error) = std::str::from_utf8(&bytes)
            && error.error_len().is_none()
            && error.valid_up_to() > 0
            && start + (bytes.len() as u64) < self.length
        {
            bytes.truncate(error.valid_up_to());
        }
        let end = start + bytes.len() as u64;
        let next = (end < self.length && !bytes.is_empty() && count.is_none()).then_some(At::Number(end));
        let holds = Holds { value: Some(Shown::whole(&bytes)), ..Holds::default() };
        Ok(Part { holds, returned: 1, next, cut: false })
    }

    async fn list(&self, start: u64, count: usize) -> Result<Part, ToolError> {
        let mut command = self.key.cmd("LRANGE");
        command.arg(start).arg(start.saturating_add(count as u64 - 1));
        let found: Vec<Vec<u8>> = self.scope.read(self.key, &command).await?;
        let shown = found.iter().map(|item| Shown::of(item, self.longest()));
        let items = self.budget().fill(shown);
        let (returned, cut) = (items.len(), items.iter().any(Shown::is_cut));
        let holds = Holds { items: Some(items), ..Holds::default() };
        Ok(Part { holds, returned, next: self.after(start, returned), cut })
    }

    async fn ranked(&self, start: u64, count: usize) -> Result<Part, ToolError> {
        let mut command = self.key.cmd("ZRANGE");
        command.arg(start).arg(start.saturating_add(count as u64 - 1)).arg("WITHSCORES");
        let found: Vec<Vec<u8>> = self.scope.read(self.key, &command).await?;
        let shown = found.chunks_exact(2).map(|pair| Member {
            member: Shown::of(&pair[0], self.longest()),
            score: String::from_utf8_lossy(&pair[1]).into_owned(),
            rank: None,
        });
        let members = self.budget().fill(shown);
        let (returned, cut) = (members.len(), members.iter().any(|member| member.member.is_cut()));
        let holds = Holds { members: Some(members), ..Holds::default() };
        Ok(Part { holds, returned, next: self.after(start, returned), cut })
    }

    fn after(&self, start: u64, returned: usize) -> Option<At> {
        let end = start.saturating_add(returned as u64);
        (end < self.length && returned > 0).then_some(At::Number(end))
    }

    async fn hash(&self, mark: Mark, count: usize) -> Result<Part, ToolError> {
        let sweep = Sweep::Value { verb: "HSCAN", key: self.key };
        let (found, next) = self.swept(&sweep, mark, count, 2).await?;
        let longest = self.longest();
        let shown =
            |pair: &[Vec<u8>]| Field { field: Shown::of(&pair[0], longest), value: Shown::of(&pair[1], longest) };
        let fields: Vec<_> = found.chunks_exact(2).map(shown).collect();
        let cut = fields.iter().any(|field| field.field.is_cut() || field.value.is_cut());
        let returned = fields.len();
        let next = next.map(At::Mark);
        Ok(Part { holds: Holds { fields: Some(fields), ..Holds::default() }, returned, next, cut })
    }

    async fn set(&self, mark: Mark, count: usize) -> Result<Part, ToolError> {
        let sweep = Sweep::Value { verb: "SSCAN", key: self.key };
        let (found, next) = self.swept(&sweep, mark, count, 1).await?;
        let items: Vec<_> = found.iter().map(|item| Shown::of(item, self.longest())).collect();
        let (returned, cut) = (items.len(), items.iter().any(Shown::is_cut));
        let next = next.map(At::Mark);
        Ok(Part { holds: Holds { items: Some(items), ..Holds::default() }, returned, next, cut })
    }

    /// Elements of `width` parts each, until `count` of them are there or the page is full.
    async fn swept(
        &self,
        sweep: &Sweep<'_>,
        mut mark: Mark,
        count: usize,
        width: usize,
    ) -> Result<(Vec<Vec<u8>>, Option<Mark>), ToolError> {
        let (mut found, mut budget) = (Vec::new(), self.budget());
        loop {
            self.scope.call.check()?;
            let (next, parts) = sweep.step(self.scope, mark.cursor, count).await?;
            for (index, element) in parts.chunks_exact(width).enumerate().skip(mark.skip) {
                let size: usize = element.iter().map(|part| part.len().min(self.longest()) + 12).sum();
                let full = found.len() >= count * width || !budget.admit(size);
                if full && !found.is_empty() {
                    return Ok((found, Some(Mark { skip: index, ..mark })));
                }
                found.extend_from_slice(element);
            }
            mark = Mark { cursor: next, skip: 0 };
            if next == 0 {
                return Ok((found, None));
            }
        }
    }

    async fn stream(&self, start: Option<Start>, at: Option<At>, count: usize) -> Result<Part, ToolError> {
        let from = match (at, start) {
            (Some(At::Behind(id)), _) => format!("({id}"),
            (Some(_), _) => return Err(ToolError::conflict("the key holds another kind of value than before")),
            (None, Some(Start::Id(id))) => id,
            (None, Some(Start::At(id))) => id.to_string(),
            (None, None) => "-".to_owned(),
        };
        let mut command = self.key.cmd("XRANGE");
        command.arg(from).arg("+").arg("COUNT").arg(count + 1);
        let found: Vec<Value> = self.scope.read(self.key, &command).await?;
        let total = found.len();
        let entries = self.budget().fill(found.into_iter().take(count).filter_map(|entry| self.entry(entry)));
        let last = entries.last().map(|entry| At::Behind(entry.id.clone()));
        let (returned, next) = (entries.len(), last.filter(|_| entries.len() < total));
        let cut = entries.iter().flat_map(|entry| &entry.fields).any(|field| field.value.is_cut());
        Ok(Part { holds: Holds { entries: Some(entries), ..Holds::default() }, returned, next, cut })
    }

    /// An entry is its id and its fields in a row; all fields together take no more than one page.
    fn entry(&self, entry: Value) -> Option<Entry> {
        let Value::Array(parts) = entry else { return None };
        let mut parts = parts.into_iter();
        let id = String::from_utf8_lossy(&text(parts.next()?)).into_owned();
        let fields: Vec<Vec<u8>> = redis::from_redis_value(parts.next()?).unwrap_or_default();
        let longest = (self.longest() * 4 / fields.len().max(1)).max(16);
        let shown =
            |pair: &[Vec<u8>]| Field { field: Shown::of(&pair[0], longest), value: Shown::of(&pair[1], longest) };
        Some(Entry { id, fields: fields.chunks_exact(2).map(shown).collect() })
    }

    async fn json(&self, path: &str) -> Result<Part, ToolError> {
        if self.memory.is_some_and(|memory| memory > FETCHED) {
            return Err(
                ToolError::too_large("the JSON value is too large to be shown").hint("read a part of it by path")
            );
        }
        let mut command = self.key.cmd("JSON.GET");
        command.arg(path);
        let found: Option<Vec<u8>> = self.scope.read(self.key, &command).await?;
        let found = found.ok_or_else(|| ToolError::not_found("there is nothing at this path"))?;
        let most = self.scope.redis.settings.max_bytes;
        let holds = match serde_json::from_slice(&found) {
            Ok(json) if found.len() <= most => Holds { json: Some(json), ..Holds::default() },
            _ => Holds { value: Some(Shown::of(&found, most)), ..Holds::default() },
        };
        Ok(Part { cut: holds.value.is_some(), holds, returned: 1, next: None })
    }

    /// One field of a hash.
    pub(super) async fn field(&self, kind: &str, field: &[u8]) -> Result<Part, ToolError> {
        if kind != "hash" {
            return Err(ToolError::invalid(format!("field is for hashes, and this is a {kind}")));
        }
        let size: u64 = self.scope.read(self.key, self.key.cmd("HSTRLEN").arg(field)).await?;
        if size > FETCHED {
            return Err(ToolError::too_large(format!("the field has {size} bytes")));
        }
        let value: Option<Vec<u8>> = self.scope.read(self.key, self.key.cmd("HGET").arg(field)).await?;
        let value = value.ok_or_else(|| ToolError::not_found("the hash has no such field"))?;
        let value = Shown::of(&value, self.scope.redis.settings.max_bytes);
        Ok(Part {
            cut: value.is_cut(),
            holds: Holds { value: Some(value), ..Holds::default() },
            returned: 1,
            next: None,
        })
    }

    /// One member of a set, or of a sorted set with its score and rank.
    pub(super) async fn member(&self, kind: &str, member: &[u8]) -> Result<Part, ToolError> {
        let absent = || ToolError::not_found("the set has no such member");
        let shown = Shown::of(member, self.longest());
        let holds = match kind {
            "set" => {
                let there: bool = self.scope.read(self.key, self.key.cmd("SISMEMBER").arg(member)).await?;
                there.then(|| Holds { items: Some(vec![shown]), ..Holds::default() }).ok_or_else(absent)?
            }
            "zset" => {
                let score: Option<String> = self.scope.read(self.key, self.key.cmd("ZSCORE").arg(member)).await?;
                let rank: Option<u64> = self.scope.read(self.key, self.key.cmd("ZRANK").arg(member)).await?;
                let member = Member { member: shown, score: score.ok_or_else(absent)?, rank };
                Holds { members: Some(vec![member]), ..Holds::default() }
            }
            other => return Err(ToolError::invalid(format!("member is for sets, and this is a {other}"))),
        };
        Ok(Part { holds, returned: 1, next: None, cut: false })
    }
}

/// Where a sweep goes on.
fn mark(start: Option<Start>, at: Option<At>) -> Result<Mark, ToolError> {
    match (at, start) {
        (Some(At::Mark(mark)), _) => Ok(mark),
        (Some(_), _) => Err(ToolError::conflict("the key holds another kind of value than before")),
        (None, None | Some(Start::At(0))) => Ok(Mark::default()),
        (None, Some(_)) => Err(ToolError::invalid("hashes and sets have no order: go on with the cursor")),
    }
}
