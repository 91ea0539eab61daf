//! One typed change → the one command that makes it. What an operation needs and does not take is said before anything is sent.

use redis::{Cmd, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Reply, ToolError};

use super::{
    Key, Redis,
    value::{Bytes, Render},
};

/// Bytes that one call may write.
const LARGEST: usize = 8 << 20;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Set,
    Append,
    Incr,
    Hset,
    Hdel,
    Lpush,
    Rpush,
    Lpop,
    Rpop,
    Lset,
    Ltrim,
    Sadd,
    Srem,
    Zadd,
    Zincr,
    Zrem,
    Xadd,
    Xtrim,
    Expire,
    Persist,
    JsonSet,
}

/// A change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisWrite {
    pub(crate) connection: String,
    pub(crate) op: Op,
    pub(crate) key: Bytes,
    /// set, append, lset, json_set (JSON text).
    #[serde(default)]
    pub(crate) value: Option<Bytes>,
    /// Items or members: lpush, rpush, sadd, srem, zrem; the fields of hdel.
    #[serde(default)]
    pub(crate) values: Vec<Bytes>,
    /// Field and value (hset, xadd) or member and score (zadd; zincr: member and by how much).
    #[serde(default)]
    pub(crate) pairs: Vec<[Bytes; 2]>,
    /// incr: by how much, 1 if not said; lpop, rpop: how many; xtrim: how many entries stay.
    #[serde(default)]
    pub(crate) amount: Option<f64>,
    /// lset: the index; ltrim: the first that stays.
    #[serde(default)]
    pub(crate) start: Option<i64>,
    /// ltrim: the last that stays.
    #[serde(default)]
    pub(crate) stop: Option<i64>,
    /// json_set: where, `$` if not said.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// set, expire: milliseconds to live.
    #[serde(default)]
    pub(crate) ttl_ms: Option<u64>,
    /// set, zadd, json_set: only if it is not there yet.
    #[serde(default)]
    pub(crate) if_absent: bool,
    /// set, zadd, json_set: only if it is there.
    #[serde(default)]
    pub(crate) if_exists: bool,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// `false` when a condition was not met or there was nothing to change.
    changed: bool,
    /// The server's reply: the new number or length, how many were added or removed, the id, what was popped.
    reply: serde_json::Value,
}

/// Makes one change.
pub(crate) async fn write(redis: &Redis, call: &Call, args: &RedisWrite) -> Result<Reply<Written>, ToolError> {
    let scope = redis.scope(call);
    scope.writable()?;
    let key = scope.key(&args.key)?;
    let command = Draft { args, key: &key }.command()?;
    if command.get_packed_command().len() > LARGEST {
        return Err(ToolError::too_large(format!("one call writes at most {LARGEST} bytes")).hint("write it in parts"));
    }
    let reply: Value = scope.change(&key, &command).await?;
    let counts = matches!(args.op, Op::Hdel | Op::Sadd | Op::Srem | Op::Zrem | Op::Xtrim | Op::Expire | Op::Persist);
    let changed = match &reply {
        Value::Nil => false,
        Value::Int(0) if counts => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let reply = Render::new(redis.settings.max_bytes).json(reply);
    Ok(Reply::new(Written { changed, reply }))
}

struct Draft<'a> {
    args: &'a RedisWrite,
    key: &'a Key,
}

