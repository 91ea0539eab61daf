//! The commands that callers may name themselves: which of their arguments are keys, and what they do. A command that is not
//! here does not exist for callers.
//!
//! What is left out is left out on purpose: commands that block (`BLPOP`, `XREAD`), that copy between keys by an option
//! (`SORT`, `GEORADIUS`), that answer as much as a number in their arguments says (`SRANDMEMBER -1000000000`), that make room
//! for whatever offset they are given (`SETRANGE`, `SETBIT`), that take time as the product of two sizes (`LCS`), and deleting,
//! which is planned.

use weft_kit::ToolError;

use super::{Key, Scope, settings::Dangerous};

/// Which arguments are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// None.
    None,
    /// The first.
    First,
    /// The first two.
    Two,
    /// Every one.
    All,
    /// The first of each two.
    Halves,
    /// As many as the argument of this number says, behind it.
    Counted(usize),
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Reads a little.
    Read,
    /// Reads as much as its keys hold.
    Fetch,
    /// Changes something.
    Write,
    /// Changes something and may answer as much as its keys hold.
    Take,
}

impl Does {
    /// Whether it leaves everything as it is.
    pub(super) fn only_reads(self) -> bool {
        matches!(self, Self::Read | Self::Fetch)
    }

    /// Whether the answer may be as large as what the keys hold.
    pub(super) fn is_bulky(self) -> bool {
        matches!(self, Self::Fetch | Self::Take)
    }
}

/// A command that callers may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) keys: Keys,
    pub(super) does: Does,
    /// Only where the operator allows this.
    pub(super) group: Option<Dangerous>,
}

type Rows = &'static [(Keys, Does, &'static str)];

const ROWS: Rows = &[
    (
        Keys::First,
        Does::Read,
        "STRLEN GETBIT BITCOUNT BITPOS BITFIELD_RO TYPE TTL PTTL EXPIRETIME PEXPIRETIME HLEN HEXISTS HSTRLEN LLEN SCARD \
         SISMEMBER SMISMEMBER ZCARD ZCOUNT ZLEXCOUNT ZSCORE ZMSCORE ZRANK ZREVRANK XLEN GEOPOS GEODIST GEOHASH JSON.TYPE \
         JSON.ARRLEN JSON.OBJLEN JSON.STRLEN",
    ),
    (
        Keys::First,
        Does::Fetch,
        "GET GETRANGE HGET HMGET HGETALL HKEYS HVALS LINDEX LPOS LRANGE SMEMBERS ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE \
         ZREVRANGEBYSCORE ZREVRANGEBYLEX XRANGE XREVRANGE XPENDING GEOSEARCH JSON.GET JSON.OBJKEYS",
    ),
    (Keys::All, Does::Read, "EXISTS"),
    (Keys::All, Does::Fetch, "MGET SINTER SUNION SDIFF"),
    (Keys::Counted(0), Does::Read, "SINTERCARD ZINTERCARD"),
    (Keys::Counted(0), Does::Fetch, "ZINTER ZUNION ZDIFF"),
    (
        Keys::First,
        Does::Write,
        "SET SETNX SETEX PSETEX APPEND INCR INCRBY INCRBYFLOAT DECR DECRBY HSET HSETNX HDEL HINCRBY HINCRBYFLOAT LPUSH RPUSH \
         LPUSHX RPUSHX LSET LTRIM LREM LINSERT SADD SREM ZADD ZINCRBY ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX XADD \
         XTRIM XDEL XACK EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST PFADD GEOADD JSON.SET JSON.DEL JSON.NUMINCRBY JSON.ARRAPPEND",
    ),
    (Keys::First, Does::Take, "GETSET GETEX LPOP RPOP SPOP ZPOPMIN ZPOPMAX"),
    (Keys::Two, Does::Take, "LMOVE RPOPLPUSH"),
    (Keys::Two, Does::Write, "SMOVE"),
    (Keys::Halves, Does::Write, "MSET MSETNX"),
];

const GATED: &[(&str, Keys, Dangerous)] = &[
    ("EVAL_RO", Keys::Counted(1), Dangerous::Scripting),
    ("EVALSHA_RO", Keys::Counted(1), Dangerous::Scripting),
    ("FCALL_RO", Keys::Counted(1), Dangerous::Scripting),
    ("DBSIZE", Keys::None, Dangerous::Keys),
    ("RANDOMKEY", Keys::None, Dangerous::Keys),
    ("CONFIG", Keys::None, Dangerous::Config),
];

/// The command of this name, in letters of any case.
pub(super) fn known(name: &str) -> Option<Known> {
    let plain = ROWS.iter().find_map(|(keys, does, names)| {
        let name = names.split_whitespace().find(|one| one.eq_ignore_ascii_case(name))?;
        Some(Known { name, keys: *keys, does: *does, group: None })
    });
    let gated = || {
        let (name, keys, group) = GATED.iter().find(|(one, ..)| one.eq_ignore_ascii_case(name))?;
        Some(Known { name, keys: *keys, does: Does::Read, group: Some(*group) })
    };
    plain.or_else(gated)
}

