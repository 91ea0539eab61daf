//! Collections and points in memory, searched naively: what the tests' server keeps.
//!
//! It refuses what a real server refuses and a mistake of ours could send: order and facets without the right index, vectors of
//! another length, indices of a sparse vector that repeat, a missing collection.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::{
    CreateCollection, Distance, FieldType, Filter, PointId, PointStruct, PointsSelector, RetrievedPoint, SparseVector,
    Value as Field, VectorOutput, VectorsOutput, WithPayloadSelector, WithVectorsSelector, points_selector, vector,
    vector_output, vectors, vectors_config, vectors_output, with_payload_selector, with_vectors_selector,
};
use serde_json::{Map, Value};
use tonic::Status;

use super::conditions::{holds, uuid, values};

pub(super) type Done<T> = Result<T, Status>;

#[derive(Default)]
pub(super) struct Memory {
    pub(super) collections: BTreeMap<String, Collection>,
    /// Alias → collection.
    pub(super) aliases: BTreeMap<String, String>,
}

pub(super) struct Collection {
    pub(super) made: CreateCollection,
    /// The fields that are indexed.
    pub(super) indexes: HashMap<String, FieldType>,
    /// By UUID.
    pub(super) points: BTreeMap<String, Stored>,
}

#[derive(Clone)]
pub(super) struct Stored {
    payload: HashMap<String, Field>,
    /// The same, for conditions.
    pub(super) json: Map<String, Value>,
    /// As Qdrant keeps it: of length one, if the distance is the cosine.
    dense: Vec<f32>,
    sparse: SparseVector,
}

fn json(payload: &HashMap<String, Field>) -> Map<String, Value> {
    payload.iter().map(|(key, value)| (key.clone(), serde_json::to_value(value).unwrap())).collect()
}

impl Stored {
    pub(super) fn overwrite(&mut self, payload: HashMap<String, Field>) {
        self.json = json(&payload);
        self.payload = payload;
    }

    pub(super) fn number(&self, key: &str) -> Option<i64> {
        values(&self.json, key).first().and_then(|value| value.as_i64())
    }
}

