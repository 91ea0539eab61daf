//! The graph by itself: what a walk finds, what a file keeps.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use roaring::RoaringBitmap;

use super::{
    codes::{Codes, Shape},
    file,
    hnsw::{Hnsw, Width},
};

const WIDTH: Width = Width { links: 8, looked_at: 64 };

fn vectors(count: usize, dimensions: usize, far: f32) -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(3);
    let mut vector = || (0..dimensions).map(|_| far + random.random_range(-1.0_f32..1.0)).collect();
    (0..count).map(|_| vector()).collect()
}

fn graph(shape: Shape, vectors: &[Vec<f32>]) -> Hnsw {
    let mut graph = Hnsw::new(Codes::around(shape, vectors), WIDTH);
    for (number, vector) in vectors.iter().enumerate() {
        let placed = graph.place(u32::try_from(number).unwrap() * 3, vector);
        graph.link(placed);
    }
    graph
}

fn nearest(vectors: &[Vec<f32>], query: &[f32], wanted: &RoaringBitmap, count: usize) -> Vec<u32> {
    let far = |vector: &[f32]| vector.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let numbered = vectors.iter().enumerate().map(|(at, vector)| (far(vector), u32::try_from(at).unwrap() * 3));
    let mut all: Vec<_> = numbered.filter(|(_, number)| wanted.contains(*number)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().take(count).map(|(_, number)| number).collect()
}

#[test]
fn a_walk_finds_nearly_all_that_is_near_and_only_what_is_wanted() {
    // Far from the origin, where eight bits without a centre would see one point only.
    let vectors = vectors(1_500, 16, 1_000.0);
    let graph = graph(Shape { dimensions: 16, turned: false, bits: false }, &vectors);
    let all: RoaringBitmap = (0..1_500).map(|at| at * 3).collect();
    let some: RoaringBitmap = (0..1_500).step_by(4).map(|at| at * 3).collect();
    for wanted in [&all, &some] {
        let mut hits = 0;
        for query in &self::vectors(40, 16, 1_000.0) {
            let found = graph.search(&graph.codes.code(query), 60, wanted, &|| false).unwrap();
            assert!(found.len() == 60 && found.iter().all(|number| wanted.contains(*number)));
            let exact = nearest(&vectors, query, wanted, 10);
            hits += exact.iter().filter(|number| found.contains(number)).count();
        }
        assert!(hits >= 392, "{hits} of 400");
    }
    assert!(graph.search(&graph.codes.code(&vectors[0]), 1_500, &all, &|| true).is_none(), "nobody waits");
}

#[test]
fn a_graph_is_read_as_it_was_written_and_a_damaged_file_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hnsw");
    for bits in [false, true] {
        let shape = Shape { dimensions: 70, turned: true, bits };
        let vectors = vectors(300, 70, 0.0);
        let graph = graph(shape, &vectors);
        file::save(&path, &graph).unwrap();
        let again = file::load(&path, shape, WIDTH, 900).unwrap().unwrap();
        assert_eq!(
            format!("{:?}", (&again.codes, &again.links, again.entry)),
            format!("{:?}", (&graph.codes, &graph.links, graph.entry))
        );
        assert_eq!((&again.numbers, &again.upper), (&graph.numbers, &graph.upper));
        assert!(file::load(&path, shape, WIDTH, 897).unwrap().is_none(), "it knows a point that was never given");
        assert!(file::load(&path, Shape { bits: !bits, ..shape }, WIDTH, 900).unwrap().is_none());
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 3, 11, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(file::load(&path, shape, WIDTH, 900).unwrap().is_none(), "{cut}");
        }
        let mut other = whole.clone();
        other[whole.len() / 3] ^= 4;
        std::fs::write(&path, other).unwrap();
        assert!(file::load(&path, shape, WIDTH, 900).unwrap().is_none());
    }
}

#[test]
fn a_graph_of_equal_points_and_of_few_can_be_walked() {
    let shape = Shape { dimensions: 3, turned: false, bits: false };
    let all: RoaringBitmap = (0..600).collect();
    for count in [1, 2, 200] {
        let graph = graph(shape, &vec![vec![1.0, 2.0, 3.0]; count]);
        let found = graph.search(&graph.codes.code(&[1.0, 2.0, 3.0]), count, &all, &|| false).unwrap();
        assert_eq!(found.len(), count);
    }
    let none = Hnsw::new(Codes::around(shape, &[]), WIDTH);
    assert!(none.search(&none.codes.code(&[1.0, 0.0, 0.0]), 5, &all, &|| false).unwrap().is_empty());
}
