//! Ordinary talk with both kinds of providers.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use weft_aiml::{AliasSettings, Defaults, Kind, ModelSettings, Settings, Structure};

use crate::fake::{Fake, KINDS, Way, desk, ok, over, refused, says};

/// A picture of one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[tokio::test]
async fn an_answer_carries_its_text_model_usage_and_reason_to_stop() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        fake.will([says("the sky is blue")]);
        let messages = json!([{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}]);
        let data = ok(over(&fake)
            .call(
                "chat",
                json!({"model": "own/talker", "messages": messages, "max_tokens": 9, "seed": 4, "stop": ["END"]}),
            )
            .await);
        assert_eq!((&data["text"], &data["finish"]), (&json!("the sky is blue"), &json!("stop")));
        assert_eq!(data["by"]["model"], "own/talker");
        assert_eq!(data["by"]["usage"], json!({"prompt_tokens": 11, "completion_tokens": 4, "estimated": false}));
        assert_eq!(data["by"]["digest"].as_str(), (kind == Kind::Ollama).then_some("sha256:talker"));
        let sent = &fake.chats()[0];
        assert_eq!(sent["messages"][0]["content"], "Be short.");
        let options = if kind == Kind::Ollama { &sent["options"] } else { sent };
        assert_eq!((&options["seed"], &options["stop"]), (&json!(4), &json!(["END"])));
        assert_eq!(options[if kind == Kind::Ollama { "num_predict" } else { "max_tokens" }], 9);
    }
}

#[tokio::test]
async fn calls_of_tools_are_handed_to_the_caller_whole() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        fake.will([Way::Calls("weather", json!({"city": "Köln", "days": 2}))]);
        let tool = json!({"name": "weather", "parameters": {"type": "object"}});
        let data = ok(over(&fake)
            .call(
                "chat",
                json!({"model": "own/talker", "messages": [{"role": "user", "content": "?"}], "tools": [tool]}),
            )
            .await);
        assert_eq!(data["finish"], "tool_calls");
        assert_eq!(data["tool_calls"][0]["arguments"], json!({"city": "Köln", "days": 2}));
        assert_eq!(fake.chats()[0]["tools"][0]["function"]["name"], "weather");
    }
}

#[tokio::test]
async fn pictures_reach_a_model_in_the_shape_of_its_api_and_only_pictures() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        let mut own = fake.settings("own");
        let capabilities = vec![weft_aiml::Capability::Chat, weft_aiml::Capability::Vision];
        own.models = vec![ModelSettings { id: "talker".to_owned(), capabilities, ..ModelSettings::default() }];
        let direct = desk(Settings { providers: vec![own], ..Settings::default() });
        ok(direct.call("generate", json!({"model": "talker", "prompt": "What is it?", "images": [PNG]})).await);
        let message = &fake.chats()[0]["messages"][0];
        match kind {
            Kind::Ollama => assert_eq!(message["images"], json!([PNG])),
            _ => {
                assert_eq!(message["content"][1]["image_url"]["url"], format!("data:image/png;base64,{PNG}"));
            }
        }
        for odd in ["aGVsbG8=", "no base64"] {
            refused(
                &direct.call("generate", json!({"model": "talker", "prompt": "?", "images": [odd]})).await,
                "invalid_arguments",
            );
        }
        refused(&direct.call("generate", json!({"model": "embedder", "prompt": "?"})).await, "invalid_arguments");
    }
}

