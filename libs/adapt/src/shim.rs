//! The process between us and a program: it ends the program's whole group when we are gone, however we went.
//!
//! The kernel tells it of our death (`PR_SET_PDEATHSIG`, prctl(2)); the program's own children, which the kernel does not tell, are
//! in the program's process group, and that is what it kills.

use std::{
    ffi::OsString,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitCode, ExitStatus},
    time::Duration,
};

use rustix::process::{Pid, Signal, getppid, kill_process_group, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

/// The first argument that makes a program the shim.
pub(crate) const WORD: &str = "__weft-child";

/// A program that was asked to end has this long.
const GRACE: Duration = Duration::from_millis(1500);

/// Becomes the shim when the arguments of this process say so; to be called before anything else. None for any other arguments.
pub fn run() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != *WORD {
        return None;
    }
    let parent: Option<i32> = words.next().and_then(|pid| pid.to_str()?.parse().ok());
    let program = words.next()?;
    Some(supervise(parent, program, words.collect()))
}

fn supervise(parent: Option<i32>, program: OsString, arguments: Vec<OsString>) -> ExitCode {
    let bound = set_parent_process_death_signal(Some(Signal::TERM));
    // The parent may have died before the kernel knew that we want to be told.
    let orphan = getppid().map(Pid::as_raw_pid) != parent;
    if bound.is_err() || orphan {
        return ExitCode::FAILURE;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return ExitCode::FAILURE };
        let mut command = Command::new(&program);
        command.args(arguments).process_group(0);
        let mut child = match tokio::process::Command::from(command).spawn() {
            Ok(child) => child,
            Err(error) => {
                eprintln!("cannot start {}: {error}", program.display());
                return ExitCode::from(127);
            }
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let ended = tokio::select! {
            ended = child.wait() => ended.ok(),
            _ = terminate.recv() => {
                end(group, Signal::TERM);
                tokio::time::timeout(GRACE, child.wait()).await.ok().and_then(Result::ok)
            }
        };
        // Whatever the program left behind goes with it.
        end(group, Signal::KILL);
        code(ended)
    })
}

fn end(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // An empty group is what is wanted.
        let _ = kill_process_group(group, signal);
    }
}

fn code(ended: Option<ExitStatus>) -> ExitCode {
    let number = ended.and_then(|status| status.code().or_else(|| status.signal().map(|signal| 128 + signal)));
    ExitCode::from(number.and_then(|number| u8::try_from(number).ok()).unwrap_or(1))
}
