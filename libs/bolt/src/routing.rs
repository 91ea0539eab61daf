//! The members of a cluster: who reads, who writes, and who knows. A table is asked for when it is needed and the last one
//! is over its time, or when a member turns out not to be what the table says.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    address::Address,
    client::Mode,
    dial::Dialer,
    error::BoltError,
    packstream::Malformed,
    pool::{Lent, Pool, PoolLimits},
    value::{Map, Value},
};

/// Members that are remembered of one table.
const MEMBERS: usize = 64;
/// Databases whose tables are remembered.
const TABLES: usize = 64;
/// However long a server says that its table is good.
const LONGEST: Duration = Duration::from_secs(3600);

/// Who does what for one database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    until: Instant,
    readers: Vec<Address>,
    writers: Vec<Address>,
    routers: Vec<Address>,
}

/// The way to the servers: one, or the members of a cluster.
pub(crate) struct Router {
    seed: Address,
    routed: bool,
    dialer: Arc<Dialer>,
    limits: PoolLimits,
    pools: Mutex<HashMap<Address, Arc<Pool>>>,
    tables: Mutex<HashMap<Option<String>, Arc<Table>>>,
    turn: AtomicUsize,
}

impl Router {
    pub(crate) fn new(seed: Address, dialer: Arc<Dialer>, limits: PoolLimits) -> Self {
        let routed = dialer.routed;
        let (pools, tables, turn) = (Mutex::default(), Mutex::default(), AtomicUsize::new(0));
        Self { seed, routed, dialer, limits, pools, tables, turn }
    }

