//! A provider without a model: speaks the wire format of one of the two APIs, says what a test wants, well or badly, and remembers
//! what it was asked.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, StatusCode, Uri},
    response::Response,
};
use futures_util::stream;
use serde_json::{Value, json};
use weft_aiml::{Kind, ProviderSettings, Settings, service};
use weft_kit::{Called, Confirm, Direct, Rules};

/// How a fake answers one request for words.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// With this text, word by word.
    Says(String),
    /// The same, with a pause before each word.
    Slowly(String, Duration),
    /// With a call of a tool, its arguments in two parts where the format has parts.
    Calls(&'static str, Value),
    /// With this text, and then the connection ends without an end of the answer.
    Cut(String),
    /// With so many thoughts, and then as `Cut`.
    Thinks(usize),
    /// With this text, and then the connection breaks.
    Aborts(String),
    /// With what is no JSON.
    Garbage,
    /// With an error in the middle.
    Breaks(String),
    /// With a status and a body.
    Status(u16, String),
    /// With a redirect to this address.
    Elsewhere(String),
    /// Not at all.
    Never,
}

pub(crate) fn says(text: &str) -> Way {
    Way::Says(text.to_owned())
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<(String, Value)>,
    script: VecDeque<Way>,
}

/// A running fake.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    /// Answers that are being given, and the most at once.
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
    /// Answers whose reader left before their end.
    pub(crate) left: Arc<AtomicUsize>,
    models: Arc<Mutex<Vec<Value>>>,
}

impl Fake {
    pub(crate) async fn start(kind: Kind) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let url = if kind == Kind::Ollama { root } else { format!("{root}/v1") };
        let fake = Self {
            kind,
            url,
            seen: Arc::default(),
            open: Arc::default(),
            most: Arc::default(),
            left: Arc::default(),
            models: Arc::new(Mutex::new(vec![model("talker"), model("embedder"), model("reranker")])),
        };
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    /// Answers the next requests in these ways; afterwards it says "ok".
    pub(crate) fn will(&self, ways: impl IntoIterator<Item = Way>) -> &Self {
        self.seen.lock().unwrap().script.extend(ways);
        self
    }

    /// Bodies of the requests to a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.requests.iter().filter(|(own, _)| own.ends_with(path)).map(|(_, body)| body.clone()).collect()
    }

    /// Bodies of the requests for words.
    pub(crate) fn chats(&self) -> Vec<Value> {
        self.asked(if self.kind == Kind::Ollama { "/api/chat" } else { "/chat/completions" })
    }

    /// Bodies of the requests for vectors.
    pub(crate) fn embeds(&self) -> Vec<Value> {
        self.asked(if self.kind == Kind::Ollama { "/api/embed" } else { "/embeddings" })
    }

    pub(crate) fn settings(&self, name: &str) -> ProviderSettings {
        ProviderSettings { idle_s: 60, first_s: 60, ..ProviderSettings::new(name, self.kind, &self.url) }
    }

    fn next(&self) -> Way {
        self.seen.lock().unwrap().script.pop_front().unwrap_or_else(|| says("ok"))
    }

    fn is_ollama(&self) -> bool {
        self.kind == Kind::Ollama
    }
}

fn model(name: &str) -> Value {
    json!({"name": name, "digest": format!("sha256:{name}"), "size": 1_000, "details": {"family": "fake", "parameter_size": "1B", "quantization_level": "Q4"}})
}

async fn answer(State(fake): State<Fake>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = uri.path().to_owned();
    fake.seen.lock().unwrap().requests.push((path.clone(), body.clone()));
    match path.trim_start_matches("/v1").trim_start_matches("/api") {
        "/chat" | "/chat/completions" => chat(&fake).await,
        "/embed" | "/embeddings" => embed(&fake, &body),
        "/rerank" => rerank(&body),
        "/tokenize" => reply(&json!({"tokens": body["content"].as_str().unwrap().split(' ').collect::<Vec<_>>()})),
        "/tags" => reply(&json!({"models": *fake.models.lock().unwrap()})),
        "/ps" => reply(
            &json!({"models": [{"name": "talker", "size": 10, "size_vram": 4, "expires_at": "2026-11-21T12:00:00Z"}]}),
        ),
        "/models" => {
            let entry = |model: &Value| json!({"id": model["name"], "object": "model", "meta": {"n_ctx_train": 2048, "n_embd": 3}});
            reply(&json!({"object": "list", "data": fake.models.lock().unwrap().iter().map(entry).collect::<Vec<_>>()}))
        }
        "/show" => {
            let can = if body["model"] == "embedder" { "embedding" } else { "completion" };
            reply(
                &json!({"capabilities": [can], "model_info": {"fake.context_length": 2048, "fake.embedding_length": 3}}),
            )
        }
        "/pull" => pull(&fake, &body),
        "/copy" | "/generate" => Response::new(Body::empty()),
        "/delete" if method == Method::DELETE => {
            fake.models.lock().unwrap().retain(|model| model["name"] != body["model"]);
            Response::new(Body::empty())
        }
        _ => status(404, "{\"error\": \"no such path\"}"),
    }
}

