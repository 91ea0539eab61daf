//! llama.cpp's server from the one Debian release that has it, which moves every day. So it is the one tool that may be missing:
//! whatever goes wrong is told in a line, its tests are skipped, and it is left alone for a day.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::debian;
use super::place::{Cache, Folder};
use crate::command::{self, find_program};

const SUITE: &str = "sid";
const PACKAGE: &str = "llama.cpp-tools";
/// What is run, in the folder.
const PROGRAM: &str = "llama-server";
/// Why it failed, in the folder; its age says when.
const FAILED: &str = "failed.txt";
/// The longest that the lists, and then the packages (20 MB), may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a failure is taken for an answer.
const REST: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts it with the C library and the loader that it was built for. The plain backend is named because the program looks for
/// its backends where Debian installs them, and because it runs on every processor.
const START: &str = r#"#!/bin/sh
root=$(dirname "$(readlink -f "$0")")
libraries=$root/usr/lib/x86_64-linux-gnu
export GGML_BACKEND_PATH="$libraries/ggml/backends0/libggml-cpu-x64.so"
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$libraries/llama" "$root/usr/bin/llama-server" "$@"
"#;

/// The caller's, the system's own or a private copy of Debian's; `None`, and a line about it, where it cannot be had.
pub(crate) fn ensure(cache: &Cache) -> Option<PathBuf> {
    if let Some(path) = installed(cache) {
        return Some(path);
    }
    let folder = folder(cache);
    let why = match failed_lately(&folder) {
        Some(why) => format!("{why} (less than a day ago; remove {} to try again)", folder.path.display()),
        None => match folder.fill(install) {
            Ok(()) => return Some(folder.path.join(PROGRAM)),
            Err(error) => remember(&folder, &format!("{error:#}")),
        },
    };
    eprintln!("llama.cpp could not be had: {why}; its tests are skipped");
    None
}

/// The same without installing anything.
pub(crate) fn installed(cache: &Cache) -> Option<PathBuf> {
    given().or_else(|| {
        let folder = folder(cache);
        folder.is_complete().then(|| folder.path.join(PROGRAM))
    })
}

fn given() -> Option<PathBuf> {
    std::env::var_os("WEFT_LLAMA_SERVER").map(PathBuf::from).or_else(|| find_program(PROGRAM))
}

fn folder(cache: &Cache) -> Folder {
    cache.folder("llama", &format!("{SUITE} {PACKAGE}"))
}

fn install(folder: &Path) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("it is taken for x86_64 alone: put `{PROGRAM}` on the PATH");
    }
    debian::unpack_with_needs(SUITE, PACKAGE, folder, PATIENCE)?;
    // Pages and settings of thirty packages, none of which it reads.
    for part in ["usr/share", "etc", "var"] {
        let path = folder.join(part);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    let program = folder.join(PROGRAM);
    fs::write(&program, START)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    command::output(Command::new(&program).arg("--version")).map(drop)
}

/// Leaves the reason in the place of what was half installed.
fn remember(folder: &Folder, why: &str) -> String {
    let why = why.trim().replace('\n', " ");
    // Where this fails too, the next run tries again.
    let _ = fs::remove_dir_all(&folder.path)
        .and_then(|()| fs::create_dir_all(&folder.path))
        .and_then(|()| fs::write(folder.path.join(FAILED), &why));
    why
}

fn failed_lately(folder: &Folder) -> Option<String> {
    let file = folder.path.join(FAILED);
    let at = fs::metadata(&file).ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(at).unwrap_or_default();
    (age < REST).then(|| fs::read_to_string(file).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_failure_is_an_answer_for_a_day_and_leaves_nothing_half_installed() {
        let temporary = std::env::temp_dir().join(format!("weft-xtask-{}-llama", std::process::id()));
        // What a test that failed left, when its number comes again.
        let _ = fs::remove_dir_all(&temporary);
        let folder = Cache::at(&temporary).folder("llama", SUITE);
        let half = |path: &Path| {
            fs::write(path.join("half"), "")?;
            bail!("no network\nat all")
        };
        let error = folder.fill(half).unwrap_err();
        assert_eq!(remember(&folder, &error.to_string()), "no network at all");
        assert!(!folder.path.join("half").exists() && !folder.is_complete());
        assert_eq!(failed_lately(&folder).as_deref(), Some("no network at all"));
        let file = File::options().append(true).open(folder.path.join(FAILED)).unwrap();
        file.set_modified(SystemTime::now() - REST).unwrap();
        assert_eq!(failed_lately(&folder), None);
        folder.fill(|path| Ok(fs::write(path.join(PROGRAM), START)?)).unwrap();
        assert!(folder.is_complete() && !folder.path.join(FAILED).exists());
        fs::remove_dir_all(temporary).unwrap();
    }
}
