//! The score of two vectors by a metric, for stores whose own distances are rounded or mean something else.

pub(crate) use crate::distance::nearer;
use crate::model::Metric;

/// In the metric's own terms (see [`crate::model::Hit`]). The cosine with a zero vector is 0.
#[expect(clippy::cast_possible_truncation, reason = "a score is shown in single precision, as vectors are kept")]
pub(crate) fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let score = match metric {
        Metric::Dot => dot(a, b),
        Metric::Euclidean => pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        Metric::Cosine => {
            let lengths = (dot(a, a) * dot(b, b)).sqrt();
            if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
        }
    };
    score as f32
}

/// Best first, ties by id.
pub(crate) fn best(metric: Metric, scored: &mut Vec<(String, f32)>, limit: usize) {
    scored.sort_by(|a, b| nearer(metric, a.1, b.1).then_with(|| a.0.cmp(&b.0)));
    scored.truncate(limit);
}
