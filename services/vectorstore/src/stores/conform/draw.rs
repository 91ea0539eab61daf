//! Random points, filters and choices from a seed: the same on every machine, so that a failure can be repeated.

use serde_json::{Map, Value, json};

use crate::model::{Filter, Point, Which};

const KINDS: [&str; 4] = ["cat", "dog", "emu's", "Fox \"\\ %_"];
const WORDS: [&str; 6] = ["amber", "Birch", "cobalt", "dün", "e2e", "set"];
const TIMES: [&str; 4] =
    ["2026-01-01T00:00:00Z", "2026-01-01T01:30:00+01:00", "2026-03-01T12:00:00.250Z", "2025-12-31T23:59:59-02:00"];

/// SplitMix64 (Steele, Lea and Flood 2014): small, and enough for tests.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// Mostly eighths between -1 and 1; sometimes a vector that others have too, so that scores tie.
    pub(super) fn vector(&mut self) -> Vec<f32> {
        if self.below(6) == 0 {
            return vec![0.25; 8];
        }
        (0..8).map(|_| f32::from(u16::try_from(self.below(2001)).unwrap()).mul_add(0.001, -1.0) + 0.000_1).collect()
    }

    fn id(&mut self) -> String {
        format!("{}{}", self.of(&["Id ", "id-", "ü/", "'; --"]), self.below(30))
    }

    fn sentence(&mut self) -> String {
        (0..=self.below(4)).map(|_| self.of(&WORDS)).collect::<Vec<_>>().join(self.of_joint())
    }

    fn of_joint(&mut self) -> &'static str {
        [" ", "-", ", ", "\n"][self.below(4)]
    }

    pub(super) fn point(&mut self) -> Point {
        let mut metadata = Map::new();
        let mut put = |field: &str, value: Value| drop(metadata.insert(field.to_owned(), value));
        match self.below(4) {
            0 => put("kind", json!([self.of(&KINDS), self.of(&KINDS)])),
            1 => {}
            _ => put("kind", json!(self.of(&KINDS))),
        }
        match self.below(5) {
            0 => put("size", json!([self.below(10), self.below(10)])),
            1 => {}
            _ => put("size", json!(self.below(10))),
        }
        put("weight", json!(self.quarter()));
        put("open", json!(self.below(2) == 0));
        put("at", if self.below(5) == 0 { json!("no date") } else { json!(self.of(&TIMES)) });
        match self.below(4) {
            0 => put("title", json!([self.sentence(), self.sentence()])),
            1 => {}
            _ => put("title", json!(self.sentence())),
        }
        match self.below(3) {
            0 => put("note", Value::Null),
            1 => put("note", json!([])),
            _ => {}
        }
        put("it's; a.b", json!(self.of(&KINDS)));
        let text = (self.below(5) > 0).then(|| self.sentence());
        Point { id: self.id(), vector: self.vector(), text, metadata }
    }

    fn quarter(&mut self) -> f64 {
        f64::from(u8::try_from(self.below(21)).unwrap()) * 0.25 - 2.0
    }

    pub(super) fn filter(&mut self, depth: usize) -> Filter {
        if depth > 0 && self.below(2) == 0 {
            let parts = |draw: &mut Self| (0..=draw.below(3)).map(|_| draw.filter(depth - 1)).collect();
            return match self.below(3) {
                0 => Filter::All(parts(self)),
                1 => Filter::Any(parts(self)),
                _ => Filter::Not(Box::new(self.filter(depth - 1))),
            };
        }
        match self.below(7) {
            0 | 1 => self.one_of(),
            2 | 3 => self.range(),
            4 => Filter::Words { field: "title".to_owned(), words: self.sentence() },
            5 => Filter::IsNull { field: self.of(&["note", "size", "kind", "nowhere"]).to_owned() },
            _ => Filter::Ids((0..self.below(12)).map(|_| self.id()).collect()),
        }
    }

    fn one_of(&mut self) -> Filter {
        let values =
            |draw: &mut Self, one: &dyn Fn(&mut Self) -> Value| (0..=draw.below(2)).map(|_| one(draw)).collect();
        let (field, values): (&str, Vec<Value>) = match self.below(5) {
            0 => ("kind", values(self, &|draw| json!(draw.of(&KINDS)))),
            1 => ("size", values(self, &|draw| json!(draw.below(10)))),
            2 => ("open", values(self, &|draw| json!(draw.below(2) == 0))),
            3 => ("weight", values(self, &|draw| json!(draw.quarter()))),
            _ => ("it's; a.b", values(self, &|draw| json!(draw.of(&KINDS)))),
        };
        Filter::In { field: field.to_owned(), values }
    }

    fn range(&mut self) -> Filter {
        let (field, low, high): (&str, Value, Value) = match self.below(3) {
            0 => ("size", json!(self.below(8)), json!(self.below(10))),
            1 => ("weight", json!(self.quarter()), json!(self.quarter())),
            _ => ("at", json!(self.of(&TIMES)), json!(self.of(&TIMES))),
        };
        let field = field.to_owned();
        match self.below(4) {
            0 => Filter::Range { field, gt: Some(low), gte: None, lt: None, lte: None },
            1 => Filter::Range { field, gt: None, gte: None, lt: Some(high), lte: None },
            2 => Filter::Range { field, gt: None, gte: Some(low), lt: None, lte: Some(high) },
            _ => Filter::Range { field, gt: Some(low), gte: None, lt: None, lte: Some(high) },
        }
    }

    /// A few points, by their ids or by a narrow filter.
    pub(super) fn which(&mut self) -> Which {
        match self.below(2) {
            0 => Which::Ids((0..8).map(|_| self.id()).collect()),
            _ => Which::Filter(Filter::All(vec![self.range(), self.one_of()])),
        }
    }
}
