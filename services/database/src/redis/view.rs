//! Who the masters are and which keys each holds, as the servers themselves say: asked of the configured servers and of
//! masters that are known already, never of an address that an error reply names.

use std::{sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError, RedisResult, Value};

use super::{
    node::Node,
    place::{Address, Greeting, Layout, Place},
};

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// The masters at one time.
#[derive(Debug, Default)]
pub(super) struct View {
    /// In the order of their addresses.
    pub(super) masters: Vec<Arc<Node>>,
    /// First slot, last slot, index of the master. Empty when one server holds all keys.
    slots: Vec<(u16, u16, usize)>,
}

impl View {
    /// The master of a key.
    pub(super) fn holder(&self, key: &[u8]) -> Option<&Arc<Node>> {
        if self.slots.is_empty() {
            return self.masters.first();
        }
        let slot = slot(key);
        let (.., index) = self.slots.iter().find(|(from, to, _)| (*from..=*to).contains(&slot))?;
        self.masters.get(*index)
    }

    /// The master at this address, if it is one of ours.
    pub(super) fn at(&self, host: &str, port: u16) -> Option<&Arc<Node>> {
        self.masters.iter().find(|node| node.address.port == port && node.address.host == host)
    }

    /// Changes when a master comes, goes or is replaced.
    pub(super) fn version(&self) -> String {
        let all: Vec<_> =
            self.masters.iter().map(|node| format!("{}:{}", node.address.host, node.address.port)).collect();
        all.join(",")
    }
}

/// The slot of a key: CRC16 (XMODEM) of its hash tag, or of all of it (Redis cluster specification, "Hash tags").
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let end = rest.iter().position(|byte| *byte == b'}')?;
        (end > 0).then(|| &rest[..end])
    });
    let mut crc = 0_u16;
    for byte in tag.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % SLOTS
}

/// Learns the masters.
#[derive(Debug)]
pub(super) struct Guide {
    place: Place,
    greeting: Greeting,
    timeout: Duration,
}

impl Guide {
    pub(super) fn new(place: Place, greeting: Greeting, timeout: Duration) -> Self {
        Self { place, greeting, timeout }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.place.layout
    }

    /// The masters now; servers of the `old` view that still are masters keep their lines.
    pub(super) async fn learn(&self, old: &View) -> RedisResult<View> {
        match &self.place.layout {
            Layout::Single => {
                let masters = self.place.seeds.iter().map(|seed| self.node(old, seed)).collect::<Result<_, _>>()?;
                Ok(View { masters, slots: Vec::new() })
            }
            Layout::Sentinel(master) => self.ask_sentinels(old, master).await,
            Layout::Cluster => self.ask_cluster(old).await,
        }
    }

    fn node(&self, old: &View, address: &Address) -> RedisResult<Arc<Node>> {
        match old.at(&address.host, address.port) {
            Some(node) => Ok(Arc::clone(node)),
            None => Ok(Arc::new(Node::new(address.clone(), self.greeting.client(address)?, self.timeout))),
        }
    }

    async fn ask_sentinels(&self, old: &View, master: &str) -> RedisResult<View> {
        let mut last = unknown();
        for seed in &self.place.seeds {
            let sentinel = Node::new(seed.clone(), self.greeting.sentinel(seed)?, Duration::from_secs(1));
            let mut command = redis::cmd("SENTINEL");
            command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
            let answer = sentinel.send(&command, false).await;
            match answer.map(redis::from_redis_value::<Option<(String, u16)>>) {
                Ok(Ok(Some((host, port)))) => {
                    let node = self.node(old, &Address { host, port })?;
                    match is_master(&node).await {
                        Ok(true) => return Ok(View { masters: vec![node], slots: Vec::new() }),
                        Ok(false) => {}
                        Err(error) => last = error,
                    }
                }
                Ok(Err(error)) => last = error.into(),
                Ok(Ok(None)) => {}
                Err(trouble) => last = trouble.error().clone(),
            }
        }
        Err(last)
    }

    async fn ask_cluster(&self, old: &View) -> RedisResult<View> {
        let mut last = unknown();
        let mut asked: Vec<Arc<Node>> = old.masters.clone();
        for seed in &self.place.seeds {
            if old.at(&seed.host, seed.port).is_none() {
                asked.push(self.node(old, seed)?);
            }
        }
        for node in asked {
            match node.send(redis::cmd("CLUSTER").arg("SLOTS"), false).await {
                Ok(Value::Array(ranges)) if !ranges.is_empty() => return self.draw(old, &node.address, ranges),
                Ok(_) => {}
                Err(trouble) => last = trouble.error().clone(),
            }
        }
        Err(last)
    }

    /// `CLUSTER SLOTS`: first slot, last slot, master as host and port, replicas.
    fn draw(&self, old: &View, by: &Address, ranges: Vec<Value>) -> RedisResult<View> {
        let mut drawn = Vec::with_capacity(ranges.len());
        for range in ranges {
            let Value::Array(parts) = range else { return Err(unknown()) };
            let mut parts = parts.into_iter();
            let (Some(from), Some(to), Some(Value::Array(master))) = (parts.next(), parts.next(), parts.next()) else {
                return Err(unknown());
            };
            let mut master = master.into_iter();
            let host: Option<String> = redis::from_redis_value(master.next().unwrap_or(Value::Nil))?;
            let port: u16 = redis::from_redis_value(master.next().unwrap_or(Value::Nil))?;
            // A node that does not know its own name is the one that was asked.
            let host = host.filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| by.host.clone());
            drawn.push((redis::from_redis_value(from)?, redis::from_redis_value(to)?, Address { host, port }));
        }
        let mut addresses: Vec<_> = drawn.iter().map(|(.., address)| address.clone()).collect();
        addresses.sort();
        addresses.dedup();
        let masters = addresses.iter().map(|address| self.node(old, address)).collect::<Result<_, _>>()?;
        let slots = drawn
            .into_iter()
            .filter_map(|(from, to, address)| Some((from, to, addresses.binary_search(&address).ok()?)))
            .collect();
        Ok(View { masters, slots })
    }
}

/// A server may forbid the question; the Sentinels' word is good enough then.
async fn is_master(node: &Node) -> RedisResult<bool> {
    match node.send(&redis::cmd("ROLE"), false).await {
        Ok(Value::Array(role)) => {
            let first = role.into_iter().next().unwrap_or_default();
            Ok(redis::from_redis_value::<String>(first).is_ok_and(|role| role == "master"))
        }
        Ok(_) => Ok(true),
        Err(trouble) if trouble.error().is_io_error() => Err(trouble.error().clone()),
        Err(_) => Ok(true),
    }
}

fn unknown() -> RedisError {
    RedisError::from((ErrorKind::ClusterConnectionNotFound, "no server that was asked knows a master"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), slot(b"foo{}{bar}"));
        assert_ne!(slot(b"foo{}{bar}"), slot(b"bar"));
        assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
    }
}