/// A command whose keys have their prefix.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) known: Known,
    pub(super) keys: Vec<Key>,
    pub(super) command: redis::Cmd,
}

impl Known {
    /// Puts the prefix before every key.
    pub(super) fn ready(self, scope: &Scope<'_>, arguments: Vec<Vec<u8>>) -> Result<Ready, ToolError> {
        if let Some(group) = self.group
            && !scope.redis.allows(group)
        {
            return Err(unknown(self.name));
        }
        let places = self.places(&arguments)?;
        let (mut command, mut keys) = (redis::cmd(self.name), Vec::new());
        for (index, argument) in arguments.into_iter().enumerate() {
            if places.contains(&index) {
                let key = scope.raw_key(&argument)?;
                command.arg(&key.0);
                keys.push(key);
            } else {
                command.arg(argument);
            }
        }
        Ok(Ready { known: self, keys, command })
    }

    /// The numbers of the arguments that are keys.
    fn places(self, arguments: &[Vec<u8>]) -> Result<Vec<usize>, ToolError> {
        let all = arguments.len();
        let wrong = || ToolError::invalid(format!("{} has the wrong number of arguments", self.name));
        let places: Vec<usize> = match self.keys {
            Keys::None => return Ok(Vec::new()),
            Keys::First => vec![0],
            Keys::Two => vec![0, 1],
            Keys::All => (0..all).collect(),
            Keys::Halves => (0..all).step_by(2).collect(),
            Keys::Counted(at) => {
                let count = std::str::from_utf8(arguments.get(at).ok_or_else(wrong)?).ok();
                let count = count.and_then(|count| count.parse::<usize>().ok()).filter(|count| *count <= all);
                (at + 1..=at + count.ok_or_else(wrong)?).collect()
            }
        };
        let scripted = self.group == Some(Dangerous::Scripting);
        let fits = places.last().map_or(scripted, |last| *last < all);
        if fits { Ok(places) } else { Err(wrong()) }
    }
}

/// What a command that may not be named looks like, whether it exists or not.
pub(super) fn unknown(name: &str) -> ToolError {
    let shown: String = name.chars().filter(char::is_ascii_graphic).take(32).collect();
    ToolError::refused(format!("the command {shown:?} is not offered"))
        .hint("commands that read or change keys by name are; there are tools for finding, deleting and listening")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(name: &str, arguments: &[&str]) -> Option<Vec<usize>> {
        let arguments: Vec<_> = arguments.iter().map(|text| text.as_bytes().to_vec()).collect();
        known(name).unwrap().places(&arguments).ok()
    }

    #[test]
    fn every_key_of_a_command_is_known() {
        assert_eq!(places("get", &["a"]), Some(vec![0]));
        assert_eq!(places("mget", &["a", "b", "c"]), Some(vec![0, 1, 2]));
        assert_eq!(places("mset", &["a", "1", "b", "2"]), Some(vec![0, 2]));
        assert_eq!(places("lmove", &["a", "b", "LEFT", "RIGHT"]), Some(vec![0, 1]));
        assert_eq!(places("zinter", &["2", "a", "b", "WITHSCORES"]), Some(vec![1, 2]));
        assert_eq!(places("eval_ro", &["return 1", "0"]), Some(vec![]));
        assert_eq!(places("eval_ro", &["return 1", "1", "a", "x"]), Some(vec![2]));
    }

    #[test]
    fn a_count_that_lies_about_the_keys_is_refused() {
        for count in ["3", "-1", "x", "99999999999999999999", "", "0x1"] {
            assert_eq!(places("zinter", &[count, "a", "b"]), None, "{count}");
        }
        assert_eq!(places("zinter", &["0"]), None);
        assert_eq!(places("get", &[]), None);
    }

    #[test]
    fn nothing_that_blocks_deletes_runs_code_or_reaches_other_keys_is_known() {
        let absent = "KEYS SCAN DEL UNLINK GETDEL FLUSHALL FLUSHDB EVAL EVALSHA FCALL FUNCTION SCRIPT SORT SORT_RO GEORADIUS \
             GEORADIUSBYMEMBER GEOSEARCHSTORE COPY RENAME RENAMENX MIGRATE RESTORE DUMP MOVE BLPOP BRPOP BLMOVE BLMPOP BZPOPMIN \
             XREAD XREADGROUP WAIT SUBSCRIBE PSUBSCRIBE SSUBSCRIBE MONITOR PUBLISH OBJECT DEBUG CLIENT ACL MODULE AUTH HELLO \
             SELECT SWAPDB REPLICAOF SLAVEOF SHUTDOWN SAVE BGSAVE CLUSTER ASKING READONLY MULTI EXEC DISCARD WATCH RESET SYNC \
             PSYNC LCS SRANDMEMBER SETRANGE SETBIT BITOP ZUNIONSTORE ZRANGESTORE SINTERSTORE PFCOUNT PFMERGE LATENCY INFO";
        for name in absent.split_whitespace() {
            assert!(known(name).is_none(), "{name}");
        }
    }
}