fn reply(body: &Value) -> Response {
    Response::new(Body::from(body.to_string()))
}

fn status(code: u16, body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    if code == 429 {
        response.headers_mut().insert("retry-after", "7".parse().unwrap());
    }
    response
}

/// Vectors of three numbers. A text with "poison" in it is refused with everything beside it.
fn embed(fake: &Fake, body: &Value) -> Response {
    if let Some(Way::Status(code, words)) = fake.seen.lock().unwrap().script.pop_front() {
        return status(code, &words);
    }
    let texts: Vec<&str> = body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    if texts.iter().any(|text| text.contains("poison")) {
        return status(400, "{\"error\": {\"message\": \"the input is too long\"}}");
    }
    #[expect(clippy::cast_precision_loss, reason = "short texts")]
    let vector = |text: &&str| json!([text.len() as f64, 1.0, if text.contains("cat") { 9.0 } else { 0.0 }]);
    let vectors: Vec<Value> = texts.iter().map(vector).collect();
    if fake.is_ollama() {
        return reply(&json!({"embeddings": vectors, "prompt_eval_count": texts.len()}));
    }
    // Out of order, as the format allows.
    let data: Vec<Value> =
        vectors.iter().enumerate().rev().map(|(index, vector)| json!({"index": index, "embedding": vector})).collect();
    reply(
        &json!({"object": "list", "data": data, "usage": {"prompt_tokens": texts.len(), "total_tokens": texts.len()}}),
    )
}

/// The longer, the better.
fn rerank(body: &Value) -> Response {
    let documents = body["documents"].as_array().unwrap();
    let result = |(index, document): (usize, &Value)| json!({"index": index, "relevance_score": document.as_str().unwrap().len()});
    reply(&json!({"results": documents.iter().enumerate().map(result).collect::<Vec<_>>()}))
}

/// A model of two parts, whose digest is that of its name; "large" says how large it is and then takes its time.
fn pull(fake: &Fake, body: &Value) -> Response {
    let name = body["model"].as_str().unwrap_or_default();
    let part = |digest: &str, total: u64, done: u64| json!({"status": format!("pulling {digest}"), "digest": digest, "total": total, "completed": done});
    let mut steps = vec![json!({"status": "pulling manifest"})];
    match fake.next() {
        Way::Breaks(words) => steps.push(json!({ "error": words })),
        _ => {
            steps.extend([
                part("sha256:a", 10, 5),
                part("sha256:b", 20, 0),
                part("sha256:a", 10, 10),
                part("sha256:b", 20, 20),
            ]);
            if name != "large" {
                steps.push(json!({"status": "success"}));
                let mut own = model(name);
                own["digest"] = json!(digest(name));
                let mut models = fake.models.lock().unwrap();
                models.retain(|model| model["name"] != name);
                models.push(own);
            }
        }
    }
    let lines = steps.iter().map(|step| format!("{step}\n")).collect::<String>();
    if name != "large" {
        return Response::new(Body::from(lines));
    }
    let guard = Open { fake: fake.clone(), whole: false };
    fake.open.fetch_add(1, Ordering::SeqCst);
    let stream = stream::unfold((Some(lines), guard), |(lines, guard)| async move {
        match lines {
            Some(lines) => Some((Ok::<_, std::io::Error>(Bytes::from(lines)), (None, guard))),
            None => std::future::pending().await,
        }
    });
    Response::new(Body::from_stream(stream))
}

/// The digest of a model that was pulled: 64 digits.
pub(crate) fn digest(name: &str) -> String {
    name.bytes().chain(std::iter::repeat(0)).take(32).map(|byte| format!("{byte:02x}")).collect()
}

