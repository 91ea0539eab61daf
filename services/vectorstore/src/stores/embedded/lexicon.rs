//! The inverted index: word → the points whose text has it, ranked by BM25 (Robertson and Zaragoza 2009).
//!
//! A key is a word and the upper part of the numbers, so that occurrences lie in blocks of at most 256: points of one batch have
//! neighbouring numbers, and a batch rewrites one small block a word. The length of the text stands with every occurrence: ranking
//! touches nothing but the words of the query.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use heed::{RoTxn, RwTxn};
use roaring::RoaringBitmap;
use weft_embed::words;

use super::{
    fault::Fault,
    table::{Number, Sight, Tables},
};

/// How soon more of the same word counts for less.
const K1: f32 = 1.2;
/// How much a long text counts against itself.
const B: f32 = 0.75;
/// Words of a query that are looked at.
const ASKED: usize = 64;
/// Lower part of the number, times in the text, words of the text.
const ENTRY: usize = 7;

/// Changes of a batch, gathered so that each block is written once.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    added: BTreeMap<Vec<u8>, Vec<[u8; ENTRY]>>,
    removed: BTreeMap<Vec<u8>, BTreeSet<u8>>,
    /// Change of the number of words, and of texts.
    words: i64,
    texts: i64,
}

impl Edits {
    pub(crate) fn add(&mut self, number: Number, text: &str) {
        let (counts, length) = counted(text);
        let [.., low] = number.to_be_bytes();
        for (word, times) in counts {
            let mut entry = [low; ENTRY];
            entry[1..3].copy_from_slice(&times.to_le_bytes());
            entry[3..].copy_from_slice(&length.to_le_bytes());
            self.added.entry(key(&word, number)).or_default().push(entry);
        }
        self.words += i64::from(length);
        self.texts += 1;
    }

    pub(crate) fn remove(&mut self, number: Number, text: &str) {
        let (counts, length) = counted(text);
        let [.., low] = number.to_be_bytes();
        for key in counts.into_keys().map(|word| key(&word, number)) {
            // The point may be of this very batch.
            if let Some(added) = self.added.get_mut(&key) {
                added.retain(|entry| entry[0] != low);
            }
            self.removed.entry(key).or_default().insert(low);
        }
        self.words -= i64::from(length);
        self.texts -= 1;
    }

    pub(crate) fn write(self, tables: &Tables, txn: &mut RwTxn<'_>) -> Result<(), Fault> {
        let keys: BTreeSet<_> = self.added.keys().chain(self.removed.keys()).collect();
        for key in keys {
            let mut block = tables.terms.get(txn, key)?.unwrap_or_default().to_vec();
            if let Some(removed) = self.removed.get(key) {
                block = entries(&block).filter(|entry| !removed.contains(&entry[0])).flatten().copied().collect();
            }
            block.extend(self.added.get(key).into_iter().flatten().flatten());
            if block.is_empty() {
                tables.terms.delete(txn, key)?;
            } else {
                tables.terms.put(txn, key, &block)?;
            }
        }
        for (name, change) in [("words", self.words), ("texts", self.texts)] {
            let total = tables.number(txn, name)?.saturating_add_signed(change);
            tables.meta.put(txn, name, &total.to_le_bytes())?;
        }
        Ok(())
    }
}

/// Ranks the candidates that have at least one of the words.
pub(crate) fn rank(
    sight: Sight<'_>,
    query: &str,
    candidates: Option<&RoaringBitmap>,
) -> Result<Vec<(Number, f32)>, Fault> {
    let (texts, average) = totals(sight.tables, sight.txn)?;
    let asked: BTreeSet<String> = words(query).take(ASKED).collect();
    let mut scores: HashMap<Number, f32> = HashMap::new();
    for word in asked {
        sight.check()?;
        let found = occurrences(sight, &word)?;
        #[expect(clippy::cast_precision_loss, reason = "a weight needs no more than 24 bits")]
        let having = found.len() as f32;
        let rarity = (1.0 + (texts - having + 0.5) / (having + 0.5)).ln();
        let wanted = found.into_iter().filter(|(number, ..)| candidates.is_none_or(|some| some.contains(*number)));
        for (number, times, length) in wanted {
            let weight = times * (K1 + 1.0) / (times + K1 * (1.0 - B + B * length / average));
            *scores.entry(number).or_default() += rarity * weight;
        }
    }
    Ok(scores.into_iter().collect())
}

/// Every point with the word: number, times, words of its text.
fn occurrences(sight: Sight<'_>, word: &str) -> Result<Vec<(Number, f32, f32)>, Fault> {
    let prefix = [word.as_bytes(), &[0]].concat();
    let mut found = Vec::new();
    for block in sight.tables.terms.prefix_iter(sight.txn, &prefix)? {
        let (key, block) = block?;
        let (_, upper) = key.split_last_chunk::<3>().ok_or(Fault::Broken("a block of words"))?;
        found.extend(entries(block).map(|entry| {
            let [low, t0, t1, l0, l1, l2, l3] = *entry;
            let number = Number::from_be_bytes([upper[0], upper[1], upper[2], low]);
            #[expect(clippy::cast_precision_loss, reason = "a length needs no more than 24 bits")]
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as f32;
            (number, f32::from(u16::from_le_bytes([t0, t1])), length)
        }));
    }
    Ok(found)
}

#[expect(clippy::cast_precision_loss, reason = "an average needs no more than 24 bits")]
fn totals(tables: &Tables, txn: &RoTxn<'_>) -> Result<(f32, f32), Fault> {
    let (words, texts) = (tables.number(txn, "words")?, tables.number(txn, "texts")?);
    Ok((texts as f32, (words as f32 / texts.max(1) as f32).max(1.0)))
}

fn entries(block: &[u8]) -> impl Iterator<Item = &[u8; ENTRY]> {
    block.as_chunks::<ENTRY>().0.iter()
}

fn key(word: &str, number: Number) -> Vec<u8> {
    [word.as_bytes(), &[0], &number.to_be_bytes()[..3]].concat()
}

fn counted(text: &str) -> (BTreeMap<String, u16>, u32) {
    let mut counts: BTreeMap<String, u16> = BTreeMap::new();
    let mut length = 0_u32;
    for word in words(text) {
        let times = counts.entry(word).or_default();
        *times = times.saturating_add(1);
        length = length.saturating_add(1);
    }
    (counts, length)
}
