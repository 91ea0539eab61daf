//! The judged texts → a table of how good the order of the hits is, here, in SQLite, and by the paper.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::{Value, json};
use weft_kit::Direct;

use crate::{done, judged, sqlite::Fts};

/// The order of the hits of each question.
type Orders = HashMap<&'static str, Vec<String>>;

pub(crate) async fn table(desk: &Direct, fts: &mut Fts) -> Result<()> {
    let (documents, queries) = (judged::documents(), judged::queries());
    let judgements: usize = judged::judged().values().map(HashMap::len).sum();
    println!(
        "\n## The order of the hits\n\n\
        {} short texts, {} questions and {judgements} judgements, all by hand (`services/search/tests/judged`, in the formats of TREC). To each\n\
        question there are texts that answer it in its words, texts that answer it in others, and texts that have its words and mean something\n\
        else; what is not judged counts as wrong. The mean over all questions; both are at most 1. BM25 by its paper is written apart from the\n\
        index, with the words as they are. `lexical/1` knows no meaning: with a model, hybrid search finds the other words too.\n",
        documents.len(),
        queries.len()
    );
    println!("| order | nDCG@10 | recall@10 |\n|---|---|---|");
    let paper = queries.iter().map(|(id, query)| {
        (*id, judged::reference(query).into_iter().map(|(document, _)| document).collect::<Vec<_>>())
    });
    line("BM25 by its paper", &paper.collect());
    for (label, language, semantic) in [
        ("Weft, `plain`", "plain", Value::Null),
        ("Weft, `english`", "english", Value::Null),
        ("Weft, `english`, hybrid with `lexical/1`", "english", json!({})),
    ] {
        line(label, &ours(desk, language, &semantic).await?);
    }
    line("SQLite FTS5, `porter`", &theirs(fts)?);
    Ok(())
}

fn line(label: &str, orders: &Orders) {
    let (ndcg, recall) = judged::mean(orders);
    println!("| {label} | {ndcg:.3} | {recall:.3} |");
}

async fn ours(desk: &Direct, language: &str, semantic: &Value) -> Result<Orders> {
    let name = format!("judged-{language}");
    let fields =
        json!([{"name": "text", "kind": "text"}, {"name": "meaning", "kind": "vector", "vector": {"of": ["text"]}}]);
    done(desk, "create_index", json!({"name": name, "fields": fields, "language": language})).await?;
    let documents: Vec<_> = judged::documents().into_iter().map(|(id, text)| json!({"id": id, "text": text})).collect();
    done(desk, "index_documents", json!({"index": name, "documents": documents})).await?;
    let mut orders = Orders::new();
    for (id, query) in judged::queries() {
        let mut search = json!({"indices": [name], "query": query, "limit": 10, "highlight": false});
        if !semantic.is_null() {
            search["semantic"] = semantic.clone();
        }
        let found = done(desk, "search", search).await?;
        let hits = found["hits"].as_array().into_iter().flatten();
        orders.insert(id, hits.filter_map(|hit| Some(hit["id"].as_str()?.to_owned())).collect());
    }
    Ok(orders)
}

fn theirs(fts: &mut Fts) -> Result<Orders> {
    let documents = judged::documents();
    let numbered: Vec<_> =
        (0..).zip(&documents).map(|(row, (_, text))| json!({"id": i64::to_string(&row), "body": text})).collect();
    fts.write(&numbered)?;
    let mut orders = Orders::new();
    for (id, query) in judged::queries() {
        let words: Vec<String> = query.split(' ').map(|word| format!("\"{word}\"")).collect();
        let rows = fts.best(&words.join(" OR "))?;
        let named = rows.into_iter().filter_map(|row| Some(documents.get(usize::try_from(row).ok()?)?.0.to_owned()));
        orders.insert(id, named.collect());
    }
    Ok(orders)
}
