//! A cluster: its members are asked for, tried in turn, and asked for anew when they are not what they were.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use weft_bolt::{BoltError, Client, Config, Map, Options, Value};

use crate::{
    PATIENCE, map,
    scripted::{ROUTE, RUN, Script, Scripted, agreeable, failure, ignored, success},
};

const V5_4: [u8; 4] = [0, 0, 4, 5];

type Roles = Arc<OnceLock<(Vec<String>, Vec<String>)>>;

/// The routing table that everyone tells.
fn table(roles: &Roles) -> Vec<u8> {
    let (readers, writers) = roles.get().unwrap().clone();
    let group = |role: &str, addresses: Vec<String>| -> Value {
        map([("role", role.into()), ("addresses", addresses.into())]).into()
    };
    let servers = vec![group("READ", readers), group("WRITE", writers.clone()), group("ROUTE", writers)];
    success(map([("rt", map([("ttl", 300.into()), ("servers", servers.into())]).into())]))
}

fn member(roles: &Roles) -> Script {
    let roles = Arc::clone(roles);
    Arc::new(move |tag, _| if tag == ROUTE { Some(table(&roles)) } else { agreeable(tag) })
}

fn client(url: &str) -> Client {
    let mut config = Config::new(url);
    config.patience = PATIENCE;
    Client::new(config).unwrap()
}

async fn run(client: &Client, options: &Options) -> Result<(), BoltError> {
    let mut transaction = client.begin(options).await?;
    transaction.run("RETURN 1 AS one", &Map::new()).await?.finish().await?;
    transaction.rollback().await
}

fn count(server: &Scripted, tag: u8) -> usize {
    server.tags().into_iter().filter(|seen| *seen == tag).count()
}

#[tokio::test]
async fn readers_read_in_turn_and_the_writer_writes() {
    let roles = Roles::default();
    let (seed, first, second) = (
        Scripted::start(V5_4, member(&roles)).await,
        Scripted::start(V5_4, member(&roles)).await,
        Scripted::start(V5_4, member(&roles)).await,
    );
    let names = [&first, &second].map(|server| server.address.to_string());
    roles.set((names.to_vec(), vec![seed.address.to_string()])).unwrap();
    let client = client(&format!("neo4j://{}", seed.address));
    for _ in 0..4 {
        run(&client, &Options::read()).await.unwrap();
    }
    run(&client, &Options::default()).await.unwrap();
    assert_eq!([&seed, &first, &second].map(|server| count(server, RUN)), [1, 2, 2]);
    assert_eq!(count(&seed, ROUTE), 1, "the table is good for its time");
}

#[tokio::test]
async fn a_reader_that_is_away_is_passed_over() {
    let roles = Roles::default();
    let (seed, reader) = (Scripted::start(V5_4, member(&roles)).await, Scripted::start(V5_4, member(&roles)).await);
    // The port of a server that ended could be given to one of another test.
    let gone = format!("127.0.0.1:{}", weft_testkit::free_port());
    roles.set((vec![gone, reader.address.to_string()], vec![seed.address.to_string()])).unwrap();
    let client = client(&format!("neo4j://{}", seed.address));
    for _ in 0..3 {
        run(&client, &Options::read()).await.unwrap();
    }
    assert_eq!(count(&reader, RUN), 3);
}

#[tokio::test]
async fn a_writer_that_is_none_any_more_makes_the_table_be_asked_for_anew() {
    let roles = Roles::default();
    let demoted = Arc::new(AtomicBool::new(true));
    let (told, flag) = (Arc::clone(&roles), Arc::clone(&demoted));
    let failing = AtomicBool::new(false);
    let script: Script = Arc::new(move |tag, _| match tag {
        ROUTE => Some(table(&told)),
        RUN if flag.swap(false, Ordering::SeqCst) => {
            failing.store(true, Ordering::SeqCst);
            Some(failure("Neo.ClientError.Cluster.NotALeader"))
        }
        _ if failing.swap(false, Ordering::SeqCst) => Some(ignored()),
        _ => agreeable(tag),
    });
    let seed = Scripted::start(V5_4, script).await;
    roles.set((vec![], vec![seed.address.to_string()])).unwrap();
    let client = client(&format!("neo4j://{}", seed.address));
    let error = run(&client, &Options::default()).await.unwrap_err();
    assert_eq!(error.failure().unwrap().code, "Neo.ClientError.Cluster.NotALeader");
    run(&client, &Options::default()).await.unwrap();
    assert_eq!(count(&seed, ROUTE), 2);
    assert!(run(&client, &Options::read()).await.is_err(), "nobody reads in this cluster");
}

#[tokio::test]
async fn a_real_server_tells_its_own_table() {
    // One that speaks TLS would tell of itself by a scheme that this one has not.
    let Some(url) = weft_testkit::bolt().filter(|url| url.starts_with("bolt://")) else { return };
    let client = client(&url.replacen("bolt", "neo4j", 1));
    run(&client, &Options::read()).await.unwrap();
    run(&client, &Options::default()).await.unwrap();
}