    /// A connection to a server that does `mode` for `database`.
    pub(crate) async fn lend(&self, mode: Mode, database: Option<&str>) -> Result<Lent, BoltError> {
        if !self.routed {
            return self.pool(&self.seed).lend().await;
        }
        let mut failed = None;
        for address in self.members(mode, database).await? {
            match self.pool(&address).lend().await {
                Ok(lent) => return Ok(lent),
                Err(error) if error.is_away() || matches!(error, BoltError::Busy(_)) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        self.forget(database);
        Err(failed.unwrap_or_else(|| Malformed::Message("no member of the cluster does this now; try again").into()))
    }

    /// Those that do `mode`, another one first each time.
    async fn members(&self, mode: Mode, database: Option<&str>) -> Result<Vec<Address>, BoltError> {
        let table = match self.known(database) {
            Some(table) => table,
            None => self.ask(database).await?,
        };
        let mut members = if mode == Mode::Read { table.readers.clone() } else { table.writers.clone() };
        if !members.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % members.len();
            members.rotate_left(turn);
        }
        Ok(members)
    }

    /// The table, while it is good and no writer of it has said otherwise.
    fn known(&self, database: Option<&str>) -> Option<Arc<Table>> {
        let table = self.tables().get(&database.map(str::to_owned)).cloned()?;
        let mut moved = false;
        for writer in &table.writers {
            moved |= self.pool(writer).was_misplaced();
        }
        (Instant::now() < table.until && !moved).then_some(table)
    }

    /// Asks who knows: those of the last table, then the server of the settings.
    async fn ask(&self, database: Option<&str>) -> Result<Arc<Table>, BoltError> {
        let last = self.tables().get(&database.map(str::to_owned)).cloned();
        let mut routers: Vec<Address> = last.iter().flat_map(|table| table.routers.clone()).collect();
        routers.retain(|router| *router != self.seed);
        routers.push(self.seed.clone());
        let mut failed = BoltError::Address("no server to ask for the members of the cluster");
        for router in routers {
            match self.ask_one(&router, database).await {
                Ok(table) => return Ok(self.remember(database, table)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn ask_one(&self, router: &Address, database: Option<&str>) -> Result<Table, BoltError> {
        let mut lent = self.pool(router).lend().await?;
        let about = lent.route(database).await?;
        Ok(Table::of(&about, router, Instant::now())?)
    }

    fn remember(&self, database: Option<&str>, table: Table) -> Arc<Table> {
        let table = Arc::new(table);
        let mut tables = self.tables();
        if tables.len() >= TABLES {
            tables.clear();
        }
        tables.insert(database.map(str::to_owned), Arc::clone(&table));
        let needed = |address: &Address| *address == self.seed || tables.values().any(|table| table.names(address));
        self.pools().retain(|address, _| needed(address));
        table
    }

    /// Asks anew next time.
    fn forget(&self, database: Option<&str>) {
        self.tables().remove(&database.map(str::to_owned));
    }

    fn pool(&self, address: &Address) -> Arc<Pool> {
        let mut pools = self.pools();
        let made = || Arc::new(Pool::new(address.clone(), Arc::clone(&self.dialer), self.limits));
        Arc::clone(pools.entry(address.clone()).or_insert_with(made))
    }

    /// Closes what nobody uses.
    pub(crate) async fn close(&self) {
        let pools: Vec<Arc<Pool>> = self.pools().drain().map(|(_, pool)| pool).collect();
        for pool in pools {
            pool.close().await;
        }
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<Address, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<Option<String>, Arc<Table>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn of(about: &Map, asked: &Address, now: Instant) -> Result<Self, Malformed> {
        let table =
            about.get("rt").and_then(Value::as_map).ok_or(Malformed::Message("there is no routing table in it"))?;
        let ttl = table.get("ttl").and_then(Value::as_int).and_then(|ttl| u64::try_from(ttl).ok()).unwrap_or(0);
        let until = now + Duration::from_secs(ttl).min(LONGEST);
        let mut found = Self { until, readers: Vec::new(), writers: Vec::new(), routers: Vec::new() };
        for group in table.get("servers").and_then(Value::as_list).unwrap_or_default() {
            let Some(group) = group.as_map() else { continue };
            let members = match group.get("role").and_then(Value::as_str) {
                Some("READ") => &mut found.readers,
                Some("WRITE") => &mut found.writers,
                Some("ROUTE") => &mut found.routers,
                _ => continue,
            };
            let named = group.get("addresses").and_then(Value::as_list).unwrap_or_default();
            let named = named.iter().filter_map(Value::as_str).filter_map(|text| reachable(text, asked));
            members.extend(named.take(MEMBERS));
        }
        Ok(found)
    }

    fn names(&self, address: &Address) -> bool {
        [&self.readers, &self.writers, &self.routers].into_iter().any(|members| members.contains(address))
    }
}

/// A member's address. One that listens everywhere and says so is where it was asked.
fn reachable(text: &str, asked: &Address) -> Option<Address> {
    let address = Address::parse(text).ok()?;
    let everywhere = ["0.0.0.0", "::"].contains(&address.host.as_str());
    Some(if everywhere { Address { host: asked.host.clone(), ..address } } else { address })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(role: &str, addresses: Vec<&str>) -> Value {
        let entries = [("role".to_owned(), role.into()), ("addresses".to_owned(), addresses.into())];
        Value::Map(entries.into())
    }

    fn about(ttl: i64, servers: Vec<Value>) -> Map {
        let table = Map::from([("ttl".to_owned(), ttl.into()), ("servers".to_owned(), servers.into())]);
        Map::from([("rt".to_owned(), table.into())])
    }

    fn at(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn a_table_says_who_reads_writes_and_knows_and_for_how_long() {
        let now = Instant::now();
        let servers = vec![group("READ", vec!["a:1", "b:1"]), group("WRITE", vec!["b:1"]), group("ROUTE", vec!["a:1"])];
        let table = Table::of(&about(300, servers), &at("seed"), now).unwrap();
        assert_eq!((table.readers, table.writers), (vec![at("a:1"), at("b:1")], vec![at("b:1")]));
        assert_eq!((table.routers, table.until), (vec![at("a:1")], now + Duration::from_secs(300)));
    }

    #[test]
    fn a_hostile_table_is_bounded_in_members_and_time() {
        let now = Instant::now();
        let names: Vec<String> = (0..1000).map(|number| format!("m{number}:1")).collect();
        let servers = vec![group("READ", names.iter().map(String::as_str).collect()), group("WRITE", vec!["no good"])];
        let table = Table::of(&about(i64::MAX, servers), &at("seed"), now).unwrap();
        assert_eq!((table.readers.len(), table.writers.len(), table.until), (MEMBERS, 0, now + LONGEST));
        assert!(Table::of(&Map::new(), &at("seed"), now).is_err());
    }

    #[test]
    fn a_member_that_listens_everywhere_is_where_it_was_asked() {
        assert_eq!(reachable("0.0.0.0:9", &at("db.example:7687")), Some(at("db.example:9")));
    }
}
