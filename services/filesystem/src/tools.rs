//! The tools: typed arguments → typed results. Each file is one family; everything that touches a file is in the backend
//! modules, run on the kit's threads for blocking work.

pub(crate) mod change;
pub(crate) mod look;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod search;

use schemars::JsonSchema;
use serde::Serialize;
use weft_kit::{Annotations, Builder, Tool};

use crate::Files;

/// A changed file.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Changed {
    /// Absolute.
    pub(crate) path: String,
    /// The version that stands there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// It was not there before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) created: bool,
    /// Nothing was done: this is what would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dry_run: bool,
    /// What changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) diff: Option<crate::edit::Diff>,
}

/// Adds all tools.
pub(crate) fn add(service: Builder<Files>) -> Builder<Files> {
    let service = service
        .tool(Tool::new("list_allowed_directories", Annotations::READ, "Lists the directories that may be used, and what may be done in each."), look::allowed)
        .tool(Tool::new("read_text_file", Annotations::READ, "Reads a text file, whole or by lines (start_line, line_count, head, tail) or bytes; goes on with cursor. For several files use read_multiple_files, to find something search_content.").text_limit(read::MOST), read::text)
        .tool(Tool::new("read_multiple_files", Annotations::READ, "Reads up to 20 text files at once; one that cannot be read does not fail the others.").text_limit(2 * read::MOST), read::several)
        .tool(Tool::new("read_media_file", Annotations::READ, "Reads an image or sound, at most 5 MiB."), read::media)
        .tool(Tool::new("get_file_info", Annotations::READ, "Tells kind, size, times, permissions and etag of a file or directory, without following a link."), look::info);
    let service = service
        .tool(Tool::new("list_directory", Annotations::READ, "Lists a directory, to a depth of 1 to 5; with sizes, hidden entries or a glob if asked. For an overview use directory_tree."), look::list)
        .tool(Tool::new("directory_tree", Annotations::READ, "Shows a directory as a tree, ignore files respected; long directories are cut."), look::tree)
        .tool(Tool::new("search_files", Annotations::READ, "Finds files by a glob on their path, ignore files respected."), search::files)
        .tool(Tool::new("search_content", Annotations::READ, "Finds lines by text or regular expression, with context, ignore files respected."), search::content)
        .tool(Tool::new("diff_files", Annotations::READ, "Compares two text files, or a file with given content."), look::compare);
    service
        .tool(Tool::new("write_file", Annotations::OVERWRITE, "Makes or replaces a file, whole or not at all, or appends to it. For changes inside a file use edit_file. if_match guards against overwriting what changed."), change::write)
        .tool(Tool::new("edit_file", Annotations::EDIT, "Replaces exact texts in a file, all or none; each old_text must stand exactly once unless expected_count says otherwise. Returns a diff; dry_run only shows it."), change::edit)
        .tool(Tool::new("create_directory", Annotations::ENSURE, "Makes a directory and those above it; one that is there is fine."), change::directory)
        .tool(Tool::new("copy_file", Annotations::ADD, "Copies a file, or with recursive a directory; never onto something that is there unless overwrite."), change::copy)
        .tool(Tool::new("move_file", Annotations::MOVE, "Moves or renames a file or directory; never onto something that is there unless overwrite, which puts that into the trash."), remove::relocate)
        .planned(Tool::new("delete_file", Annotations::DELETE, "Deletes a file, or with recursive a directory: into the trash, where restore_file finds it, or with permanent for good."), remove::plan, remove::delete)
        .tool(Tool::new("list_trash", Annotations::READ, "Lists what was deleted and can be restored."), remove::trash)
        .tool(Tool::new("restore_file", Annotations::ADD, "Puts something from the trash back where it was, if nothing is there now."), remove::restore)
}
