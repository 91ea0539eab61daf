//! Looking at directories and facts of files.

use std::{path::PathBuf, sync::Arc};

use globset::GlobBuilder;
use rustix::fs::OFlags;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Page, Reply, ToolError, Truncated};

use crate::{
    Files, content,
    edit::{self, Diff},
    root::{Roots, kind},
    settings::Rights,
    walk::{self, Limits, Next},
};

/// Entries of one page.
const PAGE: usize = 1000;

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// An allowed directory.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Allowed {
    path: String,
    /// ro, rw, append (make and append only) or no_delete.
    rights: Rights,
}

pub(crate) async fn allowed(files: Arc<Files>, _: Call, _: Nothing) -> Result<Reply<Vec<Allowed>>, ToolError> {
    let list = &files.roots.list;
    let all: Vec<Allowed> = list
        .iter()
        .map(|root| Allowed { path: root.path.to_string_lossy().into_owned(), rights: root.rights })
        .collect();
    let text: Vec<String> =
        all.iter().map(|root| format!("{} ({:?})", root.path, root.rights).to_lowercase()).collect();
    Ok(Reply::new(all).text(text.join("\n")))
}

/// Which file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The file or directory.
    path: String,
}

/// Facts of a file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    path: String,
    /// file, directory, link, fifo, socket or device.
    kind: &'static str,
    size: u64,
    /// Seconds since 1970.
    modified: i64,
    /// Octal.
    permissions: String,
    /// Names that the file has.
    links: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// May be written under the rules and the directory's rights.
    writable: bool,
}

pub(crate) async fn info(files: Arc<Files>, call: Call, args: Which) -> Result<Reply<Info>, ToolError> {
    let work = move |_: &Call| {
        let place = files.roots.place(&args.path)?;
        let stat = place.stat()?;
        let kind = kind(&stat);
        let opened = if kind == "file" { files.roots.read(&place).ok() } else { None };
        let below = opened.as_ref().map_or_else(|| place.below.clone(), |(_, _, below)| below.clone());
        let info = Info {
            path: Roots::show(place.root, &below),
            kind,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
            permissions: format!("{:o}", stat.st_mode & 0o7777),
            links: stat.st_nlink,
            etag: opened.map(|(file, stat, _)| content::etag(&file, &stat)),
            writable: place.root.rights != Rights::Ro
                && files.roots.policy.may_write(&below, "").is_ok()
                && stat.st_nlink <= 1,
        };
        let text = format!(
            "{} {} {} bytes, modified {}, mode {}",
            info.kind,
            content::plain(&info.path),
            info.size,
            info.modified,
            info.permissions
        );
        Ok(Reply::new(info).text(text))
    };
    call.blocking(work).await
}

/// What to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// The directory.
    path: String,
    /// 1 (the directory itself) to 5.
    depth: Option<usize>,
    /// Only entries whose path below the directory matches.
    glob: Option<String>,
    /// Entries that begin with a dot too; yes if not said.
    hidden: Option<bool>,
    /// Sizes and times too.
    #[serde(default)]
    with_sizes: bool,
    /// name, size or modified.
    sort: Option<Sort>,
    /// From an earlier answer, to go on.
    cursor: Option<String>,
}

/// An order.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    Name,
    Size,
    Modified,
}

/// One entry.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    /// Below the listed directory.
    name: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<i64>,
}

pub(crate) async fn list(files: Arc<Files>, call: Call, args: List) -> Result<Reply<Vec<Listed>>, ToolError> {
    let work = move |call: &Call| {
        let place = files.roots.place(&args.path)?;
        let depth = args.depth.unwrap_or(1);
        if !(1..=5).contains(&depth) {
            return Err(ToolError::invalid("depth must be 1 to 5"));
        }
        let glob = args.glob.as_deref().map(matcher).transpose()?;
        let start = call.resume::<usize>(args.cursor.as_deref())?.map_or(0, weft_kit::At::position);
        let limits = Limits { depth, hidden: args.hidden.unwrap_or(true), respect_ignore: false, ..Limits::SEARCH };
        let top = opened_at(&place)?;
        let mut all = Vec::new();
        let end = walk::walk(&files.roots, &place, &limits, call, &mut |found| {
            let name = found.below.strip_prefix(&top).unwrap_or(&found.below).to_string_lossy().into_owned();
            if glob.as_ref().is_none_or(|glob| glob.is_match(&name)) {
                all.push((name, found.kind(), found.size(), found.stat.st_mtime));
            }
            Ok(Next::Go)
        })?;
        match args.sort.unwrap_or(Sort::Name) {
            Sort::Name => all.sort(),
            Sort::Size => all.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0))),
            Sort::Modified => all.sort_by(|a, b| b.3.cmp(&a.3).then_with(|| a.0.cmp(&b.0))),
        }
        let total = all.len();
        let page: Vec<Listed> = all
            .into_iter()
            .skip(start)
            .take(PAGE)
            .map(|(name, kind, size, modified)| Listed {
                name,
                kind,
                size: args.with_sizes.then_some(size),
                modified: args.with_sizes.then_some(modified),
            })
            .collect();
        let next = start + page.len();
        let cursor = if next < total { Some(call.cursor("", &next)?) } else { None };
        let text: Vec<String> = page.iter().map(line).collect();
        let reply = Reply::new(page).text(text.join("\n")).page(Page::new(next - start, cursor).total(total as u64));
        Ok(reply.truncated(end.why().map(|why| Truncated::new(why, limits.entries as u64))))
    };
    call.blocking(work).await
}