impl Memory {
    pub(super) fn of(&mut self, name: &str) -> Done<&mut Collection> {
        let missing = || Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"));
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.collections.get_mut(name).ok_or_else(missing)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Collection {
    pub(super) fn new(made: CreateCollection) -> Self {
        Self { made, indexes: HashMap::new(), points: BTreeMap::new() }
    }

    fn dense(&self) -> (usize, Distance) {
        let config = self.made.vectors_config.as_ref().and_then(|config| config.config.as_ref());
        let Some(vectors_config::Config::ParamsMap(map)) = config else { panic!("vectors are named") };
        let parameters = &map.map["dense"];
        (usize::try_from(parameters.size).unwrap(), parameters.distance())
    }

    pub(super) fn put(&mut self, point: PointStruct) -> Done<()> {
        let (size, distance) = self.dense();
        let Some(vectors::VectorsOptions::Vectors(mut named)) = point.vectors.and_then(|all| all.vectors_options)
        else {
            return Err(Status::invalid_argument("Wrong input: not existing vector name"));
        };
        let mut take = |name: &str| named.vectors.remove(name).and_then(|one| one.vector);
        let (Some(vector::Vector::Dense(dense)), Some(vector::Vector::Sparse(sparse))) = (take("dense"), take("words"))
        else {
            return Err(Status::invalid_argument("Wrong input: vectors are missing"));
        };
        let mut dense = dense.data;
        if dense.len() != size {
            return Err(Status::invalid_argument(format!("Wrong input: expected dim: {size}, got {}", dense.len())));
        }
        let ordered = sparse.indices.windows(2).all(|two| two[0] < two[1]);
        if !ordered || sparse.indices.len() != sparse.values.len() {
            return Err(Status::invalid_argument("Validation error: indices must be unique"));
        }
        let length = dot(&dense, &dense).sqrt();
        if distance == Distance::Cosine && length > 0.0 {
            dense.iter_mut().for_each(|x| *x /= length);
        }
        self.points.insert(
            uuid(&point.id.unwrap()),
            Stored { json: json(&point.payload), payload: point.payload, dense, sparse },
        );
        Ok(())
    }

    pub(super) fn selected(&self, selector: Option<PointsSelector>) -> Vec<String> {
        match selector.and_then(|selector| selector.points_selector_one_of).unwrap() {
            points_selector::PointsSelectorOneOf::Points(list) => list.ids.iter().map(uuid).collect(),
            points_selector::PointsSelectorOneOf::Filter(filter) => {
                self.matching(Some(&filter)).into_iter().map(|(id, _)| id.clone()).collect()
            }
        }
    }

    /// By UUID.
    pub(super) fn matching(&self, filter: Option<&Filter>) -> Vec<(&String, &Stored)> {
        let chosen = |(id, stored): &(&String, &Stored)| filter.is_none_or(|filter| holds(filter, id, &stored.json));
        self.points.iter().filter(chosen).collect()
    }

    pub(super) fn indexed(&self, key: &str, kind: FieldType) -> Done<()> {
        let wanting = || Status::invalid_argument(format!("Bad request: No appropriate index for `{key}`"));
        (self.indexes.get(key) == Some(&kind)).then_some(()).ok_or_else(wanting)
    }

    /// Best first; equal ones by UUID backwards, since nobody may rely on their order.
    pub(super) fn nearest(&self, near: &[f32], filter: Option<&Filter>) -> Done<Vec<(String, f32)>> {
        let (size, distance) = self.dense();
        if near.len() != size {
            return Err(Status::invalid_argument("Wrong input: Vector dimension error"));
        }
        let score = |stored: &Stored| match distance {
            Distance::Cosine => dot(near, &stored.dense) / dot(near, near).sqrt(),
            Distance::Euclid => near.iter().zip(&stored.dense).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt(),
            _ => dot(near, &stored.dense),
        };
        let scored = self.matching(filter).into_iter().map(|(id, stored)| (id.clone(), score(stored)));
        Ok(ranked(scored.collect(), distance == Distance::Euclid))
    }

    /// With the modifier IDF, over all points.
    pub(super) fn by_words(&self, near: &SparseVector, filter: Option<&Filter>) -> Vec<(String, f32)> {
        let weight = |stored: &Stored, word: u32| {
            stored.sparse.indices.iter().position(|index| *index == word).map(|at| stored.sparse.values[at])
        };
        let number = |count: usize| f32::from(u16::try_from(count).unwrap());
        let total = number(self.points.len());
        let rarity = |word: u32| {
            let having = number(self.points.values().filter(|stored| weight(stored, word).is_some()).count());
            (1.0 + (total - having + 0.5) / (having + 0.5)).ln()
        };
        let rarities: Vec<(u32, f32)> =
            near.indices.iter().zip(&near.values).map(|(word, value)| (*word, value * rarity(*word))).collect();
        let score = |stored: &Stored| {
            let parts = rarities.iter().filter_map(|(word, rarity)| Some(weight(stored, *word)? * rarity));
            parts.reduce(|a, b| a + b)
        };
        let scored = self.matching(filter).into_iter().filter_map(|(id, stored)| Some((id.clone(), score(stored)?)));
        ranked(scored.collect(), false)
    }

    pub(super) fn shown(
        &self,
        id: &str,
        payload: Option<&WithPayloadSelector>,
        vectors: Option<&WithVectorsSelector>,
    ) -> Option<RetrievedPoint> {
        let stored = self.points.get(id)?;
        let wanted = payload.and_then(|selector| selector.selector_options.as_ref());
        let Some(with_payload_selector::SelectorOptions::Include(include)) = wanted else { panic!("keys are named") };
        let keep = |key: &String| include.fields.contains(key);
        let payload = stored.payload.clone().into_iter().filter(|(key, _)| keep(key)).collect();
        let wanted = vectors.and_then(|selector| selector.selector_options.as_ref());
        let vectors = matches!(wanted, Some(with_vectors_selector::SelectorOptions::Include(_))).then(|| {
            let dense = vector_output::Vector::Dense(stored.dense.clone().into());
            let one = VectorOutput { vector: Some(dense), ..VectorOutput::default() };
            let named =
                qdrant_client::qdrant::NamedVectorsOutput { vectors: HashMap::from([("dense".to_owned(), one)]) };
            VectorsOutput { vectors_options: Some(vectors_output::VectorsOptions::Vectors(named)) }
        });
        let id = Some(PointId::from(id.to_owned()));
        Some(RetrievedPoint { id, payload, vectors, ..RetrievedPoint::default() })
    }
}

fn ranked(mut scored: Vec<(String, f32)>, smaller_first: bool) -> Vec<(String, f32)> {
    scored.sort_by(|a, b| {
        let order = if smaller_first { a.1.total_cmp(&b.1) } else { b.1.total_cmp(&a.1) };
        order.then_with(|| b.0.cmp(&a.0))
    });
    scored
}