/// Counts an answer as long as it is being given.
struct Open {
    fake: Fake,
    whole: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.fake.open.fetch_sub(1, Ordering::SeqCst);
        if !self.whole {
            self.fake.left.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn chat(fake: &Fake) -> Response {
    let open = fake.open.fetch_add(1, Ordering::SeqCst) + 1;
    fake.most.fetch_max(open, Ordering::SeqCst);
    let mut guard = Open { fake: fake.clone(), whole: true };
    let mut aborts = false;
    let (pieces, pause): (Vec<String>, Duration) = match fake.next() {
        Way::Says(text) => (whole(fake, &text), Duration::ZERO),
        Way::Slowly(text, pause) => (whole(fake, &text), pause),
        Way::Calls(name, arguments) => (calls(fake, name, &arguments), Duration::ZERO),
        Way::Cut(text) => (words(fake, &text), Duration::ZERO),
        Way::Thinks(thoughts) => (vec![thought(fake); thoughts], Duration::ZERO),
        Way::Aborts(text) => {
            aborts = true;
            (words(fake, &text), Duration::ZERO)
        }
        Way::Garbage => (vec!["data: <html>\n\n".to_owned(), "<html>\n".to_owned()], Duration::ZERO),
        Way::Breaks(error) => {
            let body = json!({ "error": error });
            let broken = if fake.is_ollama() { format!("{body}\n") } else { format!("data: {body}\n\n") };
            (words(fake, "one two").into_iter().chain([broken]).collect(), Duration::ZERO)
        }
        Way::Status(code, body) => return status(code, &body),
        Way::Elsewhere(to) => {
            let mut response = status(307, "");
            response.headers_mut().insert("location", to.parse().unwrap());
            return response;
        }
        Way::Never => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return status(500, "");
        }
    };
    guard.whole = false;
    let stream = stream::unfold((pieces.into_iter(), guard), move |(mut pieces, mut guard)| async move {
        let Some(piece) = pieces.next() else {
            let broken = aborts && !guard.whole;
            guard.whole = true;
            return broken.then(|| (Err(std::io::Error::other("broken")), (pieces, guard)));
        };
        tokio::time::sleep(pause).await;
        Some((Ok(Bytes::from(piece)), (pieces, guard)))
    });
    Response::new(Body::from_stream(stream))
}

/// The pieces of a text, one for each word.
fn words(fake: &Fake, text: &str) -> Vec<String> {
    let piece = |word: &str| {
        if fake.is_ollama() {
            format!(
                "{}\n",
                json!({"model": "talker", "message": {"role": "assistant", "content": word}, "done": false})
            )
        } else {
            event(&json!({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": null}]}))
        }
    };
    text.split_inclusive(' ').map(piece).collect()
}

fn thought(fake: &Fake) -> String {
    if fake.is_ollama() {
        return format!("{}\n", json!({"message": {"content": "", "thinking": "hm"}, "done": false}));
    }
    event(&json!({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}))
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn whole(fake: &Fake, text: &str) -> Vec<String> {
    let mut pieces = words(fake, text);
    let count = pieces.len();
    if fake.is_ollama() {
        let end = json!({"message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop", "prompt_eval_count": 11, "eval_count": count});
        pieces.push(format!("{end}\n"));
    } else {
        pieces.push(event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
        pieces.push(event(&json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": count}})));
        pieces.push("data: [DONE]\n\n".to_owned());
    }
    pieces
}

fn calls(fake: &Fake, name: &str, arguments: &Value) -> Vec<String> {
    if fake.is_ollama() {
        let call = json!({"function": {"name": name, "arguments": arguments}});
        let mut pieces =
            vec![format!("{}\n", json!({"message": {"content": "", "tool_calls": [call]}, "done": false}))];
        pieces.extend(whole(fake, "").pop());
        return pieces;
    }
    let text = arguments.to_string();
    let (one, other) = text.split_at(text.len() / 2);
    let part = |call: Value| event(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}));
    vec![
        part(json!({"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": one}})),
        part(json!({"index": 0, "function": {"arguments": other}})),
        event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})),
        "data: [DONE]\n\n".to_owned(),
    ]
}

/// A server of models over these providers.
pub(crate) fn desk(settings: Settings) -> Direct {
    let rules = Rules { confirm: Confirm::Ask, ..Rules::default() };
    Direct::new(service(settings, std::path::Path::new("state")).unwrap(), rules).unwrap()
}

/// A server over one fake, called `own`.
pub(crate) fn over(fake: &Fake) -> Direct {
    desk(Settings { providers: vec![fake.settings("own")], ..Settings::default() })
}

/// Both kinds, one after the other.
pub(crate) const KINDS: [Kind; 2] = [Kind::Ollama, Kind::Openai];

#[track_caller]
pub(crate) fn ok(called: Called) -> Value {
    assert!(!called.is_error, "{}", called.structured);
    called.data().clone()
}

#[track_caller]
pub(crate) fn refused(called: &Called, code: &str) -> String {
    assert!(called.is_error, "{}", called.structured);
    assert_eq!(called.code(), code, "{}", called.structured);
    called.structured.to_string()
}
