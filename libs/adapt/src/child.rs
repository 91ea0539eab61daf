//! A program as a line of messages: started, read line by line, and ended in the order that MCP asks for (2025-11-25, stdio
//! shutdown): its input is closed, then it is asked to end, then it is made to.

use std::{
    process::Stdio,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use crate::{Options, Source, shim};

/// Messages that wait to be written to a program.
pub(crate) const QUEUE: usize = 256;
/// The time for each step of the end.
const STEP: Duration = Duration::from_secs(2);
/// What a line of a program's complaints is cut to.
const COMPLAINT: usize = 2000;

/// Both ends of a line, and what ends it.
pub(crate) struct Wire {
    pub(crate) to: mpsc::Sender<Bytes>,
    pub(crate) from: mpsc::Receiver<Bytes>,
    /// Ends the line; `from` ends when it has.
    pub(crate) stop: CancellationToken,
}

/// Starts the program.
pub(crate) async fn start(options: &Options) -> Result<Wire, String> {
    let Source::Command { program, arguments, variables, directory } = &options.source else {
        return Err("this is no program".into());
    };
    let mut command = match &options.shim {
        Some(shim) => {
            let mut command = Command::new(shim);
            command.arg(shim::WORD).arg(std::process::id().to_string()).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let kept = ["PATH", "HOME", "LANG", "TMPDIR"];
    command.envs(kept.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    // A shim that is killed cannot end what it has started: it is told of our end by the kernel, and does that.
    command.process_group(0).kill_on_drop(options.shim.is_none());
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let mut child = spawn(command).await.map_err(|error| format!("cannot start {program:?}: {error}"))?;
    let (Some(input), Some(output), Some(complaints)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("the program has no pipes".into());
    };
    let (to, queue) = mpsc::channel(QUEUE);
    let (tell, from) = mpsc::channel(QUEUE);
    let stop = CancellationToken::new();
    let name = Arc::clone(&options.name);
    tokio::spawn(complain(Arc::clone(&name), BufReader::new(complaints)));
    let ends = stop.clone();
    let limit = options.line_bytes;
    tokio::spawn(async move {
        let reading = read(&name, BufReader::new(output), limit, &tell);
        let closing = ends.clone();
        let writing = tokio::spawn(write(input, queue, closing));
        tokio::select! {
            () = reading => {}
            () = ends.cancelled() => {}
        }
        ends.cancel();
        // Closes the program's input.
        let _ = writing.await;
        end(&name, child).await;
        drop(tell);
    });
    Ok(Wire { to, from, stop })
}

/// Spawns from a thread that lives as long as we do: the kernel takes the end of the thread that started a process for the end of
/// its parent (prctl(2), `PR_SET_PDEATHSIG`), and threads of the runtime come and go.
async fn spawn(command: Command) -> std::io::Result<Child> {
    type Job = (Command, tokio::runtime::Handle, oneshot::Sender<std::io::Result<Child>>);
    static NURSE: OnceLock<std::sync::mpsc::Sender<Job>> = OnceLock::new();
    let gone = || std::io::Error::other("the thread that starts programs is gone");
    let nurse = NURSE.get_or_init(|| {
        let (give, jobs) = std::sync::mpsc::channel::<Job>();
        let work = move || {
            for (mut command, runtime, done) in jobs {
                let _entered = runtime.enter();
                // Nobody waits any more: the program is killed as it is dropped.
                let _ = done.send(command.spawn());
            }
        };
        if let Err(error) = std::thread::Builder::new().name("weft-children".into()).spawn(work) {
            tracing::error!(%error, "no thread for programs");
        }
        give
    });
    let (done, spawned) = oneshot::channel();
    nurse.send((command, tokio::runtime::Handle::current(), done)).map_err(|_| gone())?;
    spawned.await.map_err(|_| gone())?
}

async fn read(
    name: &str,
    mut output: BufReader<tokio::process::ChildStdout>,
    limit: usize,
    tell: &mpsc::Sender<Bytes>,
) {
    loop {
        let mut line = Vec::new();
        let bounded = (&mut output).take(limit as u64 + 1).read_until(b'\n', &mut line).await;
        match bounded {
            Ok(0) | Err(_) => return,
            Ok(read) if read > limit => {
                tracing::warn!(service = name, limit, "a program wrote a line longer than allowed; it is ended");
                return;
            }
            Ok(_) => {}
        }
        let text = line.trim_ascii();
        if text.first() != Some(&b'{') {
            if !text.is_empty() {
                tracing::debug!(service = name, line = shortened(text), "a line that is no message");
            }
            continue;
        }
        if tell.send(Bytes::copy_from_slice(text)).await.is_err() {
            return;
        }
    }
}

async fn write(mut input: ChildStdin, mut queue: mpsc::Receiver<Bytes>, stop: CancellationToken) {
    let mut line = BytesMut::new();
    while let Some(Some(message)) = stop.run_until_cancelled(queue.recv()).await {
        line.clear();
        // A message is one line, whatever its author did.
        line.extend(message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        line.extend_from_slice(b"\n");
        let written =
            stop.run_until_cancelled(async { input.write_all(&line).await.is_ok() && input.flush().await.is_ok() });
        if written.await != Some(true) {
            return;
        }
    }
}

/// What a program says on its standard error, as log lines.
async fn complain(name: Arc<str>, mut complaints: BufReader<tokio::process::ChildStderr>) {
    loop {
        let mut line = Vec::new();
        match (&mut complaints).take(64 << 10).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = line.trim_ascii();
                if !text.is_empty() {
                    tracing::info!(target: "weft::child", service = &*name, line = shortened(text));
                }
            }
        }
    }
}

fn shortened(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(COMPLAINT)]).into_owned()
}

async fn end(name: &str, mut child: Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
        if let (Some(signal), Some(group)) = (signal, group) {
            let _ = kill_process_group(group, signal);
        }
        if let Ok(ended) = tokio::time::timeout(STEP, child.wait()).await {
            let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            tracing::debug!(service = name, status, "a program has ended");
            break;
        }
    }
    if let Some(group) = group {
        // What it left behind.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
