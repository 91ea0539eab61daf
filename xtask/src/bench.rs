//! `cargo xtask bench`: builds `weft` and the benchmark program for release, makes sure that nginx is there to compare
//! with, runs the program and keeps what it printed as the performance page. The measuring itself is the program's.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::repo::Repo;
use crate::{binaries, command, tools};

const PAGE: &str = "docs/reference/performance.md";
const MESH_PAGE: &str = "docs/reference/performance-mesh.md";

/// Runs the benchmark with `args`; writes the page when `write` and the run was a whole one, without arguments.
pub(crate) fn run(repo: &Repo, args: &[String], write: bool) -> Result<()> {
    let nginx = tools::nginx_for_bench(repo)?;
    let mut built = binaries::build(
        repo,
        &["--release", "-p", "weft", "-p", "weft-echo", "-p", "weft-filesystem", "-p", "weft-tests", "--bins"],
    )?;
    let mut take = |name: &str| built.remove(name).with_context(|| format!("the program `{name}` was not built"));
    let mut bench = repo.command(take("bench")?);
    bench.args(args).env("WEFT_NGINX", nginx).env("WEFT_BIN", take("weft")?);
    bench.env("WEFT_ECHO_BIN", take("weft-echo")?).env("WEFT_FILESYSTEM_BIN", take("weft-filesystem")?);
    let mut page = String::new();
    command::tee(&mut bench, |line| {
        page.push_str(line);
        page.push('\n');
    })?;
    if page.trim().is_empty() {
        bail!("the benchmark printed nothing");
    }
    let page_of = match args {
        [] => Some(PAGE),
        [part] if part == "mesh" => Some(MESH_PAGE),
        _ => None,
    };
    let Some(name) = page_of.filter(|_| write) else {
        println!("no page is written: that is done by `bench` and `bench mesh` without other arguments");
        return Ok(());
    };
    let path = repo.root.join(name);
    fs::create_dir_all(path.parent().unwrap_or(&repo.root))?;
    fs::write(path, format!("<!-- Written by `cargo xtask bench`. -->\n\n{page}"))
        .with_context(|| format!("cannot write {name}"))?;
    println!("wrote {name}");
    Ok(())
}
