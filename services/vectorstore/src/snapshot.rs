//! Snapshots: a collection as lines of JSON in a file, with a checksum over all of it.
//!
//! The first line is what was decided about the collection, then one line a point, the last line says how many there are and the SHA-256
//! of everything before it. A snapshot is read only after the whole file proved to be what was written. Each tenant has a folder of
//! its own.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use weft_kit::ToolError;

use crate::{
    check,
    model::{Point, Spec},
};

/// What the first line says that this is.
const FORMAT: u32 = 1;

/// All snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Head {
    weft_vectorstore_snapshot: u32,
    spec: Spec,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    vector: Vec<f32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    metadata: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Foot {
    points: u64,
    sha256: String,
}

/// A snapshot that is being written; it appears when it is finished.
pub(crate) struct Draft {
    out: BufWriter<File>,
    digest: Sha256,
    points: u64,
    beside: PathBuf,
    place: PathBuf,
}

/// A snapshot whose checksum is right.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) spec: Spec,
    pub(crate) points: u64,
    /// Of the whole file.
    pub(crate) sha256: String,
    left: u64,
    lines: BufReader<File>,
}

impl Snapshots {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Begins a snapshot; one of the same name is replaced when this one is finished.
    pub(crate) fn draft(&self, tenant: &str, name: &str, spec: &Spec) -> Result<Draft, ToolError> {
        let folder = self.tenant(tenant);
        fs::create_dir_all(&folder)?;
        let beside = folder.join(format!(".{}", Uuid::new_v4().simple()));
        let place = folder.join(format!("{}.jsonl", check::name(name)?));
        let out = BufWriter::new(File::create_new(&beside)?);
        let mut draft = Draft { out, digest: Sha256::new(), points: 0, beside, place };
        draft.line(&Head { weft_vectorstore_snapshot: FORMAT, spec: spec.clone() })?;
        Ok(draft)
    }

    /// Names and bytes, by name.
    pub(crate) fn list(&self, tenant: &str) -> Result<Vec<(String, u64)>, ToolError> {
        let entries = match fs::read_dir(self.tenant(tenant)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name =
                name.to_str().and_then(|name| name.strip_suffix(".jsonl")).filter(|name| check::name(name).is_ok());
            if let Some(name) = name {
                found.push((name.to_owned(), entry.metadata()?.len()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Deletes a snapshot.
    pub(crate) fn delete(&self, tenant: &str, name: &str) -> Result<(), ToolError> {
        let path = self.tenant(tenant).join(format!("{}.jsonl", check::name(name)?));
        fs::remove_file(path).map_err(|error| unknown(name, error))
    }

    /// Opens a snapshot and proves that it is whole.
    pub(crate) fn open(&self, tenant: &str, name: &str) -> Result<Proven, ToolError> {
        let path = self.tenant(tenant).join(format!("{}.jsonl", check::name(name)?));
        let mut lines = BufReader::new(File::open(path).map_err(|error| unknown(name, error))?);
        let (foot, sha256) = prove(&mut lines).map_err(|error| error.unwrap_or_else(|| damaged(name)))?;
        lines.rewind()?;
        let mut head = String::new();
        lines.read_line(&mut head)?;
        let head: Head = serde_json::from_str(&head).map_err(|_| damaged(name))?;
        if head.weft_vectorstore_snapshot != FORMAT {
            return Err(ToolError::conflict(format!("the snapshot `{name}` is of another format")));
        }
        Ok(Proven { spec: head.spec, points: foot.points, sha256, left: foot.points, lines })
    }

    fn tenant(&self, tenant: &str) -> PathBuf {
        let digest: String = Sha256::digest(tenant).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("t-{digest}"))
    }
}

impl Draft {
    /// Adds points.
    pub(crate) fn append(&mut self, points: Vec<Point>) -> Result<(), ToolError> {
        for Point { id, vector, text, metadata } in points {
            self.line(&Line { id, vector, text, metadata })?;
            self.points += 1;
        }
        Ok(())
    }

    /// Makes the snapshot appear; gives how many points it has, and its checksum.
    pub(crate) fn finish(mut self) -> Result<(u64, String), ToolError> {
        let sha256 = hex(&self.digest.finalize_reset());
        let foot = Foot { points: self.points, sha256: sha256.clone() };
        self.line(&foot)?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.beside, &self.place)?;
        if let Some(folder) = self.place.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok((self.points, sha256))
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), ToolError> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| ToolError::internal(&error))?;
        bytes.push(b'\n');
        self.digest.update(&bytes);
        Ok(self.out.write_all(&bytes)?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it is finished there is nothing left under this name.
        let _ = fs::remove_file(&self.beside);
    }
}

impl Proven {
    /// The next points; none at the end.
    pub(crate) fn next(&mut self, most: usize) -> Result<Vec<Point>, ToolError> {
        let mut points = Vec::new();
        while points.len() < most && self.left > 0 {
            let mut line = String::new();
            self.lines.read_line(&mut line)?;
            let Line { id, vector, text, metadata } =
                serde_json::from_str(&line).map_err(|_| damaged(&self.spec.name))?;
            let point = Point { id, vector, text, metadata };
            check::point(&point, &self.spec)?;
            points.push(point);
            self.left -= 1;
        }
        Ok(points)
    }
}

/// Reads everything: the last line must speak of all before it.
fn prove(lines: &mut BufReader<File>) -> Result<(Foot, String), Option<ToolError>> {
    let mut digest = Sha256::new();
    let mut last = Vec::new();
    let mut count = 0_u64;
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line).map_err(|error| Some(error.into()))? == 0 {
            break;
        }
        digest.update(&last);
        last = line;
        count += 1;
    }
    let foot: Foot = serde_json::from_slice(&last).map_err(|_| None)?;
    let sha256 = hex(&digest.finalize());
    if foot.sha256 == sha256 && count == foot.points + 2 { Ok((foot, sha256)) } else { Err(None) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn damaged(name: &str) -> ToolError {
    ToolError::new("damaged", format!("the snapshot `{}` is not what was written", check::shorten(name)))
        .hint("take a new snapshot, or restore an older one")
}

fn unknown(name: &str, error: io::Error) -> ToolError {
    match error.kind() {
        io::ErrorKind::NotFound => ToolError::not_found(format!("there is no snapshot `{}`", check::shorten(name)))
            .hint("list_snapshots shows those that there are"),
        _ => error.into(),
    }
}
