//! Local models against the same models by numpy: small ones with random weights, and MiniLM as it is published.

use std::{path::Path, time::Duration};

use serde_json::Value;
use weft_embed::{
    EmbedderSettings, LocalSettings, embed,
    local::{Card, Kind, LoadError, Local, Threads},
    open,
};
use weft_testkit::{Models, models};

/// Tokens and results of the reference.
fn reference(models: &Models, folder: &Path, inputs: &Value) -> Vec<(usize, Vec<f32>)> {
    let answers: Vec<Value> = serde_json::from_str(&models.reference(folder, &inputs.to_string())).unwrap();
    let one = |answer: &Value| {
        let row = serde_json::from_value(answer["row"].clone()).unwrap();
        (usize::try_from(answer["tokens"].as_u64().unwrap()).unwrap(), row)
    };
    answers.iter().map(one).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn local(folder: &Path) -> Local {
    Local::open("local/test", folder, &Threads::new(2), None).unwrap()
}

/// Each text by itself, as the reference takes them.
fn alone(texts: &[String]) -> Value {
    texts.iter().map(|text| vec![text.as_str()]).collect()
}

fn near(ours: &[f32], theirs: &[f32], within: f32) {
    assert_eq!(ours.len(), theirs.len());
    let most = ours.iter().zip(theirs).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(most < within, "they differ by {most}");
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Words that are known, half known and unknown, marks, accents, nothing, and more than the model reads.
fn odd() -> Vec<String> {
    let mut odd =
        texts(&["The red fox jumps over the lazy dog.", "CATS, dogs & tréés!", "", "  ", "zzz 漢字 \u{200b}", "a"]);
    odd.push("quick house ".repeat(300));
    odd
}

#[tokio::test]
async fn small_models_compute_what_the_reference_does() {
    let Some(models) = models() else { return };
    let embedder = local(&models.small.join("embedder"));
    let theirs = reference(models, &models.small.join("embedder"), &alone(&odd()));
    let ours = embedder.vectors(&odd()).await.unwrap();
    assert_eq!((ours.cut, ours.tokens), (vec![6], theirs.iter().map(|(tokens, _)| tokens).sum()));
    for (ours, (_, theirs)) in ours.of.iter().zip(&theirs) {
        near(ours, theirs, 1e-4);
    }
    for name in ["reranker", "other"] {
        let reranker = local(&models.small.join(name));
        assert_eq!(reranker.card().kind, Kind::Reranker);
        let query = "which fox sleeps?";
        let pairs: Value = odd().iter().map(|text| vec![query, text]).collect();
        let theirs = reference(models, &models.small.join(name), &pairs);
        let ours = reranker.scores(query, &odd()).await.unwrap();
        assert_eq!(ours.tokens, theirs.iter().map(|(tokens, _)| tokens).sum::<usize>(), "{name}");
        let theirs: Vec<f32> = theirs.iter().map(|(_, row)| row[0]).collect();
        near(&ours.of, &theirs, 1e-4);
    }
}

#[tokio::test]
async fn minilm_knows_what_means_the_same() {
    let Some(models) = models() else { return };
    let settings =
        LocalSettings { path: models.minilm.clone(), model: Some("minilm".to_owned()), threads: 2, idle_s: 0 };
    let embedder = open(&EmbedderSettings::Local(settings)).unwrap();
    assert_eq!((embedder.model(), embedder.dimensions()), ("local/minilm", 384));
    let pairs = [
        ("How do I reset my password?", "I forgot my login credentials", "The soup needs more salt"),
        ("A man is eating food.", "Someone has a meal", "A plane is taking off"),
        ("The company's profit fell", "Earnings of the firm went down", "Her cat sleeps all day"),
    ];
    let all: Vec<String> = pairs.iter().flat_map(|(one, same, other)| texts(&[one, same, other])).collect();
    let vectors = embed(&*embedder, &all).await.unwrap();
    for (place, three) in vectors.chunks(3).enumerate() {
        let (same, other) = (dot(&three[0], &three[1]), dot(&three[0], &three[2]));
        assert!(same > other + 0.2, "{:?}: {same} {other}", pairs[place]);
    }
    let theirs = reference(models, &models.minilm, &alone(&all));
    for (ours, (_, theirs)) in vectors.iter().zip(&theirs) {
        near(ours, theirs, 1e-3);
        assert!((dot(ours, ours) - 1.0).abs() < 1e-4);
    }
}

#[tokio::test]
async fn a_text_gets_the_same_vector_in_any_company() {
    let Some(models) = models() else { return };
    let embedder = local(&models.small.join("embedder"));
    let many: Vec<String> = (0..100).map(|number| format!("the red fox {}", "jumps ".repeat(number % 30))).collect();
    let together = embedder.vectors(&many).await.unwrap().of;
    assert_eq!(together.len(), many.len());
    for (text, vector) in many.iter().zip(&together).step_by(17) {
        let alone = embedder.vectors(std::slice::from_ref(text)).await.unwrap().of;
        near(&alone[0], vector, 1e-6);
    }
}

#[tokio::test]
async fn weights_are_read_when_needed_and_let_go_when_not() {
    let Some(models) = models() else { return };
    let folder = models.small.join("embedder");
    let kept = |idle| Local::open("local/test", &folder, &Threads::new(1), Some(idle)).unwrap();
    // So long that they are still there when they are looked at.
    let idle = Duration::from_secs(600);
    let embedder = kept(idle);
    assert_eq!(embedder.held(), None);
    assert_eq!(embedder.lengths(&texts(&["a fox"])).await.unwrap(), [(4, false)]);
    let held = embedder.held().unwrap();
    assert!(held.bytes > 50_000 && held.left.unwrap() <= idle, "{held:?}");
    embedder.unload();
    assert_eq!(embedder.held(), None);
    embedder.vectors(&odd()).await.unwrap();
    assert!(embedder.held().is_some());
    // So short that they may be gone before they are looked at: they are read until they are seen.
    let brief = kept(Duration::from_millis(300));
    let gone = async {
        while brief.held().is_none() {
            brief.lengths(&texts(&["a fox"])).await.unwrap();
        }
        while brief.held().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
    brief.vectors(&odd()).await.unwrap();
}

#[tokio::test]
async fn work_that_nobody_waits_for_makes_room() {
    let Some(models) = models() else { return };
    let embedder = Local::open("local/test", &models.small.join("embedder"), &Threads::new(1), None).unwrap();
    let many = vec!["the red fox jumps over the lazy dog ".repeat(5); 100_000];
    let given_up = tokio::time::timeout(Duration::from_millis(200), embedder.vectors(&many)).await;
    assert!(given_up.is_err(), "so much work takes longer");
    let next = tokio::time::timeout(Duration::from_secs(60), embedder.vectors(&texts(&["a fox"]))).await;
    assert_eq!(next.unwrap().unwrap().of.len(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_says_why() {
    let Some(models) = models() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for file in ["config.json", "vocab.txt", "model.safetensors"] {
        std::fs::copy(models.small.join("embedder").join(file), path.join(file)).unwrap();
    }
    let config = std::fs::read_to_string(path.join("config.json")).unwrap();
    let digest = Card::read(path).unwrap().digest;
    let cases = [
        (config.replace("\"bert\"", "\"t5\""), "t5"),
        (config.replace("\"num_attention_heads\": 4", "\"num_attention_heads\": 5"), "sizes"),
        (
            config.replace(
                "\"num_attention_heads\": 4",
                "\"num_attention_heads\": 4, \"position_embedding_type\": \"relative_key\"",
            ),
            "absolute",
        ),
        ("{".to_owned(), "EOF"),
    ];
    for (text, word) in cases {
        std::fs::write(path.join("config.json"), text).unwrap();
        let error = Card::read(path).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("config.json"), "{error}");
    }
    std::fs::write(path.join("config.json"), config.replace("\"hidden_size\": 32", "\"hidden_size\": 16")).unwrap();
    assert_ne!(Card::read(path).unwrap().digest, digest);
    let error = local(path).vectors(&texts(&["a"])).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("shape"), "{cause}");
    std::fs::write(path.join("config.json"), config).unwrap();
    let modules = r#"[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]"#;
    std::fs::write(path.join("modules.json"), modules).unwrap();
    assert!(Card::read(path).unwrap_err().to_string().contains("Dense"));
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
    std::fs::remove_file(path.join("modules.json")).unwrap();
    assert!(matches!(Card::read(path), Err(LoadError::File { .. })));
    let reranker = LocalSettings { path: models.small.join("reranker"), model: None, threads: 1, idle_s: 0 };
    let error = open(&EmbedderSettings::Local(reranker)).unwrap_err().to_string();
    assert!(error.contains("local/reranker") && error.contains("scores"), "{error}");
}
