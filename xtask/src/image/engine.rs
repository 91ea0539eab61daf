//! Podman, Docker and Buildah: the same build with different words around it. Apart, so that the rest knows none of them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::command::find_program;

/// What builds images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// `podman build`
    Podman,
    /// `docker build`
    Docker,
    /// `buildah build`
    Buildah,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Buildah => "buildah",
        }
    }

    /// The first that is installed.
    pub(crate) fn find() -> Result<Self> {
        let known = [Self::Podman, Self::Docker, Self::Buildah];
        let found = known.into_iter().find(|engine| find_program(engine.name()).is_some());
        found.context("images are built by podman, docker or buildah: install one of them")
    }

    /// The build, without its context, which comes last.
    pub(crate) fn build(self, image: &str, file: &Path, values: &[String], target: Option<&str>) -> Command {
        let mut build = Command::new(self.name());
        build.args(["build", "-t", image, "-f"]).arg(file);
        // Health checks are no part of the OCI's format, and these two write that one unless told otherwise.
        if self != Self::Docker {
            build.args(["--format", "docker"]);
        }
        build.args(values.iter().flat_map(|value| ["--build-arg", value]));
        build.args(target.iter().flat_map(|target| ["--target", target]));
        build
    }

    /// Asks how big an image is; [`Self::size_in`] reads the answer.
    pub(crate) fn ask_size(self, image: &str) -> Command {
        let mut ask = Command::new(self.name());
        match self {
            Self::Buildah => ask.args(["images", "--format", "{{.Size}}", image]),
            Self::Podman | Self::Docker => ask.args(["image", "inspect", "--format", "{{.Size}}", image]),
        };
        ask
    }

    /// Millions of bytes.
    pub(crate) fn size_in(self, answer: &str) -> Result<String> {
        let answer = answer.trim();
        match answer.parse::<u64>() {
            Ok(bytes) => Ok(super::megabytes(bytes)),
            Err(_) if self == Self::Buildah => Ok(answer.trim_end_matches(" MB").to_owned()),
            Err(_) => bail!("{} says that an image's size is {answer:?}", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    #[test]
    fn a_build_says_the_same_to_each_engine() {
        let built = |engine: Engine| {
            let values = ["PROGRAM=weft".to_owned()];
            command::shown(&engine.build("weft:1", Path::new("Dockerfile"), &values, Some("alone")))
        };
        let common = "--build-arg PROGRAM=weft --target alone";
        assert_eq!(built(Engine::Docker), format!("docker build -t weft:1 -f Dockerfile {common}"));
        assert_eq!(built(Engine::Podman), format!("podman build -t weft:1 -f Dockerfile --format docker {common}"));
    }
    #[test]
    fn sizes_are_read_as_each_engine_writes_them() {
        assert_eq!(Engine::Podman.size_in("12345678\n").unwrap(), "12.3");
        assert_eq!(Engine::Buildah.size_in("12.3 MB\n").unwrap(), "12.3");
        assert!(Engine::Docker.size_in("unknown").is_err());
    }
}
