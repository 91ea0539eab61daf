//! The repository's files, read once, as the rules see them: paths with `/`, texts, and which folders exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::repo::Repo;

/// One file.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// `None` when it is not UTF-8.
    pub(crate) text: Option<String>,
}

/// All files and the folders they lie in.
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
    folders: BTreeSet<String>,
}

impl Tree {
    /// Reads what belongs to the repository. A symbolic link counts by its own name and has no text.
    pub(crate) fn read(repo: &Repo) -> Result<Self> {
        let mut files = Vec::new();
        for path in repo.files()? {
            let full = repo.root.join(&path);
            let metadata = fs::symlink_metadata(&full).with_context(|| format!("cannot read {path}"))?;
            let text = if metadata.is_file() { String::from_utf8(fs::read(&full)?).ok() } else { None };
            files.push(File { path, bytes: metadata.len(), text });
        }
        Ok(Self::new(files))
    }

    fn new(files: Vec<File>) -> Self {
        let mut folders = BTreeSet::new();
        for file in &files {
            let ends = file.path.match_indices('/').map(|(at, _)| file.path[..at].to_owned());
            folders.extend(ends);
        }
        Self { files: files.into_iter().map(|file| (file.path.clone(), file)).collect(), folders }
    }

    /// A tree that exists only in a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            bytes: text.len() as u64,
            text: Some((*text).to_owned()),
        };
        Self::new(files.iter().map(file).collect())
    }

    pub(crate) fn files(&self) -> &BTreeMap<String, File> {
        &self.files
    }

    /// Path and text of every text file whose name ends so.
    pub(crate) fn texts<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let of = |file: &'a File| Some((file.path.as_str(), file.text.as_deref()?));
        self.files.values().filter(move |file| file.path.ends_with(ending)).filter_map(of)
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.text.as_deref()
    }

    /// Whether a file or a folder has that path. The empty path is the root.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || self.folders.contains(path)
    }
}

/// Whether the file has this extension.
pub(crate) fn is_kind(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|its| its == extension)
}

/// Joins a path to the folder of the file that names it; `None` when it leads out of the repository.
pub(crate) fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.rsplit_once('/').map_or_else(Vec::new, |(folder, _)| folder.split('/').collect()),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_known_by_the_files_in_them() {
        let tree = Tree::of(&[("docs/guide/start.md", "")]);
        assert!(tree.has("docs") && tree.has("docs/guide/") && tree.has("docs/guide/start.md") && tree.has(""));
        assert!(!tree.has("docs/guide/start") && !tree.has("doc"));
    }

    #[test]
    fn relative_paths_are_resolved_from_the_naming_file() {
        assert_eq!(resolve("docs/guide/a.md", "../b.md").as_deref(), Some("docs/b.md"));
        assert_eq!(resolve("docs/a.md", "/README.md").as_deref(), Some("README.md"));
        assert_eq!(resolve("a.md", "../b.md"), None);
    }
}
