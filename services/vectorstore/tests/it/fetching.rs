//! Pages of the web, from a real server of the test; and what must not be reached through it.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use weft_vectorstore::{FetchSettings, Settings};

use crate::{
    bench::{Bench, refused},
    papers::{self, patient_pdf},
};

type Asked = Arc<AtomicUsize>;

fn typed(kind: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// Parts that come one after the other, with a pause before each.
fn dripping(pause: Duration, part: &'static [u8]) -> Response {
    let parts = stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(part)), ()))
    });
    typed("text/plain", Body::from_stream(parts))
}

fn pages(own: SocketAddr, victim: u16) -> Router<Asked> {
    let leads = move |to: String| get(move || async move { Redirect::temporary(&to) });
    Router::new()
        .route(
            "/page",
            get(|| async {
                typed("text/html", "<title>Looms</title><p>The weft crosses the warp.</p><script>no</script>")
            }),
        )
        .route("/guide.md", get(|| async { typed("text/plain; charset=utf-8", "# Guide\n\nHow to wind a bobbin.") }))
        .route("/paper.pdf", get(|| async { typed("application/pdf", papers::pdf(&["shuttle", "selvedge"])) }))
        .route("/latin", get(|| async { typed("text/html; charset=iso-8859-1", b"<p>gr\xfcn gef\xe4rbt".to_vec()) }))
        .route("/moved", leads("/page".to_owned()))
        .route("/to-metadata", leads("http://169.254.169.254/latest/meta-data/".to_owned()))
        .route("/to-six", leads(format!("http://[::1]:{victim}/page")))
        .route("/to-name", leads(format!("http://localhost:{victim}/page")))
        .route("/to-other", leads("http://other.example/".to_owned()))
        .route("/to-file", leads("file:///etc/passwd".to_owned()))
        .route("/to-user", leads(format!("http://user:word@{own}/page")))
        .route("/around", leads("/around".to_owned()))
        .route("/endless", get(|| async { dripping(Duration::ZERO, &[b'a'; 8 << 10]) }))
        .route("/long", get(|| async { typed("text/plain", vec![b'a'; 300 << 10]) }))
        .route("/slow", get(|| async { dripping(Duration::from_millis(200), b"a") }))
        .route("/silent", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }))
        .route(
            "/packed",
            get(|headers: HeaderMap| async move {
                assert_eq!(headers[header::ACCEPT_ENCODING], "identity");
                ([(header::CONTENT_TYPE, "text/html"), (header::CONTENT_ENCODING, "gzip")], vec![0x1f, 0x8b, 8, 0])
                    .into_response()
            }),
        )
        .route("/picture", get(|| async { typed("image/png", "png") }))
        .route("/binary.txt", get(|| async { typed("text/plain", vec![0, 1, 2]) }))
        .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }))
}

/// A server, and a vector store that may read from it by its own address, which is not that of `localhost`.
struct Web {
    at: SocketAddr,
    asked: Asked,
    /// Of this machine, at an address that is not allowed.
    victim: TcpListener,
    bench: Bench,
}

impl Web {
    async fn open(change: impl FnOnce(&mut FetchSettings)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
        let (at, asked) = (listener.local_addr().unwrap(), Asked::default());
        let count = |State(asked): State<Asked>, request: axum::extract::Request, next: axum::middleware::Next| async move {
            asked.fetch_add(1, Ordering::SeqCst);
            next.run(request).await
        };
        let victim = TcpListener::bind("127.0.0.1:0").unwrap();
        victim.set_nonblocking(true).unwrap();
        let port = victim.local_addr().unwrap().port();
        let app = pages(at, port).layer(axum::middleware::from_fn_with_state(Arc::clone(&asked), count));
        let app = app.with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut fetch = FetchSettings {
            hosts: vec![
                at.to_string(),
                "169.254.169.254".to_owned(),
                format!("[::1]:{port}"),
                format!("localhost:{port}"),
                format!("127.0.0.1:{port}"),
            ],
            private: vec!["127.0.0.2/32".to_owned(), "169.254.0.0/16".to_owned()],
            max_bytes: 256 << 10,
            ..FetchSettings::default()
        };
        change(&mut fetch);
        let pdf = patient_pdf();
        let bench = Bench::with(|_| Settings { fetch, pdf, ..Settings::default() });
        bench.ok("create_collection", json!({ "name": "t" })).await;
        Self { at, asked, victim, bench }
    }

