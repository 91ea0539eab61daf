//! `cargo xtask bench`: builds `weft` and the benchmark program for release, makes sure that nginx is there to compare
//! with, runs the program and keeps what it printed as the performance page. The measuring itself is the program's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::repo::Repo;
use crate::tools::containers::{BASE, Containers};
use crate::{binaries, command, image, tools};

const PAGE: &str = "docs/reference/performance.md";
const MESH_PAGE: &str = "docs/reference/performance-mesh.md";
/// Services that measure themselves: the word behind `bench`, the package whose example `measure` does it, and the page.
const SERVICES: [(&str, &str, &str); 3] = [
    ("vectors", "weft-vectorstore", "docs/reference/performance-vectors.md"),
    ("memory", "weft-memory", "docs/reference/performance-memory.md"),
    ("search", "weft-search", "docs/reference/performance-search.md"),
];

/// Lets a service measure itself; writes its page when `write` and the run was a whole one.
fn service(repo: &Repo, (part, package, page_of): (&str, &str, &str), args: &[String], write: bool) -> Result<()> {
    let tools = tools::Tools::installed(repo)?;
    let mut measure = repo.cargo();
    measure.args(["run", "--quiet", "--profile", "fast", "-p", package, "--example", "measure", "--"]).args(args);
    measure.envs(tools.variables().iter().map(|(name, path)| (name, path)));
    let mut page = String::new();
    command::tee(&mut measure, |line| {
        page.push_str(line);
        page.push('\n');
    })?;
    if write && args.is_empty() {
        fs::write(repo.root.join(page_of), format!("<!-- Written by `cargo xtask bench {part}`. -->\n\n{page}"))?;
        println!("wrote {page_of}");
    }
    Ok(())
}

/// How big each program and its image are, a line each; nothing where no container can be made.
fn sizes(repo: &Repo, programs: &Path) -> Result<String> {
    match Containers::ensure(repo, true) {
        Ok(containers) => image::sizes(repo, programs, BASE, containers.variables()),
        Err(error) => {
            eprintln!("sizes of images are not told: {error:#}");
            Ok(String::new())
        }
    }
}

/// Runs the benchmark with `args`; writes the page when `write` and the run was a whole one, without arguments.
pub(crate) fn run(repo: &Repo, args: &[String], write: bool) -> Result<()> {
    if let [part, rest @ ..] = args
        && let Some(own) = SERVICES.iter().find(|(name, ..)| name == part)
    {
        return service(repo, *own, rest, write);
    }
    let nginx = tools::nginx_for_bench(repo)?;
    let programs = image::known(repo)?;
    let packages = programs.iter().map(String::as_str).chain(["weft-echo", "weft-tests"]).flat_map(|name| ["-p", name]);
    let mut built = binaries::build(repo, &[&["--release", "--bins"], &packages.collect::<Vec<_>>()[..]].concat())?;
    let folder = built.get("weft").and_then(|path| path.parent()).context("`weft` was not built")?.to_owned();
    let mut take = |name: &str| built.remove(name).with_context(|| format!("the program `{name}` was not built"));
    let mut bench = repo.command(take("bench")?);
    bench.args(args).env("WEFT_NGINX", nginx).env("WEFT_BIN", take("weft")?);
    bench.env("WEFT_ECHO_BIN", take("weft-echo")?).env("WEFT_FILESYSTEM_BIN", take("weft-filesystem")?);
    if args.first().is_none_or(|part| part == "start") {
        bench.env("WEFT_SIZES", sizes(repo, &folder)?);
    }
    bench.env("WEFT_PROGRAMS", folder);
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
