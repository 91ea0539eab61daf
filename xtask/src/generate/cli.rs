//! The reference of the command line: what `weft --help` says, and every command below it, found by asking.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::banner;
use crate::command;

/// `docs/reference/cli.md`.
pub(crate) fn page(weft: &Path) -> Result<Option<String>> {
    let mut text = banner("`weft --help`");
    text.push_str("# The command `weft`\n");
    describe(weft, &mut Vec::new(), &mut text)?;
    Ok(Some(text))
}

/// The commands below the one at `path`.
pub(crate) fn commands(weft: &Path, path: &[String]) -> Result<Vec<String>> {
    Ok(listed(&help(weft, path)?))
}

fn describe(weft: &Path, path: &mut Vec<String>, text: &mut String) -> Result<()> {
    let help = help(weft, path)?;
    let name = ["weft"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    if !path.is_empty() {
        let _ = writeln!(text, "\n## {name}");
    }
    let _ = writeln!(text, "\n```console\n$ {name} --help\n{}\n```", help.trim());
    for name in listed(&help) {
        path.push(name);
        describe(weft, path, text)?;
        path.pop();
    }
    Ok(())
}

/// The help text as everyone sees it: no colours, no variables set, no home folder of whoever runs this.
fn help(weft: &Path, path: &[String]) -> Result<String> {
    let text = command::output(Command::new(weft).args(path).arg("--help").env_clear().env("HOME", "~"))?;
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    Ok(lines.join("\n"))
}

/// The names under `Commands:`, without clap's own `help`.
fn listed(help: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    // A wrapped explanation is indented deeper than a name.
    let names = below.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_a_help_text_are_found() {
        let help = "Weft\n\nUsage: weft <COMMAND>\n\nCommands:\n  up      Start all, and a\n          second line\n  status  Show\n  help    Print this\n\nOptions:\n  -h, --help  Print help\n";
        assert_eq!(listed(help), ["up", "status"]);
        assert_eq!(listed("Usage: weft up [OPTIONS]\n\nOptions:\n  -h  Print help\n"), [] as [&str; 0]);
    }
}
