//! A folder of built programs -> what an engine is given in the place of the sources. Apart, because it must make the same image:
//! its Dockerfile is the second half of the one for the world, where what the first half leaves behind comes from the context.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, find_program};
use crate::repo::Repo;

/// The Dockerfile for the world.
pub(crate) const DOCKERFILE: &str = "infra/images/Dockerfile";
/// Where its second half begins.
const RUNTIME: &str = "FROM ${BASE} AS program";

/// A context that is ready.
pub(crate) struct Prepared {
    pub(crate) folder: PathBuf,
    /// Bytes of the program.
    pub(crate) size: u64,
}

/// The stage of the Dockerfile that a program needs; none is the last one.
pub(crate) fn target(program: &str) -> Option<&'static str> {
    (program != "weft").then_some("alone")
}

/// Lays out what the first half of the Dockerfile would have made.
pub(crate) fn prepare(repo: &Repo, prebuilt: &Path, program: &str) -> Result<Prepared> {
    let source = prebuilt.join(program);
    if !source.is_file() {
        bail!("{} is missing: `cargo build --release --package {program}` makes it", source.display());
    }
    let folder = repo.root.join("target/images").join(program);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let (out, state) = (folder.join("out"), folder.join("state"));
    for made in [out.join("usr/bin"), out.join("usr/share/sbom"), state.clone()] {
        fs::create_dir_all(made)?;
    }
    let binary = out.join("usr/bin").join(program);
    fs::copy(&source, &binary).with_context(|| format!("cannot copy {}", source.display()))?;
    // As the first half would have built it. Comes with the linker; without it the image is only bigger.
    if let Some(strip) = find_program("strip") {
        command::output(Command::new(strip).arg("--strip-all").arg(&binary))?;
    }
    let size = fs::metadata(&binary)?.len();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))?;
    symlink(format!("/usr/bin/{program}"), out.join("program"))?;
    let bill = format!("{program}.cdx.json");
    fs::copy(repo.root.join(super::SBOMS).join(&bill), out.join("usr/share/sbom").join(&bill))?;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700))?;
    let whole = fs::read_to_string(repo.root.join(DOCKERFILE))?;
    fs::write(folder.join("Dockerfile"), second_half(&whole)?)?;
    Ok(Prepared { folder, size })
}

/// The part that makes the image, which takes files from the context instead of from the part that compiles.
fn second_half(whole: &str) -> Result<String> {
    let Some((first, second)) = whole.split_once(RUNTIME) else {
        bail!("{DOCKERFILE} has no line `{RUNTIME}`");
    };
    let arguments = first.lines().filter(|line| line.starts_with("ARG BASE="));
    let second =
        second.replace("--from=build /out/ /", "out/ /").replace("--from=build ", "").replace(" /state ", " state ");
    if second.contains("--from=build") {
        bail!("{DOCKERFILE} takes more from its first half than is known here");
    }
    Ok(format!("{}\n{RUNTIME}{second}", arguments.collect::<Vec<_>>().join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_half_of_the_dockerfile_stands_alone() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let half = second_half(&fs::read_to_string(root.join(DOCKERFILE)).unwrap()).unwrap();
        assert!(half.starts_with("ARG BASE=") && !half.contains("cargo") && !half.contains("build "), "{half}");
        assert!(
            half.contains("\nCOPY out/ /\n") && half.contains("COPY --chown=65532:65532 state /var/lib/weft"),
            "{half}"
        );
        assert!(second_half("FROM scratch").is_err());
    }
}