    fn args(&self, path: &str) -> Value {
        json!({ "collection": "t", "url": format!("http://{}{path}", self.at) })
    }

    async fn refuses(&self, path: &str, code: &str, why: &str) {
        let called = self.bench.call("ingest_url", self.args(path)).await;
        refused(&called, code);
        assert!(called.text.contains(why), "{path}: {}", called.text);
    }

    async fn hit(&self, text: &str) -> Value {
        let found = self.bench.ok("search", json!({ "collection": "t", "text": text, "limit": 1 })).await;
        found["hits"][0].clone()
    }
}

#[tokio::test]
async fn a_page_is_found_with_its_address_title_and_page() {
    let web = Web::open(|_| ()).await;
    for path in ["/page", "/guide.md", "/paper.pdf", "/latin"] {
        web.bench.ok("ingest_url", web.args(path)).await;
    }
    let hit = web.hit("weft warp").await;
    assert_eq!(hit["metadata"]["source"], format!("http://{}/page", web.at));
    assert_eq!((&hit["metadata"]["title"], &hit["text"]), (&json!("Looms"), &json!("The weft crosses the warp.")));
    assert_eq!(web.hit("bobbin").await["metadata"]["title"], "Guide");
    assert_eq!(web.hit("grün gefärbt").await["text"], "grün gefärbt");
    let hit = web.hit("selvedge").await;
    assert_eq!((&hit["metadata"]["title"], &hit["metadata"]["chunk"]), (&json!("The loom"), &json!(0)));
    let again = web.bench.ok("ingest_url", web.args("/page")).await;
    assert_eq!((&again["unchanged"], &again["chunks"]), (&json!(true), &json!(1)));
    let moved = web.bench.ok("ingest_url", web.args("/moved#part")).await;
    assert_eq!(moved["source"], format!("http://{}/moved", web.at));
}

#[tokio::test]
async fn no_redirect_leads_where_an_address_may_not_point() {
    let web = Web::open(|_| ()).await;
    web.refuses("/to-metadata", "refused", "may not be reached").await;
    web.refuses("/to-six", "refused", "may not be reached").await;
    web.refuses("/to-other", "refused", "no host that may be read").await;
    web.refuses("/to-file", "refused", "file: is not read").await;
    web.refuses("/to-user", "refused", "name or a password").await;
    assert_eq!(web.asked.load(Ordering::SeqCst), 5, "none of them was followed");
    web.refuses("/around", "refused", "more than 5 times").await;
    assert_eq!(web.asked.load(Ordering::SeqCst), 11);
}

#[tokio::test]
async fn a_name_that_means_this_machine_is_refused_in_an_address_and_in_a_redirect() {
    let web = Web::open(|_| ()).await;
    web.refuses("/to-name", "refused", "may not be reached").await;
    let port = web.victim.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1"] {
        let named = json!({ "collection": "t", "url": format!("http://{host}:{port}/") });
        refused(&web.bench.call("ingest_url", named).await, "refused");
    }
    let reached = web.victim.accept().map(drop).unwrap_err().kind();
    assert_eq!(reached, std::io::ErrorKind::WouldBlock, "nobody connected");
    // An allowed host is not allowed on every port.
    for port in [1, 22, 6379] {
        let other = json!({ "collection": "t", "url": format!("http://{}:{port}/", web.at.ip()) });
        refused(&web.bench.call("ingest_url", other).await, "refused");
    }
}

