//! Random questions over random documents: what is found is what a plain reading of the question says, neither more nor less.

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::desk::{Desk, ids};

/// A question in the words of this test.
#[derive(Debug, Clone)]
enum Ask {
    Word(&'static str),
    Phrase(&'static str, &'static str),
    Prefix(&'static str),
    All(Vec<(char, Ask)>),
}

const WORDS: [&str; 6] = ["red", "reddish", "car", "ship", "sea", "seal"];

#[derive(Debug)]
struct Document {
    /// Of two fields.
    words: [Vec<&'static str>; 2],
    year: i64,
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(WORDS.to_vec())
}

fn words() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(word(), 0..5)
}

fn ask() -> impl Strategy<Value = Ask> {
    let leaf = prop_oneof![
        4 => word().prop_map(Ask::Word),
        2 => (word(), word()).prop_map(|(one, other)| Ask::Phrase(one, other)),
        1 => prop::sample::select(vec!["re", "sea", "sh"]).prop_map(Ask::Prefix),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let sign = prop::sample::select(vec!['+', '-', ' ']);
        prop::collection::vec((sign, inner), 1..4).prop_map(Ask::All)
    })
}

impl Ask {
    fn written(&self) -> String {
        match self {
            Self::Word(word) => (*word).to_owned(),
            Self::Phrase(one, other) => format!("\"{one} {other}\""),
            Self::Prefix(start) => format!("{start}*"),
            Self::All(parts) => {
                let parts: Vec<String> =
                    parts.iter().map(|(sign, part)| format!("{sign}{}", part.written()).trim().to_owned()).collect();
                format!("({})", parts.join(" "))
            }
        }
    }

    fn fits(&self, document: &Document) -> bool {
        match self {
            Self::Word(word) => document.words.iter().any(|words| words.contains(word)),
            Self::Phrase(one, other) => {
                document.words.iter().any(|words| words.windows(2).any(|pair| pair == [*one, *other]))
            }
            Self::Prefix(start) => document.words.iter().flatten().any(|word| word.starts_with(start)),
            Self::All(parts) => {
                let of = |sign: char| parts.iter().filter(move |(own, _)| *own == sign).map(|(_, part)| part);
                let none = of('-').all(|part| !part.fits(document));
                let musts = of('+').count();
                let any = of(' ').count() == 0 || of(' ').any(|part| part.fits(document));
                none && of('+').all(|part| part.fits(document)) && (musts > 0 || any)
            }
        }
    }
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

#[tokio::test]
async fn what_is_found_is_what_the_question_says() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let desk = Desk::new();
    let fields = json!([{"name": "text", "kind": "text"}, {"name": "other", "kind": "text"}, {"name": "year", "kind": "integer"}]);
    desk.done("create_index", json!({"name": "sets", "fields": fields})).await;
    let documents: Vec<Document> = (0..60)
        .map(|_| Document { words: draw(&mut runner, [words(), words()]), year: draw(&mut runner, 2000_i64..2010) })
        .collect();
    // In three batches, so that several parts of the index are searched, and some of them twice, so that some are replaced.
    for batch in [0..25, 20..45, 40..60] {
        let given: Vec<Value> = batch.map(|place: usize| json!({"id": place.to_string(), "text": documents[place].words[0].join(" "), "other": documents[place].words[1].join(" "), "year": documents[place].year})).collect();
        desk.done("index_documents", json!({"index": "sets", "documents": given})).await;
    }
    for _ in 0..400 {
        let (asked, least) = (draw(&mut runner, ask()), draw(&mut runner, prop::option::of(2000_i64..2010)));
        let filters: Vec<Value> =
            least.iter().map(|year| json!({"field": "year", "op": "gte", "value": year})).collect();
        let query = asked.written();
        let found =
            desk.done("search", json!({"indices": ["sets"], "query": query, "filters": filters, "limit": 100})).await;
        let own: BTreeSet<String> = ids(&found).into_iter().collect();
        let expected: BTreeSet<String> = documents
            .iter()
            .enumerate()
            .filter(|(_, document)| asked.fits(document) && least.is_none_or(|year| document.year >= year))
            .map(|(place, _)| place.to_string())
            .collect();
        assert_eq!(own, expected, "{query} from {least:?}");
        let counted = desk.done("count", json!({"index": "sets", "query": query, "filters": filters})).await;
        assert_eq!(counted["count"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn writers_at_the_same_time_lose_nothing() {
    let desk = Desk::new();
    desk.done("create_index", json!({"name": "many"})).await;
    let direct = std::sync::Arc::new(desk.direct);
    let writers: Vec<_> = (0..12)
        .map(|writer| {
            let direct = std::sync::Arc::clone(&direct);
            tokio::spawn(async move {
                for batch in 0..5 {
                    let document = |number: usize| json!({"id": format!("{writer}-{batch}-{number}"), "title": format!("w{writer}b{batch}")});
                    let documents: Vec<Value> = (0..10).map(document).collect();
                    let called = direct.call("index_documents", json!({"index": "many", "documents": documents})).await;
                    assert!(!called.is_error, "{}", called.structured);
                    // What was acknowledged is seen by its writer.
                    let query = json!({"indices": ["many"], "query": format!("w{writer}b{batch}")});
                    assert_eq!(direct.call("search", query).await.data()["total"], 10);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(direct.call("count", json!({"index": "many"})).await.data()["count"], 600);
}
