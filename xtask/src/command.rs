//! Runs other programs: shows the command line first, and turns a bad end into an error that repeats it, so that whoever
//! reads the log can paste the line that failed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// The command as a person would type it, with the variables that were set for it.
pub(crate) fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        // The paths handed to the end-to-end tests would bury the command itself.
        let name = name.to_string_lossy();
        (!name.starts_with("WEFT_")).then_some(format!("{name}={}", quoted(value?)))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
    variables.collect::<Vec<_>>().into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains([' ', '*', '"', '\'', '$']) { format!("'{word}'") } else { word.into_owned() }
}

/// Runs to the end with the terminal's own streams.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    judge(command, status)
}

/// Runs to the end, silent unless it fails; gives what was written to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({}): {}", shown(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end, passes standard output on line by line and shows each line to `look` as well.
pub(crate) fn tee(command: &mut Command, mut look: impl FnMut(&str)) -> Result<()> {
    each_line(command, |line| {
        look(line);
        let mut out = std::io::stdout().lock();
        // A closed pipe behind us is no reason to stop the command.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    })
}

/// Runs to the end and gives each line of standard output to `look` instead of printing it.
pub(crate) fn each_line(command: &mut Command, mut look: impl FnMut(&str)) -> Result<()> {
    announce(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{}`", shown(command)))?;
    let mut lines = BufReader::new(child.stdout.take().context("no standard output to read")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        look(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    let status = child.wait()?;
    judge(command, status)
}

/// Whether it starts and ends well; its output is dropped.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The first file of that name on the search path, or in one of the folders that only root searches.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn announce(command: &Command) {
    eprintln!("$ {}", shown(command));
}

fn judge(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    match status.code() {
        Some(code) => bail!("`{}` ended with {code}", shown(command)),
        None => bail!("`{}` was ended by a signal", shown(command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_command_can_be_pasted_and_hides_the_tests_paths() {
        let mut command = Command::new("cargo");
        command.args(["doc", "--config", "a b"]).env("RUSTDOCFLAGS", "-D warnings").env("WEFT_BIN", "elsewhere");
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --config 'a b'");
    }

    #[test]
    fn a_failure_names_the_command_and_its_code() {
        let error = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 7'` ended with 7");
    }

    #[test]
    fn lines_reach_the_reader_even_when_the_command_fails() {
        let mut seen = Vec::new();
        let result =
            each_line(Command::new("sh").args(["-c", "printf 'a\\nb'; exit 1"]), |line| seen.push(line.to_owned()));
        assert!(result.is_err());
        assert_eq!(seen, ["a", "b"]);
    }
}
