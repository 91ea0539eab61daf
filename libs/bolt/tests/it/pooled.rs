//! Connections are lent, taken back, limited, and closed when something was left in the middle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use weft_bolt::{BoltError, Client, Config, Malformed, Map, Options, Version};

use crate::{
    PATIENCE, map,
    scripted::{
        BEGIN, HELLO, LOGON, PULL, RESET, ROLLBACK, RUN, Scripted, agreeable, failure, ignored, record, success,
    },
};

const V5_4: [u8; 4] = [0, 0, 4, 5];
const V4_4: [u8; 4] = [0, 0, 4, 4];

fn config(server: &Scripted) -> Config {
    let mut config = Config::new(format!("bolt://{}", server.address)).user("reader", "secret");
    config.patience = PATIENCE;
    config
}

fn client(server: &Scripted) -> Client {
    Client::new(config(server)).unwrap()
}

async fn one(client: &Client) -> Result<(), BoltError> {
    let mut transaction = client.begin(&Options::read()).await?;
    let mut records = transaction.run("RETURN 1 AS one", &Map::new()).await?;
    assert_eq!(records.next().await?, Some(vec![1.into()]));
    records.finish().await?;
    transaction.rollback().await
}

#[tokio::test]
async fn a_connection_is_reset_before_it_is_used_again() {
    let server = Scripted::start(V5_4, Arc::new(|tag, _| agreeable(tag))).await;
    let client = client(&server);
    one(&client).await.unwrap();
    one(&client).await.unwrap();
    assert_eq!(server.opened(), 1);
    let once = [BEGIN, RUN, PULL, ROLLBACK];
    assert_eq!(server.tags(), [&[HELLO, LOGON], &once[..], &[RESET], &once[..]].concat());
}

#[tokio::test]
async fn bolt_4_is_greeted_with_the_password_and_asked_for_utc() {
    let server = Scripted::start(V4_4, Arc::new(|tag, _| agreeable(tag))).await;
    let client = client(&server);
    one(&client).await.unwrap();
    let met = client.server(&Options::read()).await.unwrap();
    assert_eq!((met.version, met.agent.as_str()), (Version { major: 4, minor: 4 }, "Scripted/1"));
    let hello = String::from_utf8_lossy(&server.message(HELLO)).into_owned();
    assert!(hello.contains("credentials") && hello.contains("patch_bolt"), "{hello:?}");
    assert!(!server.tags().contains(&LOGON));
}

