//! The process that reads one PDF: standard input → one line of JSON, within limits that it sets for itself first.
//!
//! It stands apart from the server because it may die: of a stack that ends, of memory that is refused, of time that is over.

use std::{
    io::{Read as _, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use lopdf::{Dictionary, Document, LoadOptions, Object};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::{Answer, Readable, Task, WORD, page::Texts};

/// Address space beside what there is and what may be used, for the thread that watches.
const RESERVED: u64 = 256 << 20;
/// How often it is looked whether the limits are kept.
const LOOKED: Duration = Duration::from_millis(5);

/// Becomes the reader when the arguments of this process say so; to be called first thing in `main`. None for any other arguments.
pub fn run() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != *WORD {
        return None;
    }
    let task: Option<Task> = words.next().and_then(|task| serde_json::from_str(task.to_str()?).ok());
    Some(task.map_or(ExitCode::FAILURE, work))
}

fn work(task: Task) -> ExitCode {
    if confine(task).is_err() {
        return ExitCode::FAILURE;
    }
    std::thread::spawn(move || watch(task));
    let mut bytes = Vec::new();
    let answer = match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => read(&bytes, task),
        Err(_) => Answer::Refused("it cannot be read".to_owned()),
    };
    let told = serde_json::to_vec(&answer).ok().and_then(|told| std::io::stdout().lock().write_all(&told).ok());
    if told.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends the process when its time is over, or when it has more memory than it may: the kernel counts what is reserved, and
/// allocators reserve much more than they use.
fn watch(task: Task) {
    let start = Instant::now();
    let before = size().map_or(0, |(_, resident)| resident);
    loop {
        std::thread::sleep(LOOKED);
        if start.elapsed() >= Duration::from_secs(task.seconds) {
            std::process::exit(3);
        }
        if size().is_none_or(|(_, resident)| resident.saturating_sub(before) > task.memory_bytes) {
            std::process::exit(4);
        }
    }
}

/// Bytes of address space and of memory that this process has.
fn size() -> Option<(u64, u64)> {
    let told = std::fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| {
        let rest = told.lines().find_map(|line| line.strip_prefix(name))?;
        rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|size| size << 10)
    };
    Some((bytes("VmSize:")?, bytes("VmRSS:")?))
}

/// Sets the limits, which hold for as long as this process lives.
fn confine(task: Task) -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limit = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    let (there, _) = size().ok_or(rustix::io::Errno::NOENT)?;
    setrlimit(Resource::As, limit(there.saturating_add(task.memory_bytes).saturating_add(RESERVED)))?;
    setrlimit(Resource::Cpu, limit(task.seconds.max(1)))?;
    setrlimit(Resource::Core, limit(0))?;
    // Nothing is written, and no other program started.
    setrlimit(Resource::Fsize, limit(0))?;
    setrlimit(Resource::Nofile, limit(8))
}

fn read(bytes: &[u8], task: Task) -> Answer {
    let refused = |why: &str| Answer::Refused(why.to_owned());
    // Half for what a stream inflates to, as it is parsed into something larger again.
    let most = usize::try_from(task.memory_bytes / 8).unwrap_or(usize::MAX);
    let options = LoadOptions { max_decompressed_size: Some(most), ..LoadOptions::default() };
    let document = match Document::load_mem_with_options(bytes, options) {
        Ok(document) => document,
        Err(lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_)) => return refused("it is encrypted"),
        Err(lopdf::Error::Decompress(_)) => return refused("it inflates to more than may be read"),
        Err(_) => return refused("it is damaged, or no PDF"),
    };
    if document.is_encrypted() && !document.was_encrypted() {
        return refused("it is encrypted");
    }
    let mut readable = Readable { title: title(&document), ..Readable::default() };
    for id in document.page_iter() {
        if readable.pages.len() >= task.pages {
            readable.cut = true;
            break;
        }
        let text = Texts::new(&document, most, task.text_bytes).page(id);
        readable.cut |= text.len() >= task.text_bytes;
        readable.pages.push(text);
    }
    if readable.pages.is_empty() { refused("it is damaged: it has no pages") } else { Answer::Read(readable) }
}

fn title(document: &Document) -> Option<String> {
    let info = match document.trailer.get(b"Info").ok()? {
        Object::Reference(id) => document.get_dictionary(*id).ok()?,
        Object::Dictionary(info) => info,
        _ => return None,
    };
    let text = |info: &Dictionary| lopdf::decode_text_string(info.get(b"Title").ok()?).ok();
    text(info).map(|title| title.trim().chars().take(500).collect::<String>()).filter(|title| !title.is_empty())
}
