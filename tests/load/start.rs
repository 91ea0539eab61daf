//! What each program takes before anybody calls it: its size, the time until it says that it is ready, and its memory.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use weft_testkit::free_port;

use crate::{
    page::median,
    process::{Program, command},
    world::required,
};

/// How often each is started; medians are told.
const STARTS: usize = 7;
/// How far apart it is asked, and for how long.
const APART: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(30);
/// Everything in one process.
const UP: &[&str] = &["up"];
/// The programs, with what they are told besides where to listen. The first is all of them in one process.
const PROGRAMS: [(&str, &[&str]); 8] = [
    ("weft", UP),
    ("weft-gateway", &[]),
    ("weft-filesystem", &[]),
    ("weft-database", &[]),
    ("weft-vectorstore", &[]),
    ("weft-memory", &[]),
    ("weft-search", &[]),
    ("weft-aiml", &[]),
];

/// One program, medians of its starts.
struct Row {
    name: &'static str,
    /// Seconds to ready when the file of the program is not in memory, and when it is.
    cold: f64,
    warm: f64,
    /// MiB once it is ready.
    resident: f64,
}

/// Measures all programs of `WEFT_PROGRAMS` and prints the table.
pub(crate) fn run(quick: bool) -> Result<()> {
    let folder = required("WEFT_PROGRAMS")?;
    let starts = if quick { 1 } else { STARTS };
    let mut rows = Vec::new();
    for (name, words) in PROGRAMS {
        eprintln!("starting {name}");
        rows.push(row(&folder.join(name), (name, words), starts)?);
    }
    print(&rows, starts);
    Ok(())
}

fn row(program: &Path, (name, words): (&'static str, &[&str]), starts: usize) -> Result<Row> {
    let (mut cold, mut warm, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        forget(program)?;
        cold.push(start(program, words)?.0);
        let (ready, memory) = start(program, words)?;
        warm.push(ready);
        resident.push(memory);
    }
    Ok(Row { name, cold: median(cold), warm: median(warm), resident: median(resident) })
}

/// Lets the kernel drop what it holds of the file, so that the next start reads it from the disk.
fn forget(program: &Path) -> Result<()> {
    let file = fs::File::open(program).with_context(|| format!("cannot open {}", program.display()))?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).context("cannot drop a file from memory")
}

/// Starts it with nothing of its own yet; gives the seconds until it is ready, and its memory then.
fn start(program: &Path, words: &[&str]) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("root"))?;
    let (port, admin) = (free_port(), free_port());
    let mut run = command(program);
    run.args(words).args(["--log", "error", "--listen", &format!("127.0.0.1:{port}")]);
    run.args(["--admin", &format!("127.0.0.1:{admin}"), "--state"]).arg(folder.path().join("state"));
    if program.ends_with("weft") || program.ends_with("weft-filesystem") {
        run.arg("--root").arg(folder.path().join("root"));
    }
    if program.ends_with("weft-gateway") {
        // A gateway alone must be told where servers are; there are none.
        let mesh = folder.path().join("mesh.toml");
        fs::write(&mesh, "")?;
        run.args(["--registry", &format!("static:{}", mesh.display())]);
    }
    if words == UP {
        run.stdout(Stdio::piped());
    }
    let began = Instant::now();
    let mut program = Program::start(run, None)?;
    if words == UP {
        greeted(&mut program)?;
    } else {
        asked(admin, began)?;
    }
    let ready = began.elapsed().as_secs_f64();
    Ok((ready, program.resident()?))
}

/// Waits for the greeting of `weft up`, which comes when its servers' tools are known: its gateway alone is ready before.
fn greeted(program: &mut Program) -> Result<()> {
    let mut lines = BufReader::new(program.output()?).lines();
    let greeted = lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("endpoint"));
    // Somebody has to read on, or the program would stand still at its next line.
    std::thread::spawn(move || lines.for_each(drop));
    if greeted { Ok(()) } else { bail!("`weft up` ended before it said where it listens") }
}

/// Asks until it says that it is ready.
fn asked(admin: u16, began: Instant) -> Result<()> {
    while !is_ready(admin) {
        if began.elapsed() > PATIENCE {
            bail!("it was not ready in time");
        }
        std::thread::sleep(APART);
    }
    Ok(())
}

fn is_ready(admin: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", admin)) else { return false };
    let mut answer = String::new();
    socket.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").is_ok()
        && socket.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn print(rows: &[Row], starts: usize) {
    println!("## Start, size and memory\n");
    println!(
        "Each program started {starts} times with an empty state directory and nothing to find, medians. *Cold* is with the program's"
    );
    println!(
        "file dropped from memory before, *warm* with it there; both until its administration address says that it is ready, and of"
    );
    println!("`weft up` until it greets, when its gateway knows the tools of its servers.");
    println!(
        "Memory is resident, once it is ready. The program is stripped of symbols, as in its image; the image is that and a base"
    );
    println!("of C library and certificates made of Debian's packages, in millions of bytes.\n");
    println!("| program | cold start | warm start | MiB | program, MB | image, MB |");
    println!("|---|--:|--:|--:|--:|--:|");
    let sizes = env::var("WEFT_SIZES").unwrap_or_default();
    for Row { name, cold, warm, resident } in rows {
        let mut own =
            sizes.lines().map(str::split_whitespace).find_map(|mut words| (words.next()? == *name).then_some(words));
        let mut size = || own.as_mut().and_then(Iterator::next).unwrap_or("–");
        let name = if *name == "weft" { "weft up" } else { name };
        let (program, image) = (size(), size());
        println!("| `{name}` | {:.0} ms | {:.0} ms | {resident:.1} | {program} | {image} |", cold * 1e3, warm * 1e3);
    }
}
