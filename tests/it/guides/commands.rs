//! The commands that the README and the guides show are run as they stand, against a mesh that is there. One that cannot be run here
//! says so, and why, in its first line, where its reader sees it too.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::harness::{Weft, command, finish, variable};

/// What the first line of a block begins with that is not run.
const NOT_RUN: &str = "# not run by the tests: ";

/// The README and all guides: their names and texts.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guides = std::fs::read_dir(root.join("docs/guide")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = guides.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    all.push(root.join("README.md"));
    all.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    all.into_iter().map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect()
}

/// A place to run a page's commands in: a home, a folder, and the programs by their names.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "some", "some/project", "work"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        for (name, program) in [("weft", "WEFT_BIN"), ("claude", "WEFT_CLAUDE")] {
            symlink(variable(program), folder.path().join("bin").join(name)).unwrap();
        }
        Self { folder }
    }

    fn shell(&self, block: &str) -> Command {
        let (home, path) = (self.folder.path(), std::env::var("PATH").unwrap_or_default());
        let mut shell = command(Path::new("bash"));
        shell.args(["-eu", "-c", block]).current_dir(home.join("work"));
        shell.env("PATH", format!("{}:{path}", home.join("bin").display())).env("HOME", home);
        shell.env("CLAUDE_CONFIG_DIR", home.join("config")).env("ANTHROPIC_API_KEY", "dummy");
        shell.env("DISABLE_AUTOUPDATER", "1").env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        shell.env("SHOP_URL", "postgres://someone@127.0.0.1/some");
        shell
    }

    /// Runs a block to its end.
    fn ends(&self, page: &str, block: &str, mesh: &Weft) {
        let block = block.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", mesh.port));
        let mut shell = self.shell(&block);
        shell.env("WEFT_URL", format!("http://127.0.0.1:{}", mesh.port));
        shell.env("WEFT_ADMIN", format!("127.0.0.1:{}", mesh.admin));
        let output = finish(&mut shell);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{page}:\n{block}\n{said}");
        assert!(!said.contains("Failed to connect"), "{page}:\n{block}\n{said}");
    }

    /// Runs a block that stays, until it is up.
    fn comes_up(&self, page: &str, block: &str) {
        let mut shell = self.shell(&format!("exec {block}"));
        shell.env("WEFT_LISTEN", "127.0.0.1:0").env("WEFT_ADMIN", "127.0.0.1:0");
        shell.env("WEFT_STATE", self.folder.path().join("state"));
        let mut child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let up = lines.map_while(Result::ok).any(|line| line.starts_with("Stop with"));
        let _ = child.kill();
        let _ = child.wait();
        assert!(up, "{page}: this did not come up:\n{block}");
    }
}

#[test]
fn what_the_guides_tell_to_run_runs() {
    let mesh = Weft::up(&[]);
    let (mut run, mut told) = (0, Vec::new());
    for (page, text) in pages() {
        let desk = Desk::new();
        for block in text.split("\n```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```")) {
            let block = block.0.replace("cargo run --release --", "weft");
            if let Some(why) = block.strip_prefix(NOT_RUN) {
                assert!(why.lines().next().is_some_and(|why| why.len() > 10), "{page}: say why:\n{block}");
                told.push(page.clone());
                continue;
            }
            let block = block.replace("~/some", "\"$HOME\"/some");
            match block.starts_with("weft up") {
                true => desk.comes_up(&page, &block),
                false => desk.ends(&page, &block, &mesh),
            }
            run += 1;
        }
    }
    eprintln!("{run} blocks were run, {} say why they cannot be: {told:?}", told.len());
    assert!(run >= 12, "only {run} blocks were run");
}