#[tokio::test]
async fn a_host_is_reached_by_its_name_at_the_address_that_was_checked() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new()
        .route("/page", get(|headers: HeaderMap| async move { headers["host"].to_str().unwrap().to_owned() }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let web = Web::open(|fetch| {
        fetch.hosts = vec![format!("localhost:{port}")];
        fetch.private = vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()];
    });
    let web = web.await;
    web.bench.ok("ingest_url", json!({ "collection": "t", "url": format!("http://LocalHost:{port}/page") })).await;
    assert_eq!(web.hit("localhost").await["text"], format!("localhost:{port}"));
}

#[tokio::test]
async fn every_way_to_write_an_address_of_this_machine_is_refused() {
    let web = Web::open(|fetch| fetch.hosts = vec!["*".to_owned()]).await;
    for host in [
        "127.0.0.1",
        "127.1.1.1",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "127.0.0.1.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "100.100.100.200",
        "192.168.0.1",
        "10.0.0.1",
        "localhost",
    ] {
        let called = web.bench.call("ingest_url", json!({ "collection": "t", "url": format!("http://{host}/") })).await;
        assert!(
            called.is_error && called.text.contains("may not be reached") || host == "localhost",
            "{host}: {}",
            called.text
        );
    }
    for url in [
        "file:///etc/passwd",
        "gopher://x/",
        "data:text/plain,x",
        "javascript:1",
        "http://u@example.org/",
        "",
        "x",
        "http://",
    ] {
        let called = web.bench.call("ingest_url", json!({ "collection": "t", "url": url })).await;
        assert!(["refused", "invalid_arguments"].contains(&called.code()), "{url}: {}", called.text);
    }
    assert_eq!(web.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_too_large_too_slow_or_no_text_is_not_read() {
    let web = Web::open(|fetch| fetch.seconds = 100).await;
    web.refuses("/endless", "too_large", "more than 262144 bytes").await;
    web.refuses("/long", "too_large", "more than 262144 bytes").await;
    web.refuses("/packed", "refused", "packed").await;
    web.refuses("/picture", "refused", "image/png").await;
    web.refuses("/binary.txt", "invalid_arguments", "no text").await;
    web.refuses("/absent", "not_found", "404").await;
    web.refuses("/broken", "unavailable", "502").await;
    let hasty = Web::open(|fetch| fetch.seconds = 1).await;
    for path in ["/slow", "/silent"] {
        let start = Instant::now();
        hasty.refuses(path, "unavailable", "within 1 seconds").await;
        // One goes on for ever, the other is silent for a minute.
        assert!(start.elapsed() < Duration::from_secs(50), "{path}");
    }
    for web in [&web, &hasty] {
        assert_eq!(web.bench.ok("count", json!({ "collection": "t" })).await["count"], 0);
    }
}

#[tokio::test]
async fn a_cancelled_call_stops_reading() {
    // Nothing else ends it.
    let web = Web::open(|fetch| fetch.seconds = 3_600).await;
    let token = CancellationToken::new();
    let direct = web.bench.direct().until(token.clone());
    let cancel = async {
        while web.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        token.cancel();
    };
    let (called, ()) = tokio::join!(direct.call("ingest_url", web.args("/slow")), cancel);
    refused(&called, "cancelled");
}

#[test]
fn wrong_settings_are_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = |fetch: FetchSettings| {
        let settings = Settings { fetch, ..Settings::default() };
        weft_vectorstore::service(settings, folder.path()).err().unwrap().to_string()
    };
    let hosts = |host: &str| vec![host.to_owned()];
    assert!(start(FetchSettings { hosts: hosts("http://x"), ..FetchSettings::default() }).contains("fetch.hosts"));
    let private = FetchSettings { hosts: hosts("x"), private: hosts("10.0.0.0/99"), ..FetchSettings::default() };
    assert!(start(private).contains("fetch.private"));
    let authorities = Some(folder.path().join("absent"));
    let absent = FetchSettings { hosts: hosts("x"), authorities, ..FetchSettings::default() };
    assert!(start(absent).contains("fetch.authorities"));
}
