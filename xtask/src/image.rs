//! `cargo xtask image`: programs -> container images, one for each server and one for the gateway, with labels that say what
//! they are and a bill of materials inside. The Dockerfile is the one for the world; this file only fills in what it cannot
//! know: version, revision, and which packages are in the program.

mod context;
mod engine;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::engine::Engine;
use crate::command;
use crate::repo::Repo;

/// Where bills of materials lie for the build to take them; not in the repository.
const SBOMS: &str = "infra/images/sbom";
/// For tests and benchmarks alone: no image.
const NOT_SHIPPED: &str = "echo";

#[derive(Args)]
pub(crate) struct ImageFlags {
    /// Only these programs, as weft-filesystem or filesystem; default: weft, the gateway and every server
    #[arg(long = "program", value_name = "NAME", value_delimiter = ',')]
    programs: Vec<String>,
    /// The images' tag; default: the version
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// podman, docker or buildah; default: the first that is installed
    #[arg(long, value_name = "ENGINE")]
    engine: Option<Engine>,
    /// What the images stand on, in the place of distroless: it must have a C library and certificates
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Take programs from this folder instead of compiling them inside
    #[arg(long, value_name = "DIR")]
    prebuilt: Option<PathBuf>,
    /// What the engine's build command is given besides
    #[arg(last = true)]
    args: Vec<String>,
}

/// What every image is told.
struct Facts {
    version: String,
    revision: String,
    created: String,
}

