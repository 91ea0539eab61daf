//! A program under test as a child process: started with a clean environment, ended when dropped, and what the kernel
//! says of the processor time and the memory that it and its own children use.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// How long a program may take to listen, and to end when it is asked to: so many looks, this far apart.
const LOOKS: usize = 1000;
const APART: Duration = Duration::from_millis(10);
/// Ticks of processor time in a second, as proc(5) counts them on Linux.
const TICKS: f64 = 100.0;

/// A running program.
pub(crate) struct Program {
    child: Child,
    name: String,
    /// Asks the program to end, for one that would leave children behind when it is killed.
    stop: Option<Command>,
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(stop) = &mut self.stop
            && stop.status().is_ok_and(|status| status.success())
        {
            for _ in 0..LOOKS {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(APART);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that sees none of the settings that the environment may hold for Weft.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEFT_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

impl Program {
    /// Starts `command`; what it says on standard error is shown.
    pub(crate) fn start(mut command: Command, stop: Option<Command>) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name, stop })
    }

    /// Its standard output, once, when the command piped it.
    pub(crate) fn output(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().with_context(|| format!("{} has no output to read", self.name))
    }

    /// Waits until something listens on `port`.
    pub(crate) fn listening(&mut self, port: u16) -> Result<()> {
        for _ in 0..LOOKS {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it listened: {status}", self.name);
            }
            std::thread::sleep(APART);
        }
        bail!("{} does not listen on port {port}", self.name)
    }

    /// Processor time used so far, seconds; that of its children included.
    pub(crate) fn cpu(&self) -> Result<f64> {
        self.family()?.into_iter().map(cpu).sum()
    }

    /// Resident memory, MiB; that of its children included.
    pub(crate) fn resident(&self) -> Result<f64> {
        self.family()?.into_iter().map(resident).sum()
    }

    fn family(&self) -> Result<Vec<u32>> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .with_context(|| format!("{} is not running any more", self.name))?;
        let mut family = vec![pid];
        family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        Ok(family)
    }
}

fn cpu(pid: u32) -> Result<f64> {
    // proc(5): fields 14 and 15 of stat; the name in field 2 may hold spaces and brackets.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("cannot read processor times")?;
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>();
    Ok(ticks.context("processor times are not numbers")? / TICKS)
}

fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("cannot read memory use")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in status")?;
    let kib: f64 = line.split_whitespace().next().unwrap_or_default().parse().context("VmRSS is not a number")?;
    Ok(kib / 1024.0)
}

/// The machine, in a few words.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} cores, {model}")
}
