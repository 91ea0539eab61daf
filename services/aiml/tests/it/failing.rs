//! Providers that are slow, broken, busy, away or hostile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_aiml::{AliasSettings, Kind, ModelSettings, Settings};
use weft_kit::{Direct, Reference};

use crate::fake::{Fake, KINDS, Way, desk, ok, over, refused, says};

const KEY: &str = "sk-very-secret";
/// How long a model or provider is left alone at first.
const BLOCKED: Duration = Duration::from_secs(2);
/// How often it is tried to look at what is left alone before its time is over, which fails where a machine stands still meanwhile.
const TRIES: usize = 10;

fn asked() -> Value {
    json!({"model": "own/talker", "prompt": "?"})
}

#[tokio::test]
async fn every_way_to_fail_has_its_own_answer() {
    let body = |words: &str| json!({"error": {"message": words}}).to_string();
    for kind in KINDS {
        let cases = [
            (Way::Status(429, body("slow down")), "busy"),
            (Way::Status(503, body("loading")), "busy"),
            (Way::Status(500, body("oh no")), "unavailable"),
            (Way::Status(401, body("no")), "unavailable"),
            (Way::Status(404, body("no model")), "not_found"),
            (Way::Status(400, body("bad temperature")), "rejected"),
            (Way::Cut("one two".to_owned()), "unavailable"),
            (Way::Aborts("one two".to_owned()), "unavailable"),
            (Way::Garbage, "bad_answer"),
            (Way::Breaks("out of memory".to_owned()), "unavailable"),
        ];
        for (way, code) in cases {
            let fake = Fake::start(kind).await;
            fake.will([way.clone()]);
            let called = over(&fake).call("generate", asked()).await;
            let told = refused(&called, code);
            assert_eq!(told.contains("bad temperature"), code == "rejected", "{way:?} {told}");
            assert!(!told.contains("127.0.0.1") && !told.contains("oh no"), "{told}");
            assert_eq!(
                called.structured["error"]["retryable"],
                json!(!["not_found", "rejected"].contains(&code)),
                "{told}"
            );
            assert!(
                code != "busy" || !told.contains("429") && (told.contains("7 s") || told.contains("5 s")),
                "{told}"
            );
        }
    }
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_given_up_in_time() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        fake.will([Way::Never, Way::Slowly("one two".to_owned(), Duration::from_secs(600))]);
        let mut own = fake.settings("own");
        (own.first_s, own.idle_s) = (1, 1);
        let direct = desk(Settings { providers: vec![own], ..Settings::default() });
        for _ in 0..2 {
            let start = Instant::now();
            refused(&direct.call("generate", asked()).await, "unavailable");
            // A word comes after ten minutes, and the call itself may take two.
            assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        }
    }
}

#[tokio::test]
async fn a_key_is_sent_to_its_provider_and_told_to_nobody() {
    let fake = Fake::start(Kind::Openai).await;
    let echo = json!({"error": {"message": format!("Incorrect key {KEY}")}}).to_string();
    fake.will([Way::Status(401, echo.clone()), Way::Status(400, echo)]);
    let mut own = fake.settings("own");
    own.key = Some(Reference::Text(KEY.to_owned()));
    let direct = desk(Settings { providers: vec![own], ..Settings::default() });
    for code in ["unavailable", "rejected"] {
        let told = refused(&direct.call("generate", asked()).await, code);
        assert!(!told.contains(KEY), "{told}");
    }
}

/// F04: a redirect would carry the key and the prompt to wherever it likes.
#[tokio::test]
async fn redirects_are_not_followed() {
    let (fake, trap) = (Fake::start(Kind::Openai).await, Fake::start(Kind::Openai).await);
    fake.will([Way::Elsewhere(format!("{}/chat/completions", trap.url))]);
    refused(&over(&fake).call("generate", asked()).await, "unavailable");
    assert!(trap.chats().is_empty());
}

fn two(one: &Fake, other: &Fake) -> Direct {
    let models = ["one/talker", "other/talker"].map(str::to_owned).to_vec();
    let aliases = vec![AliasSettings { name: "best".to_owned(), models }];
    desk(Settings { providers: vec![one.settings("one"), other.settings("other")], aliases, ..Settings::default() })
}

