//! Models of the mesh for other services: through the gateway, and from a folder.

use serde_json::{Value, json};
use weft_embed::{EmbedderSettings, MeshSettings, Service, ServiceSettings, embed, open};

use crate::harness::Weft;

fn settings(weft: &Weft, model: &str) -> EmbedderSettings {
    EmbedderSettings::Mesh(MeshSettings {
        url: endpoint(weft),
        model: model.to_owned(),
        dimensions: 384,
        api_key: None,
        authorities: None,
        batch: 64,
        timeout_ms: 60_000,
    })
}

fn endpoint(weft: &Weft) -> String {
    format!("http://127.0.0.1:{}/mcp/aiml", weft.port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_embeds_and_summarises_through_the_gateway() {
    let weft = Weft::up(&[]);
    let embedder = open(&settings(&weft, "builtin/lexical")).unwrap();
    // More than one page, and one blank.
    let mut texts: Vec<String> = (0..300).map(|number| format!("text number {number}")).collect();
    texts[7] = " ".to_owned();
    let vectors = embed(&*embedder, &texts).await.unwrap();
    assert_eq!((vectors.len(), vectors[299].len()), (300, 384));
    let length = |vector: &[f32]| vector.iter().map(|element| element * element).sum::<f32>();
    assert!(length(&vectors[7]) < 1e-6 && (length(&vectors[8]) - 1.0).abs() < 1e-3);
    let error = embed(&*open(&settings(&weft, "nowhere/model")).unwrap(), &texts).await.unwrap_err();
    assert!(!error.is_retryable() && error.hint().is_some(), "{} {error}", error.code());
    let service = ServiceSettings { url: endpoint(&weft), api_key: None, authorities: None, timeout_ms: 60_000 };
    let service = Service::open("aiml", &service).unwrap();
    let text =
        "The gateway carries every call of the mesh. It rained. Each call of the mesh has a record at the gateway.";
    let content = service.call("summarise", json!({"text": text, "words": 20})).await.unwrap();
    assert!(content["data"]["summary"].as_str().unwrap().contains("gateway"), "{content}");
    let error = service.call("no_such_tool", json!({})).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}

#[test]
fn models_of_a_folder_serve_the_whole_mesh() {
    let Some(models) = weft_testkit::models() else { return };
    let weft = Weft::up(&["--models", models.small.to_str().unwrap()]);
    let data = |tool: &str, arguments: Value| {
        let result = weft.call(tool, &arguments);
        assert_ne!(result["isError"], true, "{result}");
        result["structuredContent"]["data"].clone()
    };
    let ranked = json!({"model": "local/reranker", "query": "a fox", "documents": ["a dog", "the red fox"]});
    assert_eq!(data("aiml_rerank", ranked)["method"], "rerank");
    let made = data("vectorstore_create_collection", json!({"name": "notes"}));
    assert_eq!((&made["model"], &made["dimensions"]), (&json!("local/embedder"), &json!(32)));
    let items = json!([{"id": "fox", "text": "the red fox jumps"}, {"id": "dog", "text": "a lazy dog sleeps"}]);
    data("vectorstore_upsert", json!({"collection": "notes", "items": items}));
    let asked = json!({"collection": "notes", "text": "the red fox jumps", "mode": "dense"});
    assert_eq!(data("vectorstore_search", asked)["hits"][0]["id"], "fox");
    // Vectors of another model are not compared with these.
    let refused = weft.call("vectorstore_search", &json!({"collection": "notes", "vector": [1.0, 2.0]}));
    assert_eq!(refused["isError"], true, "{refused}");
}
