//! Judged texts → how good an order of hits is (nDCG@10, recall@10), and the order that BM25 gives by its paper (Robertson and
//! Zaragoza 2009, with the idf of Lucene).
//!
//! The texts and judgements are in `tests/judged`, in the formats of TREC. Tests and measurements share this file, so that what is
//! published is what is checked.

use std::collections::{BTreeMap, HashMap, HashSet};

const DOCUMENTS: &str = include_str!("../../tests/judged/documents.tsv");
const QUERIES: &str = include_str!("../../tests/judged/queries.tsv");
const JUDGED: &str = include_str!("../../tests/judged/qrels.txt");
/// Hits that are looked at.
const DEPTH: usize = 10;

/// Document → grade, 1 to 3; what is not judged is not relevant.
pub(crate) type Grades = HashMap<&'static str, i32>;

fn pairs(text: &'static str) -> Vec<(&'static str, &'static str)> {
    text.lines().filter_map(|line| line.split_once('\t')).collect()
}

/// All texts, by id.
pub(crate) fn documents() -> Vec<(&'static str, &'static str)> {
    pairs(DOCUMENTS)
}

/// All questions, by id.
pub(crate) fn queries() -> Vec<(&'static str, &'static str)> {
    pairs(QUERIES)
}

/// The grades of each question.
pub(crate) fn judged() -> BTreeMap<&'static str, Grades> {
    let mut judged: BTreeMap<_, Grades> = BTreeMap::new();
    for line in JUDGED.lines() {
        if let [query, _, document, grade] = line.split(' ').collect::<Vec<_>>()[..] {
            judged.entry(query).or_default().insert(document, grade.parse().unwrap_or_default());
        }
    }
    judged
}

/// Gains 2^grade - 1, discounted by log2 of the place.
pub(crate) fn ndcg(found: &[String], grades: &Grades) -> f64 {
    let gain = |(place, grade): (u32, i32)| (f64::from(grade).exp2() - 1.0) / (f64::from(place) + 2.0).log2();
    let told = found.iter().take(DEPTH).map(|id| grades.get(id.as_str()).copied().unwrap_or(0));
    let mut best: Vec<i32> = grades.values().copied().collect();
    best.sort_by(|one, other| other.cmp(one));
    (0..).zip(told).map(gain).sum::<f64>() / (0..).zip(best.into_iter().take(DEPTH)).map(gain).sum::<f64>()
}

/// The share of the relevant documents that is among the first ten.
pub(crate) fn recall(found: &[String], grades: &Grades) -> f64 {
    let there: HashSet<&str> = found.iter().take(DEPTH).map(String::as_str).collect();
    count(grades.keys().filter(|id| there.contains(**id)).count()) / count(grades.len())
}

/// Both, of an order of hits for each question, in the mean.
pub(crate) fn mean(orders: &HashMap<&'static str, Vec<String>>) -> (f64, f64) {
    let judged = judged();
    let each = judged.iter().map(|(query, grades)| {
        let found = orders.get(query).map_or(&[][..], Vec::as_slice);
        (ndcg(found, grades), recall(found, grades))
    });
    let sum = each.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (sum.0 / count(judged.len()), sum.1 / count(judged.len()))
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Documents with their scores by BM25 with k1 = 1.2 and b = 0.75, best first.
pub(crate) fn reference(query: &str) -> Vec<(String, f64)> {
    let documents: Vec<(&str, Vec<String>)> = documents().into_iter().map(|(id, text)| (id, words(text))).collect();
    let total = count(documents.len());
    let mean = count(documents.iter().map(|(_, words)| words.len()).sum()) / total;
    let mut scored = Vec::new();
    for (id, own) in &documents {
        let mut score = 0.0;
        for word in words(query) {
            let holding = count(documents.iter().filter(|(_, words)| words.contains(&word)).count());
            let often = count(own.iter().filter(|other| **other == word).count());
            let idf = (1.0 + (total - holding + 0.5) / (holding + 0.5)).ln();
            score += idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * count(own.len()) / mean));
        }
        if score > 0.0 {
            scored.push(((*id).to_owned(), score));
        }
    }
    scored.sort_by(|(one, first), (other, second)| second.total_cmp(first).then_with(|| one.cmp(other)));
    scored
}