/// Images of all programs, which are built already, for the tests to run, on a base that is there; their names.
pub(crate) fn for_tests(
    repo: &Repo,
    prebuilt: &Path,
    base: &str,
    variables: &[(&'static str, PathBuf)],
) -> Result<Vec<String>> {
    let made = make(repo, &prebuilt_on(base, prebuilt), variables)?;
    Ok(made.into_iter().map(|made| made.image).collect())
}

/// Name, size of the program and of its image in millions of bytes, a line for each program that is built already.
pub(crate) fn sizes(repo: &Repo, prebuilt: &Path, base: &str, variables: &[(&'static str, PathBuf)]) -> Result<String> {
    let made = make(repo, &prebuilt_on(base, prebuilt), variables)?;
    Ok(made.iter().map(|Made { program, own, size, .. }| format!("{program} {own} {size}\n")).collect())
}

fn prebuilt_on(base: &str, prebuilt: &Path) -> ImageFlags {
    ImageFlags {
        programs: Vec::new(),
        tag: Some("test".to_owned()),
        engine: Some(Engine::Podman),
        base: Some(base.to_owned()),
        prebuilt: Some(prebuilt.to_owned()),
        args: vec!["--pull-never".to_owned(), "--network=none".to_owned()],
    }
}

/// Builds the images and prints how big they are.
pub(crate) fn run(repo: &Repo, flags: &ImageFlags) -> Result<()> {
    let rows = make(repo, flags, &[])?;
    println!("image | MB | program, MB | packages");
    for Made { image, size, own, packages, .. } in rows {
        println!("{image} | {size} | {own} | {packages}");
    }
    Ok(())
}

/// An image that was built; sizes are millions of bytes.
struct Made {
    program: String,
    image: String,
    size: String,
    own: String,
    packages: usize,
}

/// Builds the images; the engine is told `variables`.
fn make(repo: &Repo, flags: &ImageFlags, variables: &[(&'static str, PathBuf)]) -> Result<Vec<Made>> {
    let programs = chosen(&known(repo)?, &flags.programs)?;
    let engine = flags.engine.map_or_else(Engine::find, Ok)?;
    let told = |mut command: Command| {
        command.envs(variables.iter().map(|(name, path)| (name, path)));
        command
    };
    let facts = facts(repo)?;
    let tag = flags.tag.as_deref().unwrap_or(&facts.version);
    let mut made = Vec::new();
    for program in programs {
        let bill = sbom::of(repo, &program)?;
        let packages = bill["components"].as_array().map_or(0, Vec::len);
        let written = repo.root.join(SBOMS).join(format!("{program}.cdx.json"));
        fs::create_dir_all(repo.root.join(SBOMS))?;
        fs::write(&written, format!("{bill:#}\n"))?;
        let image = format!("{program}:{tag}");
        let (build, own) = build(repo, engine, flags, (&program, &image, &facts))?;
        command::run(&mut told(build))?;
        let size = engine.size_in(&command::output(&mut told(engine.ask_size(&image)))?)?;
        made.push(Made { program, image, size, own: own.map_or("-".to_owned(), megabytes), packages });
    }
    Ok(made)
}

/// What builds one image, and the size of its program where it is known.
fn build(
    repo: &Repo,
    engine: Engine,
    flags: &ImageFlags,
    (program, image, facts): (&str, &str, &Facts),
) -> Result<(Command, Option<u64>)> {
    let mut values = vec![
        format!("PROGRAM={program}"),
        format!("VERSION={}", facts.version),
        format!("REVISION={}", facts.revision),
        format!("CREATED={}", facts.created),
    ];
    values.extend(flags.base.iter().map(|base| format!("BASE={base}")));
    let prepared = match &flags.prebuilt {
        Some(folder) => Some(context::prepare(repo, folder, program)?),
        None => None,
    };
    let (folder, file) = match &prepared {
        Some(prepared) => (prepared.folder.clone(), prepared.folder.join("Dockerfile")),
        None => (repo.root.clone(), repo.root.join(context::DOCKERFILE)),
    };
    let mut build = engine.build(image, &file, &values, context::target(program));
    build.args(&flags.args).arg(&folder).current_dir(&repo.root);
    Ok((build, prepared.map(|prepared| prepared.size)))
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Every program that has an image.
pub(crate) fn known(repo: &Repo) -> Result<Vec<String>> {
    let mut programs = vec!["weft".to_owned(), "weft-gateway".to_owned()];
    let manifest = |path: &str| Path::new(path).parent()?.file_name()?.to_str().map(str::to_owned);
    let services =
        repo.files()?.into_iter().filter(|path| path.starts_with("services/") && path.ends_with("/service.toml"));
    programs.extend(
        services
            .filter_map(|path| manifest(&path))
            .filter(|name| name != NOT_SHIPPED)
            .map(|name| format!("weft-{name}")),
    );
    Ok(programs)
}

fn chosen(known: &[String], asked: &[String]) -> Result<Vec<String>> {
    if asked.is_empty() {
        return Ok(known.to_vec());
    }
    let find = |name: &String| {
        let found = known.iter().find(|program| *program == name || program.strip_prefix("weft-") == Some(name));
        found.cloned().with_context(|| format!("no program is called {name:?}: there are {}", known.join(", ")))
    };
    asked.iter().map(find).collect()
}

fn facts(repo: &Repo) -> Result<Facts> {
    let git =
        |words: &[&str]| Ok::<_, anyhow::Error>(command::output(repo.command("git").args(words))?.trim().to_owned());
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let revision = git(&["rev-parse", "HEAD"])? + if changed { "-changed" } else { "" };
    // The commit's time and not the clock's, so that the same sources make the same image.
    Ok(Facts { version: version(&repo.root)?, revision, created: git(&["log", "-1", "--format=%cI"])? })
}

fn version(root: &Path) -> Result<String> {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(root.join("Cargo.toml"))?)?;
    match manifest["workspace"]["package"]["version"].as_str() {
        Some(version) => Ok(version.to_owned()),
        None => bail!("Cargo.toml has no workspace.package.version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_and_the_gateway_have_an_image_and_short_names_do() {
        let repo = Repo { root: Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned() };
        let known = known(&repo).unwrap();
        assert_eq!(known[..2], ["weft", "weft-gateway"]);
        assert!(known.contains(&"weft-filesystem".to_owned()) && !known.contains(&"weft-echo".to_owned()), "{known:?}");
        let asked = ["gateway", "weft-filesystem", "weft"].map(str::to_owned);
        assert_eq!(chosen(&known, &asked).unwrap(), ["weft-gateway", "weft-filesystem", "weft"]);
        let error = chosen(&known, &["gate".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("weft-gateway"), "{error}");
    }

    #[test]
    fn sizes_are_in_millions_of_bytes() {
        assert_eq!((megabytes(12_345_678), megabytes(999)), ("12.3".to_owned(), "0.0".to_owned()));
    }
}