#[tokio::test]
async fn an_alias_falls_back_and_tells_what_was_passed_over() {
    let (one, other) = (Fake::start(Kind::Ollama).await, Fake::start(Kind::Openai).await);
    one.will([Way::Status(500, String::new())]);
    other.will([says("from the other")]);
    let data = ok(two(&one, &other).call("generate", json!({"model": "best", "prompt": "?"})).await);
    assert_eq!((&data["text"], &data["by"]["model"]), (&json!("from the other"), &json!("other/talker")));
    assert_eq!(data["by"]["passed"], json!(["one/talker: away"]));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_tried_elsewhere_and_a_named_model_has_no_fallback() {
    let (one, other) = (Fake::start(Kind::Ollama).await, Fake::start(Kind::Openai).await);
    one.will([Way::Status(400, "{\"error\": \"wrong\"}".to_owned()), Way::Status(500, String::new())]);
    let direct = two(&one, &other);
    refused(&direct.call("generate", json!({"model": "best", "prompt": "?"})).await, "rejected");
    refused(&direct.call("generate", json!({"model": "one/talker", "prompt": "?"})).await, "unavailable");
    assert!(other.chats().is_empty());
}

#[tokio::test]
async fn after_failures_in_a_row_a_model_is_left_alone_and_tried_again_later_and_others_are_asked() {
    let mut tries = 0..TRIES;
    while !leaves_a_model_alone().await {
        assert!(tries.next().is_some(), "the machine stands still each time");
    }
}

/// False if the time of the block was over before everything was looked at.
async fn leaves_a_model_alone() -> bool {
    let fake = Fake::start(Kind::Ollama).await;
    let oom = Way::Status(500, "{\"error\": \"model requires more system memory\"}".to_owned());
    fake.will(std::iter::repeat_n(oom, 3));
    let direct = over(&fake);
    let mut last = Instant::now();
    for _ in 0..3 {
        last = Instant::now();
        refused(&direct.call("generate", asked()).await, "unavailable");
    }
    let again = direct.call("generate", asked()).await;
    let chats = fake.chats().len();
    let other = direct.call("generate", json!({"model": "own/reranker", "prompt": "?"})).await;
    let listed = ok(direct.call("list_models", json!({})).await);
    let admitted = async |model| ok(direct.call("model_info", json!({"model": model})).await)[0]["admitted"].clone();
    let admitted = (admitted("own/talker").await, admitted("own/reranker").await);
    if last.elapsed() >= BLOCKED {
        return false;
    }
    let told = refused(&again, "unavailable");
    assert!(told.contains("blocked"), "{told}");
    assert_eq!(chats, 3, "a blocked model was asked");
    ok(other);
    assert_eq!(listed["providers"][0]["state"], "ok");
    assert_eq!(admitted, (json!(false), json!(true)));
    tokio::time::sleep(BLOCKED + Duration::from_millis(100)).await;
    ok(direct.call("generate", asked()).await);
    true
}

#[tokio::test]
async fn a_provider_that_is_not_reached_is_left_alone_with_all_its_models() {
    for kind in KINDS {
        let mut tries = 0..TRIES;
        while !leaves_a_provider_alone(kind).await {
            assert!(tries.next().is_some(), "the machine stands still each time");
        }
    }
}

/// False if the time of the block was over before another of its models was asked for.
async fn leaves_a_provider_alone(kind: Kind) -> bool {
    let mut dead = weft_aiml::ProviderSettings::new("dead", kind, "http://127.0.0.1:1");
    let model = |id: &str| ModelSettings { id: id.to_owned(), ..ModelSettings::default() };
    dead.models = vec![model("one"), model("other")];
    let direct = desk(Settings { providers: vec![dead], ..Settings::default() });
    let mut last = Instant::now();
    for _ in 0..3 {
        last = Instant::now();
        let told = refused(&direct.call("generate", json!({"model": "dead/one", "prompt": "?"})).await, "unavailable");
        assert!(!told.contains("blocked"), "{told}");
    }
    let other = direct.call("generate", json!({"model": "dead/other", "prompt": "?"})).await;
    if last.elapsed() >= BLOCKED {
        return false;
    }
    let told = refused(&other, "unavailable");
    assert!(told.contains("blocked"), "{told}");
    true
}

#[tokio::test]
async fn a_provider_that_is_away_from_the_start_is_listed_as_such_and_hides_nothing_else() {
    let fake = Fake::start(Kind::Ollama).await;
    let mut away = fake.settings("away");
    away.url = "http://127.0.0.1:1".to_owned();
    let direct = desk(Settings { providers: vec![away, fake.settings("own")], ..Settings::default() });
    let listed = ok(direct.call("list_models", json!({})).await);
    assert_eq!(listed["providers"][0]["state"], "away");
    assert_eq!(listed["models"][0]["name"], "own/talker");
    assert_eq!(ok(direct.call("generate", json!({"prompt": "?"})).await)["by"]["model"], "own/talker");
    refused(&direct.call("generate", json!({"model": "away/talker", "prompt": "?"})).await, "unavailable");
}

#[test]
fn settings_that_cannot_work_are_refused_with_what_to_do() {
    let of = |url: &str| weft_aiml::ProviderSettings::new("own", Kind::Openai, url);
    let twice = Settings { providers: vec![of("http://a"), of("http://b")], ..Settings::default() };
    let mut glob = of("http://a");
    glob.allow = vec!["[".to_owned()];
    let alias = AliasSettings { name: "x".to_owned(), models: vec!["nobody/talker".to_owned()] };
    let cases = [
        (Settings { providers: vec![of("file:///etc/passwd")], ..Settings::default() }, "http://"),
        (Settings { providers: vec![of("http://user:pass@host")], ..Settings::default() }, "key ="),
        (Settings { providers: vec![of("host:1")], ..Settings::default() }, "http://"),
        (twice, "two providers"),
        (Settings { providers: vec![glob], ..Settings::default() }, "allow"),
        (Settings { aliases: vec![alias], ..Settings::default() }, "nobody/talker"),
        (
            Settings {
                providers: vec![weft_aiml::ProviderSettings::new("builtin", Kind::Ollama, "http://a")],
                ..Settings::default()
            },
            "builtin",
        ),
        (Settings { admin: true, ..Settings::default() }, "admin_roles"),
        (Settings { admin: true, admin_roles: vec![" ".to_owned()], ..Settings::default() }, "admin_roles"),
    ];
    for (settings, words) in cases {
        let error = weft_aiml::service(settings, std::path::Path::new("state")).err().unwrap();
        assert!(format!("{error:#}").contains(words), "{error:#}");
        assert!(!format!("{error:#}").contains("pass@"), "{error:#}");
    }
}
