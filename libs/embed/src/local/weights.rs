//! `model.safetensors` → named matrices of 32-bit floats, each of the shape that the configuration promises.
//!
//! The file is read, not mapped: a map of a file that someone shortens ends the process, and a matrix has to be aligned anyway.

use std::{fs, path::Path};

use ndarray::{Array1, Array2};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::LoadError;

/// The tensors of one file.
#[derive(Debug)]
pub(crate) struct Weights<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    /// What stands before the encoder's names: nothing, or `bert.`, `roberta.`.
    prefix: &'static str,
}

/// A layer `y = x·Wᵀ + b`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

impl Linear {
    pub(crate) fn of(&self, rows: &Array2<f32>) -> Array2<f32> {
        let mut out = rows.dot(&self.weight.t());
        out += &self.bias;
        out
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.weight.len() + self.bias.len()) * size_of::<f32>()
    }
}

/// The whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|cause| LoadError::File { path: path.to_owned(), cause })
}

impl<'a> Weights<'a> {
    pub(crate) fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self, LoadError> {
        let wrong = |error: safetensors::SafeTensorError| LoadError::Unsupported {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let tensors = SafeTensors::deserialize(bytes).map_err(wrong)?;
        let begins = |prefix: &&&str| tensors.tensor(&format!("{prefix}embeddings.word_embeddings.weight")).is_ok();
        let prefix = ["", "bert.", "roberta."].iter().find(begins).copied().unwrap_or_default();
        Ok(Self { path, tensors, prefix })
    }

    /// A table of the encoder, with any number of rows.
    pub(crate) fn table(&self, name: &str, columns: usize) -> Result<Array2<f32>, LoadError> {
        self.matrix(&format!("{}{name}.weight", self.prefix), None, columns)
    }

    /// A row of the encoder.
    pub(crate) fn row(&self, name: &str, length: usize) -> Result<Array1<f32>, LoadError> {
        self.vector(&format!("{}{name}", self.prefix), length)
    }

    /// A layer of the encoder.
    pub(crate) fn linear(&self, name: &str, from: usize, to: usize) -> Result<Linear, LoadError> {
        self.head(&format!("{}{name}", self.prefix), from, to)
    }

    /// A layer behind the encoder.
    pub(crate) fn head(&self, name: &str, from: usize, to: usize) -> Result<Linear, LoadError> {
        let weight = self.matrix(&format!("{name}.weight"), Some(to), from)?;
        Ok(Linear { weight, bias: self.vector(&format!("{name}.bias"), to)? })
    }

    fn matrix(&self, name: &str, rows: Option<usize>, columns: usize) -> Result<Array2<f32>, LoadError> {
        let tensor = self.tensor(name)?;
        match tensor.shape() {
            [own, width] if *width == columns && rows.is_none_or(|rows| rows == *own) => {
                let shape = (*own, *width);
                Array2::from_shape_vec(shape, self.floats(name, &tensor)?)
                    .map_err(|error| self.refuse(format!("{name:?}: {error}")))
            }
            other => Err(self.refuse(format!("{name:?} has the shape {other:?}"))),
        }
    }

    fn vector(&self, name: &str, length: usize) -> Result<Array1<f32>, LoadError> {
        let tensor = self.tensor(name)?;
        if tensor.shape() != [length] {
            return Err(self.refuse(format!("{name:?} has the shape {:?}", tensor.shape())));
        }
        self.floats(name, &tensor).map(Array1::from_vec)
    }

    fn floats(&self, name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, LoadError> {
        floats(tensor).ok_or_else(|| self.refuse(format!("{name:?} is not of F32, F16 or BF16")))
    }

    /// Whether there is a tensor of this name behind the encoder.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'_>, LoadError> {
        self.tensors.tensor(name).map_err(|_| self.refuse(format!("it has no {name:?}")))
    }

    /// That the model cannot be computed.
    pub(crate) fn refuse(&self, why: String) -> LoadError {
        LoadError::Unsupported { path: self.path.to_owned(), why }
    }
}

fn floats(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = tensor.data();
    let pairs = || bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    match tensor.dtype() {
        Dtype::F32 => Some(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()),
        Dtype::BF16 => Some(pairs().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect()),
        Dtype::F16 => Some(pairs().map(half).collect()),
        _ => None,
    }
}

/// A half-precision number (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 0x1f, u32::from(bits) & 0x3ff);
    match exponent {
        // Below the smallest normal number: the fraction counts steps of 2^-24.
        0 => f32::from_bits(sign | (f32::from(bits & 0x3ff) / 16_777_216.0).to_bits()),
        0x1f => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_numbers_are_read_exactly() {
        let cases: [(u16, f32); 7] = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x8400, -6.103_515_6e-5),
            (0x0000, 0.0),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits).to_bits(), value.to_bits(), "{bits:#x}");
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