#[tokio::test]
async fn a_query_that_is_dropped_closes_its_connection() {
    let silent = Arc::new(AtomicBool::new(true));
    let script = Arc::clone(&silent);
    let server = Scripted::start(
        V5_4,
        Arc::new(move |tag, _| if tag == PULL && script.load(Ordering::SeqCst) { None } else { agreeable(tag) }),
    )
    .await;
    let client = client(&server);
    tokio::select! {
        done = one(&client) => panic!("the script never answers: {done:?}"),
        () = server.asked(PULL) => {}
    }
    server.closed(1).await;
    silent.store(false, Ordering::SeqCst);
    one(&client).await.unwrap();
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_closes_its_connection() {
    let server = Scripted::start(V5_4, Arc::new(|tag, _| agreeable(tag))).await;
    let client = client(&server);
    drop(client.begin(&Options::default()).await.unwrap());
    server.closed(1).await;
    one(&client).await.unwrap();
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn no_more_connections_than_allowed_are_made() {
    let server = Scripted::start(V5_4, Arc::new(|tag, _| agreeable(tag))).await;
    let mut config = config(&server);
    config.pool.connections = 2;
    config.pool.wait = Duration::from_millis(50);
    let client = Client::new(config).unwrap();
    let first = client.begin(&Options::read()).await.unwrap();
    let _second = client.begin(&Options::read()).await.unwrap();
    let refused = client.begin(&Options::read()).await.unwrap_err();
    assert!(matches!(refused, BoltError::Busy(_)), "{refused}");
    first.rollback().await.unwrap();
    client.begin(&Options::read()).await.unwrap();
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_connection_that_was_idle_too_long_is_not_used_again() {
    let server = Scripted::start(V5_4, Arc::new(|tag, _| agreeable(tag))).await;
    let mut config = config(&server);
    config.pool.idle = Duration::ZERO;
    let client = Client::new(config).unwrap();
    one(&client).await.unwrap();
    one(&client).await.unwrap();
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_server_that_was_started_anew_is_connected_to_anew() {
    // A port that nobody else is given while nobody listens there.
    let free = ("127.0.0.1", weft_testkit::free_port());
    let listener = tokio::net::TcpListener::bind(free).await.unwrap();
    let server = Scripted::on(listener, V5_4, Arc::new(|tag, _| agreeable(tag)));
    let (client, address) = (client(&server), server.address);
    one(&client).await.unwrap();
    drop(server);
    let away = one(&client).await.unwrap_err();
    assert!(away.is_away(), "{away}");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let _server = Scripted::on(listener, V5_4, Arc::new(|tag, _| agreeable(tag)));
    one(&client).await.unwrap();
}

#[tokio::test]
async fn a_failure_is_told_and_the_connection_put_in_order() {
    let failing = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&failing);
    let script = move |tag: u8, message: &[u8]| {
        if tag == RUN {
            flag.store(message.windows(3).any(|word| word == b"BAD"), Ordering::SeqCst);
        }
        match tag {
            RUN if flag.load(Ordering::SeqCst) => Some(failure("Neo.ClientError.Statement.SyntaxError")),
            PULL if flag.load(Ordering::SeqCst) => Some(ignored()),
            _ => agreeable(tag),
        }
    };
    let server = Scripted::start(V5_4, Arc::new(script)).await;
    let client = client(&server);
    let mut transaction = client.begin(&Options::read()).await.unwrap();
    let error = transaction.run("BAD", &Map::new()).await.unwrap_err();
    assert_eq!(error.failure().unwrap().code, "Neo.ClientError.Statement.SyntaxError");
    let ended = transaction.run("RETURN 1 AS one", &Map::new()).await.unwrap_err();
    assert!(ended.to_string().contains("not as it should be"), "{ended}");
    drop(transaction);
    one(&client).await.unwrap();
    assert_eq!(server.opened(), 1, "the connection was kept");
}

#[tokio::test]
async fn a_wrong_password_is_the_servers_failure() {
    let refusing = |tag, _: &[u8]| match tag {
        LOGON => Some(failure("Neo.ClientError.Security.Unauthorized")),
        _ => agreeable(tag),
    };
    let server = Scripted::start(V5_4, Arc::new(refusing)).await;
    let error = one(&client(&server)).await.unwrap_err();
    assert_eq!(error.failure().unwrap().code, "Neo.ClientError.Security.Unauthorized");
    server.closed(1).await;
}

#[tokio::test]
async fn what_is_no_bolt_server_is_told_apart() {
    let server = Scripted::start(*b"HTTP", Arc::new(|tag, _| agreeable(tag))).await;
    assert!(matches!(one(&client(&server)).await, Err(BoltError::Version { .. })));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::new(format!("bolt://{}", listener.local_addr().unwrap()));
    config.patience = Duration::from_millis(100);
    let silent = one(&Client::new(config).unwrap()).await.unwrap_err();
    assert!(matches!(silent, BoltError::Connect { .. }), "{silent}");
}

#[tokio::test]
async fn a_server_without_tls_gets_no_password_where_tls_is_wanted() {
    let server = Scripted::start(V5_4, Arc::new(|tag, _| agreeable(tag))).await;
    let mut config = Config::new(format!("bolt+s://{}", server.address)).user("reader", "secret");
    config.patience = PATIENCE;
    let refused = one(&Client::new(config).unwrap()).await.unwrap_err();
    assert!(matches!(refused, BoltError::Tls { .. } | BoltError::Connect { .. }), "{refused}");
    // All that was sent is seen at the end. Random bytes of the TLS greeting may look like a message, but not like the password.
    server.closed(1).await;
    assert!(!server.heard(b"secret") && server.opened() == 1, "nobody tried again without TLS");
}

#[tokio::test]
async fn a_server_that_sends_too_much_or_something_else_is_left() {
    let answers = [
        record(vec!["x".repeat(5000).into()]),
        success(Map::new())[..4].iter().copied().chain([0xFF; 40]).collect(),
        [record(vec![1.into(), 2.into()]), success(Map::new())].concat(),
    ];
    for answer in answers {
        let server = Scripted::start(
            V5_4,
            Arc::new(move |tag, _| if tag == PULL { Some(answer.clone()) } else { agreeable(tag) }),
        )
        .await;
        let mut config = config(&server);
        config.limits.bytes = 4096;
        let error = one(&Client::new(config).unwrap()).await.unwrap_err();
        assert!(matches!(error, BoltError::Malformed(_)), "{error}");
        server.closed(1).await;
    }
}

#[tokio::test]
async fn what_is_too_large_to_send_is_refused_and_the_connection_kept() {
    let server = Scripted::start(V5_4, Arc::new(|tag, _| agreeable(tag))).await;
    let mut config = config(&server);
    config.limits.bytes = 4096;
    let client = Client::new(config).unwrap();
    let mut transaction = client.begin(&Options::read()).await.unwrap();
    let large = map([("text", "x".repeat(5000).into())]);
    let error = transaction.run("RETURN $text", &large).await.unwrap_err();
    assert!(matches!(error, BoltError::Malformed(Malformed::Large(4096))), "{error}");
    transaction.run("RETURN 1 AS one", &Map::new()).await.unwrap().finish().await.unwrap();
    transaction.rollback().await.unwrap();
}