fn line(entry: &Listed) -> String {
    let mark = match entry.kind {
        "directory" => "[DIR] ",
        "file" => "[FILE]",
        "link" => "[LINK]",
        _ => "[OTHER]",
    };
    let size = entry.size.map_or_else(String::new, |size| format!(" {size}"));
    format!("{mark} {}{size}", content::plain(&entry.name))
}

/// A glob on a path below the directory; one without a slash matches names at any depth.
pub(crate) fn matcher(glob: &str) -> Result<globset::GlobMatcher, ToolError> {
    let full = if glob.contains('/') { glob.to_owned() } else { format!("**/{glob}") };
    GlobBuilder::new(&full)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| ToolError::invalid(format!("the glob is wrong: {}", error.kind())))
}

/// The real path below the root of a directory.
pub(crate) fn opened_at(place: &crate::root::Place<'_>) -> Result<PathBuf, ToolError> {
    let (fd, _) = place.open(OFlags::PATH)?;
    let below = place.root.real(&fd).unwrap_or_else(|| place.below.clone());
    Ok(if below == std::path::Path::new(".") { PathBuf::new() } else { below })
}

/// Which tree.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tree {
    /// The directory.
    path: String,
    /// 1 to 10; 3 if not said.
    max_depth: Option<usize>,
    /// Globs of entries to leave out.
    #[serde(default, alias = "excludePatterns")]
    exclude: Vec<String>,
}

/// A drawn tree.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Drawn {
    path: String,
    /// One line an entry, indented by depth, directories with a slash.
    tree: String,
    entries: usize,
}

/// Entries of a tree, and of one directory in it.
const NODES: usize = 2000;
const OF_ONE: usize = 200;

pub(crate) async fn tree(files: Arc<Files>, call: Call, args: Tree) -> Result<Reply<Drawn>, ToolError> {
    let work = move |call: &Call| {
        let place = files.roots.place(&args.path)?;
        let depth = args.max_depth.unwrap_or(3).clamp(1, 10);
        let exclude = args.exclude.iter().map(|glob| matcher(glob)).collect::<Result<Vec<_>, _>>()?;
        let limits = Limits { depth, ..Limits::SEARCH };
        let top = opened_at(&place)?;
        let mut all: Vec<(PathBuf, bool)> = Vec::new();
        let end = walk::walk(&files.roots, &place, &limits, call, &mut |found| {
            let name = found.below.strip_prefix(&top).unwrap_or(&found.below).to_path_buf();
            if exclude.iter().any(|glob| glob.is_match(&name)) {
                return Ok(Next::Skip);
            }
            all.push((name, found.kind() == "directory"));
            Ok(if all.len() >= NODES * 5 { Next::Stop } else { Next::Go })
        })?;
        all.sort();
        let (tree, entries) = draw(&all);
        let cut = entries < all.len() || end.why().is_some();
        let data = Drawn { path: Roots::show(place.root, &top), tree: tree.clone(), entries };
        Ok(Reply::new(data)
            .text(tree)
            .truncated(cut.then(|| Truncated::new("long directories and large trees are cut", NODES as u64))))
    };
    call.blocking(work).await
}

fn draw(all: &[(PathBuf, bool)]) -> (String, usize) {
    let mut tree = String::new();
    let mut entries = 0;
    let mut counts = std::collections::HashMap::<PathBuf, usize>::new();
    for (path, directory) in all {
        let above = path.parent().map(PathBuf::from).unwrap_or_default();
        let count = counts.entry(above).or_default();
        *count += 1;
        if *count > OF_ONE || entries >= NODES {
            continue;
        }
        entries += 1;
        let depth = path.components().count().saturating_sub(1);
        let name = path.file_name().map(|name| content::plain(&name.to_string_lossy())).unwrap_or_default();
        tree.push_str(&format!("{}{name}{}\n", "  ".repeat(depth), if *directory { "/" } else { "" }));
    }
    for (above, count) in counts.iter().filter(|(_, count)| **count > OF_ONE) {
        tree.push_str(&format!("({} more in {}/)\n", count - OF_ONE, content::plain(&above.to_string_lossy())));
    }
    (tree, entries)
}

/// What to compare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compare {
    /// The old one.
    a: String,
    /// The new one.
    b: Option<String>,
    /// Instead of b: the new content.
    content: Option<String>,
}

pub(crate) async fn compare(files: Arc<Files>, call: Call, args: Compare) -> Result<Reply<Diff>, ToolError> {
    let work = move |_: &Call| {
        let bytes = |path: &str| -> Result<Vec<u8>, ToolError> {
            let place = files.roots.place(path)?;
            let (mut file, stat, _) = files.roots.read(&place)?;
            content::whole(&place.shown, &mut file, &stat, content::WHOLE)
        };
        let old = bytes(&args.a)?;
        let new = match (&args.b, &args.content) {
            (Some(b), None) => bytes(b)?,
            (None, Some(content)) => content.clone().into_bytes(),
            _ => return Err(ToolError::invalid("give either b or content")),
        };
        let diff = edit::diff(&args.a, &old, &new);
        let text = if old == new { "no difference".to_owned() } else { diff.unified.clone() };
        Ok(Reply::new(diff).text(text))
    };
    call.blocking(work).await
}
