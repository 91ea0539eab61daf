//! The fuzz targets over their seeds and thousands of damaged copies of them, the same ones in every run.

use std::{fs, io, path::Path};

use crate::targets;

const COPIES: usize = 1500;
/// What damage puts in: the bytes that mean something to one of the formats.
const SPICE: &[u8] = b"{}[]\",:\\u0d8ef-+.1eE \t\r\n\x00\x7f\x80\xc3\xa9\xef\xbb\xbf=?;az\x1f";

#[test]
fn envelopes_keep_their_promises_on_damaged_seeds() {
    run("envelope", targets::envelope::check).unwrap();
}

#[test]
fn headers_keep_their_promises_on_damaged_seeds() {
    run("headers", targets::headers::check).unwrap();
}

#[test]
fn streams_keep_their_promises_on_damaged_seeds() {
    run("sse", targets::sse::check).unwrap();
}

fn run(target: &str, check: fn(&[u8])) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    let seeds = files.iter().map(fs::read).collect::<io::Result<Vec<_>>>()?;
    assert!(seeds.len() >= 8, "only {} seeds", seeds.len());
    let mut draw = Draw(0x5eed);
    for seed in &seeds {
        check(seed);
        for _ in 0..COPIES {
            check(&damaged(seed, &seeds, &mut draw));
        }
    }
    Ok(())
}

fn damaged(seed: &[u8], seeds: &[Vec<u8>], draw: &mut Draw) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=draw.below(4) {
        let (at, length) = (draw.below(bytes.len() + 1), draw.below(12));
        let end = (at + length).min(bytes.len());
        match draw.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, SPICE[draw.below(SPICE.len())]),
            2 if at < bytes.len() => bytes[at] = SPICE[draw.below(SPICE.len())],
            3 if at < bytes.len() => bytes[at] ^= 1 << draw.below(8),
            4 => {
                let copy = bytes[at..end].to_vec();
                let to = draw.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let other = &seeds[draw.below(seeds.len())];
                let from = draw.below(other.len() + 1);
                let part = &other[from..(from + 40).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
    bytes
}

/// Xorshift (Marsaglia 2003): enough to wander, the same everywhere.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound.max(1)
    }
}
