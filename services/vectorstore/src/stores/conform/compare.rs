//! A store and the model of it side by side: every act is done to both, and the answers are compared.

use serde_json::{Map, Value};

use super::draw::Draw;
use super::{ALL, Naive};
use crate::model::{Conflict, Filter, Hit, Metric, Near, Point, Query, Spec, Which, With};
use crate::store::Store;

/// Engines add up in other orders and keep cosines of normalised vectors.
const NEAR_ENOUGH: f64 = 2e-4;

pub(super) struct Pair<'a> {
    store: &'a dyn Store,
    tenant: &'a str,
    spec: Spec,
    pub(super) naive: Naive,
}

impl<'a> Pair<'a> {
    pub(super) async fn new(store: &'a dyn Store, tenant: &'a str, spec: Spec) -> Self {
        assert!(store.create(tenant, &spec).await.unwrap(), "{} is new", spec.name);
        Self { store, tenant, spec, naive: Naive::default() }
    }

    pub(super) async fn drop(self) {
        self.store.drop(self.tenant, &self.spec.name).await.unwrap();
    }

    pub(super) async fn upsert(&mut self, points: Vec<Point>, conflict: Conflict) {
        let expected = self.naive.upsert(points.clone(), conflict);
        let got = self.store.upsert(self.tenant, &self.spec.name, points, conflict).await;
        match (expected, got) {
            (Some(expected), Ok(got)) => assert_eq!(got, expected, "{conflict:?}"),
            (None, Err(refusal)) => assert_eq!(refusal.code(), "conflict"),
            (expected, got) => panic!("{conflict:?}: expected {expected:?}, got {got:?}"),
        }
    }

    pub(super) async fn update(&mut self, which: &Which, set: &Map<String, Value>, unset: &[String]) {
        let got = self.store.update(self.tenant, &self.spec.name, which, set, unset).await.unwrap();
        assert_eq!(got, self.naive.update(which, set, unset), "update {which:?}");
    }

    pub(super) async fn delete(&mut self, which: &Which) {
        let got = self.store.delete(self.tenant, &self.spec.name, which).await.unwrap();
        assert_eq!(got, self.naive.delete(which), "delete {which:?}");
    }

    pub(super) async fn everything_agrees(&self) {
        let expected: Vec<&Point> = self.naive.points.values().collect();
        let got = self.store.scroll(self.tenant, &self.spec.name, None, None, 10_000, ALL).await.unwrap();
        assert_eq!(got.len(), expected.len());
        got.iter().zip(&expected).for_each(|(got, expected)| same_point(got, expected));
        let found = self.store.collection(self.tenant, &self.spec.name).await.unwrap();
        assert_eq!((found.points, found.spec), (expected.len() as u64, self.spec.clone()));
    }

    pub(super) async fn readers_agree(&self, filter: &Filter, draw: &mut Draw) {
        let (tenant, name) = (self.tenant, self.spec.name.as_str());
        let expected = self.naive.matching(Some(filter));
        let count = self.store.count(tenant, name, Some(filter)).await.unwrap();
        assert_eq!(count, expected.len() as u64, "count of {filter:?}");
        let ids: Vec<&str> = expected.iter().map(|point| point.id.as_str()).collect();
        assert_eq!(self.paged(filter, 1 + draw.below(9)).await, ids, "scroll of {filter:?}");
        for field in ["kind", "size", "weight", "open", "it's; a.b", "nowhere"] {
            let limit = 1 + draw.below(12);
            let got = self.store.facet(tenant, name, field, Some(filter), limit).await.unwrap();
            let expected = self.naive.facet(field, Some(filter), limit);
            let same = got.len() == expected.len()
                && got.iter().zip(&expected).all(|(a, b)| a.1 == b.1 && super::super::naive::equal(&a.0, &b.0));
            assert!(same, "facet {field} of {filter:?}: got {got:?}, expected {expected:?}");
        }
        let near = draw.vector();
        self.search_agrees(&near, filter, 1 + draw.below(20)).await;
    }

    /// Page by page, each beginning after the last id of the one before.
    async fn paged(&self, filter: &Filter, size: usize) -> Vec<String> {
        let with = With { text: false, metadata: false, vector: false };
        let (mut ids, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let page =
                self.store.scroll(self.tenant, &self.spec.name, Some(filter), after.as_deref(), size, with).await;
            let page = page.unwrap();
            assert!(page.len() <= size);
            ids.extend(page.iter().map(|point| point.id.clone()));
            match page.last() {
                Some(last) if page.len() == size => after = Some(last.id.clone()),
                _ => return ids,
            }
        }
    }

    async fn search_agrees(&self, near: &[f32], filter: &Filter, limit: usize) {
        let near_to = Near::Vector(near.to_vec());
        let exact = Query { near: near_to, filter: Some(filter.clone()), limit, ef: Some(64), exact: true, with: ALL };
        let expected = self.naive.nearest(self.spec.metric, near, Some(filter));
        let got = self.store.search(self.tenant, &self.spec.name, &exact).await.unwrap();
        self.same_hits(&got, &expected, limit);
        let approximate = Query { exact: false, ..exact };
        let got = self.store.search(self.tenant, &self.spec.name, &approximate).await.unwrap();
        assert!(got.len() <= limit && (got.is_empty() == expected.is_empty()), "{filter:?}: {}", got.len());
        let sign = if self.spec.metric == Metric::Euclidean { -1.0 } else { 1.0 };
        assert!(got.windows(2).all(|two| two[0].score * sign >= two[1].score * sign), "best first");
        for hit in &got {
            let (_, score) = expected.iter().find(|(id, _)| *id == hit.point.id).expect("fulfils the filter, once");
            assert!((f64::from(hit.score) - score).abs() < NEAR_ENOUGH, "{}: {} != {score}", hit.point.id, hit.score);
            same_point(&hit.point, &self.naive.points[&hit.point.id]);
        }
    }

    /// In the model's order, but for scores too near to tell apart; equal ones by id.
    fn same_hits(&self, got: &[Hit], expected: &[(String, f64)], limit: usize) {
        assert_eq!(got.len(), expected.len().min(limit));
        for (hit, (id, score)) in got.iter().zip(expected) {
            assert!((f64::from(hit.score) - score).abs() < NEAR_ENOUGH, "{id}: {} != {score}", hit.score);
            let (_, of_hit) = expected.iter().find(|(id, _)| *id == hit.point.id).expect("fulfils the filter");
            assert!(hit.point.id == *id || (0.0 < (of_hit - score).abs() && (of_hit - score).abs() < NEAR_ENOUGH));
            same_point(&hit.point, &self.naive.points[&hit.point.id]);
        }
    }
}

fn same_point(got: &Point, expected: &Point) {
    assert_eq!((&got.id, &got.text, &got.metadata), (&expected.id, &expected.text, &expected.metadata));
    let near = got.vector.iter().zip(&expected.vector).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(near && got.vector.len() == expected.vector.len(), "{}: {:?} != {:?}", got.id, got.vector, expected.vector);
}
