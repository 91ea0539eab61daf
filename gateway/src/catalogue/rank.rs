//! What somebody wants to do, in words → the tools that fit it best: BM25F over the parts of each tool's entry.
//!
//! Fields weigh differently (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009,
//! section 3.6): a word of the name says more than one in the description of an argument. Pure and told everything: no
//! clock, no lock, and the same tools give the same order on every replica.

use std::collections::{BTreeMap, BTreeSet, HashMap};

mod read;
mod words;

use words::{Word, kin, parts, stems};

/// One tool, as far as it is searched; [`Text::read`] makes it from a tool's entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    /// Its exposed name.
    pub(crate) name: String,
    pub(crate) service: String,
    /// Its name without the service.
    pub(crate) own: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// The names of its arguments and what is said of them.
    pub(crate) arguments: String,
}

/// A tool that fits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hit<'i> {
    pub(crate) name: &'i str,
    /// Higher fits better; only comparable within one answer.
    pub(crate) score: f64,
}

const FIELDS: usize = 5;
/// How much a word counts by where it stands: own name, service, title, description, arguments.
const WEIGHTS: [f64; FIELDS] = [4.0, 2.0, 3.0, 2.0, 0.6];
/// How much a longer field takes from its words: names are short by nature, arguments many.
const LENGTH: [f64; FIELDS] = [0.3, 0.0, 0.3, 0.5, 0.7];
/// How soon a word that repeats counts no more.
const SATURATION: f64 = 1.2;
/// What another form of a word counts beside the form that was asked for.
const FORM: f64 = 0.8;
/// What a word of the same meaning counts beside the word itself.
const KINSHIP: f64 = 0.35;

/// The searchable form of a set of tools.
#[derive(Debug, Default)]
pub(crate) struct Index {
    tools: Vec<Indexed>,
    /// Stem or form → the tools that have it, with its weighted frequency there.
    postings: HashMap<String, Vec<(usize, f64)>>,
}

#[derive(Debug)]
struct Indexed {
    name: String,
    service: String,
    /// Both names, as the words they are made of.
    exact: [Vec<String>; 2],
}

impl Index {
    pub(crate) fn new(tools: impl IntoIterator<Item = Text>) -> Self {
        let mut index = Self::default();
        let mut all: Vec<[Vec<Word>; FIELDS]> = Vec::new();
        for tool in tools {
            all.push(
                [&tool.own, &tool.service, &tool.title, &tool.description, &tool.arguments].map(|text| stems(text)),
            );
            let exact = [parts(&tool.name), parts(&tool.own)];
            index.tools.push(Indexed { name: tool.name, service: tool.service, exact });
        }
        let usual = usual_lengths(&all);
        for (at, fields) in all.iter().enumerate() {
            let mut frequencies: HashMap<&str, f64> = HashMap::new();
            for (field, stems) in fields.iter().enumerate() {
                let stretch = 1.0 - LENGTH[field] + LENGTH[field] * count(stems.len()) / usual[field];
                for word in stems {
                    *frequencies.entry(&word.stem).or_default() += WEIGHTS[field] / stretch;
                    *frequencies.entry(&word.form).or_default() += WEIGHTS[field] / stretch;
                }
            }
            for (stem, frequency) in frequencies {
                index.postings.entry(stem.to_owned()).or_default().push((at, frequency));
            }
        }
        index
    }

    /// The best tools for `query`, of one service if it is given. A tool that is named exactly comes first; equal scores
    /// are in the order of names.
    pub(crate) fn find(&self, query: &str, service: Option<&str>, limit: usize) -> Vec<Hit<'_>> {
        let words = parts(query);
        let wanted: BTreeMap<String, String> = stems(query).into_iter().map(|word| (word.stem, word.form)).collect();
        let mut scores = vec![0.0; self.tools.len()];
        for (stem, form) in &wanted {
            // A word, its other forms and its kin are one wish: each tool is credited with the best of them.
            let mut best: HashMap<usize, f64> = HashMap::new();
            self.credit(form, 1.0, &mut best);
            self.credit(stem, FORM, &mut best);
            for kin in kin(stem).filter(|kin| !wanted.contains_key(*kin)) {
                self.credit(kin, KINSHIP, &mut best);
            }
            for (at, score) in best {
                scores[at] += score;
            }
        }
        let mut hits: Vec<(bool, Hit<'_>)> = self
            .tools
            .iter()
            .zip(scores)
            .filter(|(tool, _)| service.is_none_or(|service| tool.service == service))
            .map(|(tool, score)| (tool.exact.contains(&words), Hit { name: &tool.name, score }))
            .filter(|(exact, hit)| *exact || hit.score > 0.0)
            .collect();
        hits.sort_by(|(a_exact, a), (b_exact, b)| {
            b_exact.cmp(a_exact).then(b.score.total_cmp(&a.score)).then(a.name.cmp(b.name))
        });
        hits.into_iter().map(|(_, hit)| hit).take(limit).collect()
    }

    fn credit(&self, stem: &str, share: f64, best: &mut HashMap<usize, f64>) {
        let Some(postings) = self.postings.get(stem) else { return };
        let (all, with) = (count(self.tools.len()), count(postings.len()));
        let rarity = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        for (at, frequency) in postings {
            let score = share * rarity * frequency * (SATURATION + 1.0) / (frequency + SATURATION);
            let known = best.entry(*at).or_default();
            *known = known.max(score);
        }
    }
}

/// The mean length of each field, never zero.
fn usual_lengths(all: &[[Vec<Word>; FIELDS]]) -> [f64; FIELDS] {
    std::array::from_fn(|field| {
        let words: usize = all.iter().map(|fields| fields[field].len()).sum();
        (count(words) / count(all.len().max(1))).max(1.0)
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of words and tools")]
const fn count(number: usize) -> f64 {
    number as f64
}

/// The names most like `name` (Dice's coefficient over pairs of characters), best first; none that are unlike it.
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>, limit: usize) -> Vec<&'n str> {
    let wanted = pairs(name);
    let alike = |other: &str| {
        let other = pairs(other);
        let shared = wanted.iter().filter(|pair| other.contains(*pair)).count();
        2.0 * count(shared) / count((wanted.len() + other.len()).max(1))
    };
    let mut scored: Vec<(f64, &str)> = names.into_iter().map(|name| (alike(name), name)).collect();
    scored.retain(|(score, _)| *score >= 0.3);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().map(|(_, name)| name).take(limit).collect()
}

fn pairs(name: &str) -> BTreeSet<(char, char)> {
    let letters: Vec<char> = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    letters.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests;
