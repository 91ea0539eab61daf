//! Builds programs and finds out from cargo's own messages where each one went, whatever the target folder is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

use crate::command;
use crate::repo::Repo;

/// `cargo build` with these flags: name → path of every program it made or found fresh.
pub(crate) fn build(repo: &Repo, flags: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut cargo = repo.cargo();
    cargo.arg("build").args(flags).arg("--message-format=json-render-diagnostics");
    command::each_line(&mut cargo, |line| found.extend(program_in(line)))?;
    Ok(found)
}

/// The program that one of cargo's messages reports.
fn program_in(message: &str) -> Option<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    Some((artifact.target.name, artifact.executable?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_program_is_found_in_cargos_messages() {
        let built = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"weft"},"executable":"out/weft"}"#;
        assert_eq!(program_in(built), Some(("weft".to_owned(), PathBuf::from("out/weft"))));
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"weft"},"executable":null}"#;
        assert_eq!(program_in(library), None);
        assert_eq!(program_in(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(program_in("   Compiling"), None);
    }
}
