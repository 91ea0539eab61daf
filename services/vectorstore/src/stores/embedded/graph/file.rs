//! A graph ↔ one file.
//!
//! Little-endian numbers one after the other and a checksum at the end. The file is derived: one that is cut off, of another form or of
//! another kind of graph is worth nothing, and reading it gives `None`.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    path::Path,
};

use super::{
    codes::{Codes, Shape},
    hnsw::{Hnsw, Width},
};

/// The form of the file; another form has another name.
const FORM: &[u8; 8] = b"weftgr01";

/// Replaces the file.
pub(super) fn save(path: &Path, graph: &Hnsw) -> io::Result<()> {
    let mut out = Out { file: io::BufWriter::new(tempfile(path)?), sum: crc32fast::Hasher::new() };
    let shape = graph.codes.shape;
    out.bytes(FORM)?;
    for number in [shape.dimensions, shape.turned.into(), shape.bits.into(), graph.width.links, graph.width.looked_at] {
        out.size(number)?;
    }
    out.all(&graph.codes.centre, |one| one.to_le_bytes())?;
    out.all(&graph.numbers, |one| one.to_le_bytes())?;
    out.all(&graph.codes.bytes, |one| one.to_le_bytes())?;
    out.all(&graph.codes.facts, |(step, square)| {
        (u64::from(square.to_bits()) << 32 | u64::from(step.to_bits())).to_le_bytes()
    })?;
    out.all(&graph.codes.words, |one| one.to_le_bytes())?;
    out.all(&graph.links, |one| one.to_le_bytes())?;
    let (slot, level) = graph.entry.unwrap_or_default();
    out.all(&[slot, u32::try_from(level).unwrap_or_default()], |one| one.to_le_bytes())?;
    out.size(graph.upper.len())?;
    for (slot, levels) in &graph.upper {
        out.bytes(&slot.to_le_bytes())?;
        out.size(levels.len())?;
        for links in levels {
            out.all(links, |one| one.to_le_bytes())?;
        }
    }
    let sum = out.sum.clone().finalize();
    out.bytes(&sum.to_le_bytes())?;
    let file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(path.with_extension("new"), path)
}

/// Reads a graph of a shape; one whose points number `next` or more is of another collection.
pub(super) fn load(path: &Path, shape: Shape, width: Width, next: u64) -> io::Result<Option<Hnsw>> {
    match fs::read(path) {
        Ok(bytes) => Ok(read(&bytes, shape, width, next)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn tempfile(path: &Path) -> io::Result<fs::File> {
    fs::File::create(path.with_extension("new"))
}

fn read(bytes: &[u8], shape: Shape, width: Width, next: u64) -> Option<Hnsw> {
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let mut rest = In(body);
    if rest.take(FORM.len())? != FORM {
        return None;
    }
    for expected in [shape.dimensions, shape.turned.into(), shape.bits.into(), width.links, width.looked_at] {
        if rest.size()? != expected {
            return None;
        }
    }
    let centre = rest.all(f32::from_le_bytes)?;
    let numbers = rest.all(u32::from_le_bytes)?;
    let bytes = rest.all(i8::from_le_bytes)?;
    let facts = rest.all(|both: [u8; 8]| {
        let [step, square] = [0, 4].map(|at| [both[at], both[at + 1], both[at + 2], both[at + 3]]);
        (f32::from_le_bytes(step), f32::from_le_bytes(square))
    })?;
    let words = rest.all(u64::from_le_bytes)?;
    let links = rest.all(u32::from_le_bytes)?;
    let entry = rest.all(u32::from_le_bytes)?;
    let mut upper = HashMap::new();
    for _ in 0..rest.size()? {
        let slot = u32::from_le_bytes(*rest.take(4)?.first_chunk()?);
        let levels = (0..rest.size()?).map(|_| rest.all(u32::from_le_bytes)).collect::<Option<_>>()?;
        upper.insert(slot, levels);
    }
    let entry = (!numbers.is_empty()).then_some((*entry.first()?, *entry.get(1)? as usize));
    let graph = Hnsw { codes: Codes { shape, centre, bytes, facts, words }, width, numbers, links, upper, entry };
    fits(&graph, next).then_some(graph)
}

/// Whether every part has its length and every link an end.
fn fits(graph: &Hnsw, next: u64) -> bool {
    let (count, shape) = (graph.numbers.len(), graph.codes.shape);
    let (bytes, facts, words) =
        if shape.bits { (0, 0, count * shape.words()) } else { (count * shape.dimensions, count, 0) };
    let codes = &graph.codes;
    let lengths = codes.centre.len() == shape.dimensions
        && (codes.bytes.len(), codes.facts.len(), codes.words.len()) == (bytes, facts, words)
        && graph.links.len() == count * graph.row();
    let is_slot = |slot: &u32| (*slot as usize) < count;
    let rows = graph.links.chunks(graph.row()).all(|row| {
        let most = row.len() - 1;
        row.first().is_some_and(|links| (*links as usize) <= most && row[1..=*links as usize].iter().all(is_slot))
    });
    lengths
        && rows
        && graph.entry.is_none_or(|(slot, _)| is_slot(&slot))
        && graph.upper.iter().all(|(slot, levels)| is_slot(slot) && levels.iter().flatten().all(is_slot))
        && graph.numbers.is_sorted_by(|a, b| a < b)
        && graph.numbers.last().is_none_or(|last| u64::from(*last) < next)
}

struct Out {
    file: io::BufWriter<fs::File>,
    sum: crc32fast::Hasher,
}

impl Out {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.file.write_all(bytes)
    }

    fn size(&mut self, size: usize) -> io::Result<()> {
        self.bytes(&(size as u64).to_le_bytes())
    }

    fn all<T, const N: usize>(&mut self, all: &[T], form: impl Fn(&T) -> [u8; N]) -> io::Result<()> {
        self.size(all.len())?;
        let mut part = Vec::with_capacity(N * all.len().min(65_536));
        for some in all.chunks(65_536) {
            part.clear();
            some.iter().for_each(|one| part.extend_from_slice(&form(one)));
            self.bytes(&part)?;
        }
        Ok(())
    }
}

struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(*self.take(8)?.first_chunk()?)).ok()
    }

    fn all<T, const N: usize>(&mut self, form: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let length = self.size()?.checked_mul(N)?;
        Some(self.take(length)?.as_chunks::<N>().0.iter().map(|one| form(*one)).collect())
    }
}
