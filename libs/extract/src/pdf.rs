//! A PDF file → the text of its pages, read by a process of its own.
//!
//! A PDF is a program of somebody else: it can be nested until the stack ends, inflate until the memory ends, or never end. None of
//! this can be caught inside a process, so the file is handed to a child (this same program, called with a word of its own) that has limits on
//! memory, processor time and output, no environment, and dies with us. Whatever becomes of the child, the server only learns that
//! this one file could not be read.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use rustix::fs::{MemfdFlags, memfd_create};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt as _, process::Command, sync::Semaphore};
use weft_kit::{Call, ToolError};

mod child;
mod page;
pub use child::run;

/// The first argument that makes a program the reader of one PDF.
const WORD: &str = "__weft-pdf";
/// Files that are read at once.
const AT_ONCE: usize = 2;
/// Bytes of the text of all pages together, as it is told.
const TEXT: u64 = 64 << 20;
/// The child ends itself after its seconds; this much later it is ended.
const GRACE: Duration = Duration::from_secs(2);

/// How much a PDF file may ask of the process that reads it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PdfLimits {
    /// Bytes of one file; larger ones are passed over.
    pub file_bytes: u64,
    /// Pages of one file; what follows is left out.
    pub pages: usize,
    /// Bytes of text of one page; what follows is left out.
    pub page_bytes: usize,
    /// Bytes of memory that reading may take.
    pub memory_bytes: u64,
    /// Seconds that reading may take.
    pub seconds: u64,
    /// The program that reads, called as `weft` would call itself; this one if not said.
    pub program: Option<PathBuf>,
}

impl Default for PdfLimits {
    fn default() -> Self {
        Self {
            file_bytes: 32 << 20,
            pages: 2_000,
            page_bytes: 128 << 10,
            memory_bytes: 512 << 20,
            seconds: 20,
            program: None,
        }
    }
}

/// What the child is told, as its second argument.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Task {
    pages: usize,
    text_bytes: usize,
    memory_bytes: u64,
    seconds: u64,
}

/// What the child answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Read(Readable),
    Refused(String),
}

/// What can be read of a PDF.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readable {
    /// What the file calls itself.
    pub title: Option<String>,
    /// In their order; a page without text is empty.
    pub pages: Vec<String>,
    /// There are more pages, or more text on one, than may be read.
    pub cut: bool,
}

/// What reads PDF files.
#[derive(Debug)]
pub struct Reader {
    program: PathBuf,
    limits: PdfLimits,
    turns: Semaphore,
}

impl Reader {
    /// With another program than this one if the operator names it.
    pub fn new(limits: &PdfLimits) -> Self {
        // The kernel's name for the running program holds even when its file was replaced meanwhile.
        let program = limits.program.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        Self { program, limits: limits.clone(), turns: Semaphore::new(AT_ONCE) }
    }

    /// Bytes of a file that may be read.
    pub fn file_bytes(&self) -> u64 {
        self.limits.file_bytes
    }

    /// The pages of a file, or why they cannot be read; an error only if the call ends.
    pub async fn read(&self, call: &Call, file: File) -> Result<Result<Readable, String>, ToolError> {
        let _turn = call.run(self.turns.acquire()).await?;
        let time = Duration::from_secs(self.limits.seconds) + GRACE;
        // Dropped with the call, the child is killed.
        let read = call.run(tokio::time::timeout(time, self.ask(file))).await?;
        Ok(read.unwrap_or_else(|_| Err(format!("not read within {} seconds", self.limits.seconds))))
    }

    /// The same of bytes that were read from elsewhere.
    pub async fn read_bytes(&self, call: &Call, bytes: &[u8]) -> Result<Result<Readable, String>, ToolError> {
        let file = in_memory(bytes).map_err(|error| ToolError::internal(&error))?;
        self.read(call, file).await
    }

    async fn ask(&self, file: File) -> Result<Readable, String> {
        let PdfLimits { pages, page_bytes, memory_bytes, seconds, .. } = self.limits;
        let task = Task { pages, text_bytes: page_bytes, memory_bytes, seconds };
        let task = serde_json::to_string(&task).map_err(|error| error.to_string())?;
        let failed = |error: std::io::Error| {
            tracing::error!(why = %error, "the reader of PDF files cannot be started");
            "the reader of PDF files cannot be started".to_owned()
        };
        let mut child = Command::new(&self.program)
            .arg(WORD)
            .arg(task)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(file))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut told = Vec::new();
        if let Some(out) = child.stdout.take() {
            out.take(TEXT + 1).read_to_end(&mut told).await.map_err(failed)?;
        }
        if told.len() as u64 > TEXT {
            return Err("it holds more text than may be read".to_owned());
        }
        let status = child.wait().await.map_err(failed)?;
        match serde_json::from_slice(&told) {
            Ok(Answer::Read(readable)) if status.success() => Ok(readable),
            Ok(Answer::Refused(why)) => Err(why),
            _ => {
                tracing::debug!(%status, "a PDF file ended its reader");
                Err("it is damaged, or needs more memory or time than it may have".to_owned())
            }
        }
    }
}

/// A file without a name, which the reader is handed.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("weft-pdf", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
