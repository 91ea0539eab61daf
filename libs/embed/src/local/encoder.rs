//! Tokens → one vector for each: the encoder of BERT (Devlin et al. 2019) and of RoBERTa, which is the same but for its positions.
//!
//! Texts of one batch lie behind each other in one matrix, without padding: what works on single tokens works on all of them at once, and
//! attention looks at each text by itself. So a text gets the same vector in any company.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayViewMut1, Axis, s};

use super::{
    LoadError,
    card::Shape,
    tokens::Tokens,
    weights::{Linear, Weights},
};

/// The encoder's weights.
#[derive(Debug)]
pub(crate) struct Encoder {
    words: Array2<f32>,
    places: Array2<f32>,
    kinds: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    first_place: usize,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    mixed: Linear,
    mixed_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
    activation: fn(f32) -> f32,
}

#[derive(Debug)]
struct Norm {
    scale: Array1<f32>,
    shift: Array1<f32>,
    epsilon: f32,
}

/// Where each text of a batch lies.
pub(crate) type Spans = Vec<Range<usize>>;

impl Encoder {
    pub(crate) fn load(weights: &Weights<'_>, shape: &Shape) -> Result<Self, LoadError> {
        let width = shape.hidden_size;
        let table = |name: &str| weights.table(&format!("embeddings.{name}_embeddings"), width);
        let layers = (0..shape.num_hidden_layers).map(|number| Layer::load(weights, shape, number));
        Ok(Self {
            words: table("word")?,
            places: table("position")?,
            kinds: table("token_type")?,
            norm: Norm::load(weights, "embeddings.LayerNorm", shape)?,
            layers: layers.collect::<Result<_, _>>()?,
            heads: shape.num_attention_heads,
            first_place: shape.first_place(),
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let tables = self.words.len() + self.places.len() + self.kinds.len();
        let layers: usize =
            self.layers.iter().map(|layer| layer.linears().map(Linear::bytes).iter().sum::<usize>()).sum();
        tables * size_of::<f32>() + layers
    }

    /// The vectors of all tokens, text behind text.
    pub(crate) fn of(&self, texts: &[Tokens]) -> (Array2<f32>, Spans) {
        let total = texts.iter().map(|text| text.ids.len()).sum();
        let mut rows = Array2::zeros((total, self.words.ncols()));
        let (mut spans, mut at) = (Vec::with_capacity(texts.len()), 0);
        for text in texts {
            for (place, (id, kind)) in text.ids.iter().zip(&text.kinds).enumerate() {
                self.begin(rows.row_mut(at + place), (*id, *kind, place));
            }
            spans.push(at..at + text.ids.len());
            at += text.ids.len();
        }
        self.norm.apply(&mut rows);
        for layer in &self.layers {
            rows = layer.of(rows, &spans, self.heads);
        }
        (rows, spans)
    }

    /// What is looked up of a token; what the tables do not have counts as nothing.
    fn begin(&self, mut row: ArrayViewMut1<'_, f32>, (id, kind, place): (usize, usize, usize)) {
        let looked_up = [(&self.words, id), (&self.places, self.first_place + place), (&self.kinds, kind)];
        for (table, number) in looked_up.into_iter().filter(|(table, number)| *number < table.nrows()) {
            row += &table.row(number);
        }
    }
}

impl Layer {
    fn load(weights: &Weights<'_>, shape: &Shape, number: usize) -> Result<Self, LoadError> {
        let (width, wide) = (shape.hidden_size, shape.intermediate_size);
        let own = |name: &str| format!("encoder.layer.{number}.{name}");
        let linear = |name: &str, from, to| weights.linear(&own(name), from, to);
        let norm = |name: &str| Norm::load(weights, &own(name), shape);
        let activation = match shape.hidden_act.as_str() {
            "gelu" => gelu,
            "gelu_new" | "gelu_pytorch_tanh" => gelu_tanh,
            "relu" => |x: f32| x.max(0.0),
            other => return Err(weights.refuse(format!("the activation {other:?} is not known"))),
        };
        Ok(Self {
            query: linear("attention.self.query", width, width)?,
            key: linear("attention.self.key", width, width)?,
            value: linear("attention.self.value", width, width)?,
            mixed: linear("attention.output.dense", width, width)?,
            mixed_norm: norm("attention.output.LayerNorm")?,
            wide: linear("intermediate.dense", width, wide)?,
            narrow: linear("output.dense", wide, width)?,
            norm: norm("output.LayerNorm")?,
            activation,
        })
    }

    fn linears(&self) -> [&Linear; 6] {
        [&self.query, &self.key, &self.value, &self.mixed, &self.wide, &self.narrow]
    }

    fn of(&self, rows: Array2<f32>, spans: &Spans, heads: usize) -> Array2<f32> {
        let mut mixed = self.mixed.of(&self.attention(&rows, spans, heads));
        mixed += &rows;
        self.mixed_norm.apply(&mut mixed);
        let mut wide = self.wide.of(&mixed);
        wide.mapv_inplace(self.activation);
        let mut out = self.narrow.of(&wide);
        out += &mixed;
        self.norm.apply(&mut out);
        out
    }

    /// Each token as a mixture of the tokens of its text, head by head.
    fn attention(&self, rows: &Array2<f32>, spans: &Spans, heads: usize) -> Array2<f32> {
        let (mut query, key, value) = (self.query.of(rows), self.key.of(rows), self.value.of(rows));
        let width = rows.ncols() / heads;
        let root = u16::try_from(width).map_or(1.0, f32::from).sqrt();
        query.mapv_inplace(|element| element / root);
        let mut mixed = Array2::zeros(rows.raw_dim());
        for span in spans {
            for head in 0..heads {
                let part = s![span.clone(), head * width..(head + 1) * width];
                let mut weights = query.slice(part).dot(&key.slice(part).t());
                weights.rows_mut().into_iter().for_each(softmax);
                mixed.slice_mut(part).assign(&weights.dot(&value.slice(part)));
            }
        }
        mixed
    }
}

impl Norm {
    fn load(weights: &Weights<'_>, name: &str, shape: &Shape) -> Result<Self, LoadError> {
        let row = |part: &str| weights.row(&format!("{name}.{part}"), shape.hidden_size);
        Ok(Self { scale: row("weight")?, shift: row("bias")?, epsilon: shape.layer_norm_eps })
    }

    /// Brings each row to mean 0 and variance 1, then scales and shifts it.
    fn apply(&self, rows: &mut Array2<f32>) {
        for mut row in rows.axis_iter_mut(Axis(0)) {
            let mean = row.mean().unwrap_or_default();
            row -= mean;
            let variance = row.iter().map(|element| element * element).sum::<f32>() / length(row.len());
            row /= (variance + self.epsilon).sqrt();
            row *= &self.scale;
            row += &self.shift;
        }
    }
}

/// A length as a float; rows are short.
pub(crate) fn length(length: usize) -> f32 {
    u16::try_from(length).map_or(f32::from(u16::MAX), f32::from)
}

/// Weights that sum up to one.
fn softmax(mut row: ArrayViewMut1<'_, f32>) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.mapv_inplace(|element| (element - most).exp());
    let sum = row.sum();
    row /= sum;
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

fn gelu_tanh(x: f32) -> f32 {
    let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}

/// The error function, to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let sum = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_activations_are_what_their_definitions_say() {
        // erf and gelu by their series, to six digits.
        for (x, value) in [(0.0, 0.0), (0.5, 0.520_499_9), (-1.0, -0.842_700_8), (3.0, 0.999_977_9)] {
            assert!((erf(x) - value).abs() < 1e-6, "erf {x}");
        }
        for (x, value) in [(1.0, 0.841_344_7), (-1.0, -0.158_655_3), (4.0, 3.999_873_4)] {
            assert!((gelu(x) - value).abs() < 2e-6, "gelu {x}");
            assert!((gelu_tanh(x) - value).abs() < 1e-3, "gelu_tanh {x}");
        }
    }
}