impl Draft<'_> {
    fn command(&self) -> Result<Cmd, ToolError> {
        self.refuse_unused()?;
        match self.args.op {
            Op::Set => self.set(),
            Op::Append => Ok(self.key.cmd("APPEND").arg(self.value()?).take()),
            Op::Incr => Ok(self.incr()),
            Op::Hset => self.with_pairs("HSET"),
            Op::Hdel => self.with_values("HDEL"),
            Op::Lpush => self.with_values("LPUSH"),
            Op::Rpush => self.with_values("RPUSH"),
            Op::Lpop => self.pop("LPOP"),
            Op::Rpop => self.pop("RPOP"),
            Op::Lset => Ok(self.key.cmd("LSET").arg(self.start()?).arg(self.value()?).take()),
            Op::Ltrim => {
                let stop = self.args.stop.ok_or_else(|| missing("stop"))?;
                Ok(self.key.cmd("LTRIM").arg(self.start()?).arg(stop).take())
            }
            Op::Sadd => self.with_values("SADD"),
            Op::Srem => self.with_values("SREM"),
            Op::Zadd => self.zadd(),
            Op::Zincr => self.zincr(),
            Op::Zrem => self.with_values("ZREM"),
            Op::Xadd => {
                let mut command = self.key.cmd("XADD");
                command.arg("*");
                self.pairs_into(command, false)
            }
            Op::Xtrim => Ok(self.key.cmd("XTRIM").arg("MAXLEN").arg(self.whole(None)?).take()),
            Op::Expire => Ok(self.key.cmd("PEXPIRE").arg(self.ttl()?.ok_or_else(|| missing("ttl_ms"))?).take()),
            Op::Persist => Ok(self.key.cmd("PERSIST")),
            Op::JsonSet => self.json_set(),
        }
    }

    /// Arguments that the operation would not look at are a misunderstanding: better said than dropped.
    fn refuse_unused(&self) -> Result<(), ToolError> {
        let (args, op) = (self.args, self.args.op);
        let is = |ops: &[Op]| ops.contains(&op);
        let conditional = is(&[Op::Set, Op::Zadd, Op::JsonSet]);
        let given = [
            ("value", args.value.is_some(), is(&[Op::Set, Op::Append, Op::Lset, Op::JsonSet])),
            ("values", !args.values.is_empty(), is(&[Op::Lpush, Op::Rpush, Op::Sadd, Op::Srem, Op::Zrem, Op::Hdel])),
            ("pairs", !args.pairs.is_empty(), is(&[Op::Hset, Op::Xadd, Op::Zadd, Op::Zincr])),
            ("amount", args.amount.is_some(), is(&[Op::Incr, Op::Lpop, Op::Rpop, Op::Xtrim])),
            ("start", args.start.is_some(), is(&[Op::Lset, Op::Ltrim])),
            ("stop", args.stop.is_some(), is(&[Op::Ltrim])),
            ("path", args.path.is_some(), is(&[Op::JsonSet])),
            ("ttl_ms", args.ttl_ms.is_some(), is(&[Op::Set, Op::Expire])),
            ("if_absent", args.if_absent, conditional),
            ("if_exists", args.if_exists, conditional),
        ];
        if let Some((name, ..)) = given.iter().find(|(_, given, used)| *given && !used) {
            return Err(ToolError::invalid(format!("{name} is not for this operation")));
        }
        if args.if_absent && args.if_exists {
            return Err(ToolError::invalid("if_absent and if_exists exclude each other"));
        }
        Ok(())
    }

    fn value(&self) -> Result<Vec<u8>, ToolError> {
        self.args.value.as_ref().ok_or_else(|| missing("value"))?.get()
    }

    fn start(&self) -> Result<i64, ToolError> {
        self.args.start.ok_or_else(|| missing("start"))
    }

    fn ttl(&self) -> Result<Option<u64>, ToolError> {
        // Zero would delete, and deleting is planned.
        match self.args.ttl_ms {
            Some(0) => Err(ToolError::invalid("ttl_ms is at least 1").hint("redis_delete deletes")),
            // The server reads signed numbers and adds the present time.
            Some(ttl) if ttl > 1 << 52 => Err(ToolError::invalid("ttl_ms is too large")),
            ttl => Ok(ttl),
        }
    }

    /// `amount` as a whole number that is not negative.
    fn whole(&self, usual: Option<u64>) -> Result<u64, ToolError> {
        let Some(amount) = self.args.amount else { return usual.ok_or_else(|| missing("amount")) };
        if amount.fract() != 0.0 || !(0.0..=1e15).contains(&amount) {
            return Err(ToolError::invalid("amount is a whole number from 0 on"));
        }
        format!("{amount:.0}").parse().map_err(|_| ToolError::invalid("amount is a whole number from 0 on"))
    }

    fn condition(&self, command: &mut Cmd) {
        if self.args.if_absent {
            command.arg("NX");
        }
        if self.args.if_exists {
            command.arg("XX");
        }
    }

    fn set(&self) -> Result<Cmd, ToolError> {
        let mut command = self.key.cmd("SET");
        command.arg(self.value()?);
        if let Some(ttl) = self.ttl()? {
            command.arg("PX").arg(ttl);
        }
        self.condition(&mut command);
        Ok(command)
    }

    fn incr(&self) -> Cmd {
        let amount = self.args.amount.unwrap_or(1.0);
        if amount.fract() == 0.0 && amount.abs() <= 9e15 {
            return self.key.cmd("INCRBY").arg(format!("{amount:.0}")).take();
        }
        self.key.cmd("INCRBYFLOAT").arg(amount.to_string()).take()
    }

    fn pop(&self, verb: &str) -> Result<Cmd, ToolError> {
        match self.whole(Some(1))? {
            0 => Err(ToolError::invalid("amount is at least 1")),
            many if many > 100 => Err(ToolError::invalid("amount is at most 100 here")),
            many => Ok(self.key.cmd(verb).arg(many).take()),
        }
    }

    fn with_values(&self, verb: &str) -> Result<Cmd, ToolError> {
        if self.args.values.is_empty() {
            return Err(missing("values"));
        }
        let mut command = self.key.cmd(verb);
        for value in &self.args.values {
            command.arg(value.get()?);
        }
        Ok(command)
    }

    fn with_pairs(&self, verb: &str) -> Result<Cmd, ToolError> {
        self.pairs_into(self.key.cmd(verb), false)
    }

    fn pairs_into(&self, mut command: Cmd, turned: bool) -> Result<Cmd, ToolError> {
        if self.args.pairs.is_empty() {
            return Err(missing("pairs"));
        }
        for [first, second] in &self.args.pairs {
            let (first, second) = if turned { (second, first) } else { (first, second) };
            command.arg(first.get()?).arg(second.get()?);
        }
        Ok(command)
    }

    fn zadd(&self) -> Result<Cmd, ToolError> {
        let mut command = self.key.cmd("ZADD");
        self.condition(&mut command);
        self.pairs_into(command.arg("CH").take(), true)
    }

    fn zincr(&self) -> Result<Cmd, ToolError> {
        match self.args.pairs.as_slice() {
            [[member, by]] => Ok(self.key.cmd("ZINCRBY").arg(by.get()?).arg(member.get()?).take()),
            _ => Err(ToolError::invalid("zincr takes one pair: a member and by how much")),
        }
    }

    fn json_set(&self) -> Result<Cmd, ToolError> {
        let mut command = self.key.cmd("JSON.SET");
        command.arg(self.args.path.as_deref().unwrap_or("$")).arg(self.value()?);
        self.condition(&mut command);
        Ok(command)
    }
}

fn missing(name: &str) -> ToolError {
    ToolError::invalid(format!("this operation needs {name}"))
}