#[tokio::test]
async fn cancelling_closes_the_request_to_the_provider() {
    for kind in KINDS {
        let fake = Fake::start(kind).await;
        // It would go on for longer than is waited for below.
        fake.will([Way::Slowly("word ".repeat(1_000), Duration::from_millis(300))]);
        let token = CancellationToken::new();
        let direct = over(&fake).until(token.clone());
        let call =
            tokio::spawn(
                async move { direct.call("generate", json!({"model": "own/talker", "prompt": "Count."})).await },
            );
        while fake.open.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        token.cancel();
        refused(&call.await.unwrap(), "cancelled");
        let until = Instant::now() + Duration::from_secs(60);
        while fake.left.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < until, "the provider went on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_caller_waits_no_longer_than_it_says_and_pays_for_what_it_heard() {
    for kind in KINDS {
        for tool in ["chat", "generate"] {
            // A second may be over before the model is asked, on a machine that stands still meanwhile.
            let asked = gives_up(kind, tool, 1_000).await || gives_up(kind, tool, 20_000).await;
            assert!(asked, "the model was never asked");
        }
    }
}

/// False if the time was over before the model was asked.
async fn gives_up(kind: Kind, tool: &str, timeout_ms: u64) -> bool {
    let fake = Fake::start(kind).await;
    fake.will([Way::Slowly("word ".repeat(1_000), Duration::from_millis(400))]);
    let direct = over(&fake);
    let mut asked = json!({"model": "own/talker", "timeout_ms": timeout_ms});
    match tool {
        "chat" => asked["messages"] = json!([{"role": "user", "content": "?"}]),
        _ => asked["prompt"] = json!("?"),
    }
    let told = refused(&direct.call(tool, asked.clone()).await, "deadline_exceeded");
    assert!(told.contains(&format!("{timeout_ms} ms")) && told.contains("timeout_ms"), "{told}");
    if fake.chats().is_empty() {
        return false;
    }
    assert!(ok(direct.call("usage", json!({})).await)["tokens"].as_u64().unwrap() > 1);
    while fake.left.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    asked["timeout_ms"] = json!(60_000);
    ok(direct.call(tool, asked).await);
    true
}

#[tokio::test]
async fn names_lead_to_models_by_alias_default_bare_id_and_full_name() {
    let fake = Fake::start(Kind::Ollama).await;
    let settings = Settings {
        providers: vec![fake.settings("own")],
        aliases: vec![AliasSettings { name: "fast".to_owned(), models: vec!["own/talker".to_owned()] }],
        defaults: Defaults { chat: Some("fast".to_owned()), ..Defaults::default() },
        ..Settings::default()
    };
    let direct = desk(settings);
    for model in [None, Some("fast"), Some("talker"), Some("own/talker"), Some("own/talker:latest")] {
        let called = direct.call("generate", json!({"model": model, "prompt": "?"})).await;
        if model == Some("own/talker:latest") {
            refused(&called, "not_found");
        } else {
            assert_eq!(ok(called)["by"]["model"], "own/talker", "{model:?}");
        }
    }
    assert!(
        refused(&direct.call("generate", json!({"model": "other/talker", "prompt": "?"})).await, "not_found")
            .contains("list_models")
    );
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_before_a_model_is_asked() {
    let fake = Fake::start(Kind::Openai).await;
    let direct = over(&fake);
    let wrong = [
        json!({"messages": []}),
        json!({"messages": [{"role": "user", "content": " "}]}),
        json!({"messages": [{"role": "user", "content": "?"}], "max_tokens": 9000}),
        json!({"messages": [{"role": "user", "content": "?"}], "max_tokens": 0}),
        json!({"messages": [{"role": "user", "content": "?"}], "temperature": 3}),
        json!({"messages": [{"role": "root", "content": "?"}]}),
        json!({"messages": [{"role": "user", "content": "?"}], "base_url": "http://169.254.169.254"}),
        json!({"messages": [{"role": "user", "content": "?"}], "stop": [""]}),
        json!({"messages": [{"role": "user", "content": "?"}], "timeout_ms": 0}),
        json!({"messages": [{"role": "user", "content": "?"}], "timeout_ms": 600_001}),
    ];
    for arguments in wrong {
        refused(&direct.call("chat", arguments).await, "invalid_arguments");
    }
    let long = "word ".repeat(3_000);
    let told = refused(&direct.call("generate", json!({"model": "talker", "prompt": long})).await, "too_large");
    assert!(told.contains("2048"), "{told}");
    assert!(fake.chats().is_empty());
}

#[tokio::test]
async fn a_model_of_which_a_provider_tells_nothing_is_known_by_the_settings() {
    let fake = Fake::start(Kind::Openai).await;
    let mut own = fake.settings("own");
    (own.structure, own.max_tokens_field) = (Structure::JsonObject, "max_completion_tokens".to_owned());
    own.models =
        vec![ModelSettings { id: "hidden".to_owned(), price_in: 1.0, price_out: 1e6, ..ModelSettings::default() }];
    let direct = desk(Settings { providers: vec![own], ..Settings::default() });
    let data = ok(direct.call("generate", json!({"model": "own/hidden", "prompt": "?", "max_tokens": 5})).await);
    assert!((data["by"]["cost"].as_f64().unwrap() - 1.000_011).abs() < 1e-9, "{data}");
    assert_eq!(fake.chats()[0]["max_completion_tokens"], 5);
}

#[tokio::test]
async fn models_are_compared_side_by_side_and_one_that_fails_spoils_nothing() {
    let (one, other) = (Fake::start(Kind::Ollama).await, Fake::start(Kind::Openai).await);
    one.will([says("first answer")]);
    other.will([Way::Status(400, "{\"error\": {\"message\": \"too hot\"}}".to_owned())]);
    let direct =
        desk(Settings { providers: vec![one.settings("one"), other.settings("other")], ..Settings::default() });
    let data = ok(direct
        .call("compare_models", json!({"models": ["one/talker", "other/talker", "none"], "prompt": "?"}))
        .await);
    assert_eq!((&data[0]["text"], &data[0]["usage"]["completion_tokens"]), (&json!("first answer"), &json!(2)));
    assert!(data[1]["error"].as_str().unwrap().contains("too hot"), "{data}");
    assert!(data[2]["error"].as_str().unwrap().contains("not_found"), "{data}");
}

#[tokio::test]
async fn a_model_is_measured_on_examples() {
    let fake = Fake::start(Kind::Openai).await;
    let mut own = fake.settings("own");
    own.concurrency = 1;
    fake.will([says("Paris"), says("Rome, I think"), Way::Status(400, "{}".to_owned())]);
    let direct = desk(Settings { providers: vec![own], ..Settings::default() });
    let cases = json!([{"input": "France?", "expected": "paris"}, {"input": "Italy?", "expected": "Rome"}, {"input": "Mars?", "expected": "-"}]);
    let data = ok(direct.call("evaluate", json!({"model": "own/talker", "cases": cases})).await);
    assert!((data["score"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9, "{data}");
    assert_eq!((&data["failed"], &data["outcomes"][1]["answer"]), (&json!(1), &json!("Rome, I think")));
}
