//! Finding files by name and lines by content.

use std::{fs::File, sync::Arc, time::Duration};

use globset::GlobMatcher;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Call, Page, Reply, ToolError, Truncated};

use super::look::{matcher, opened_at};
use crate::{
    Files, content,
    root::{Place, Roots},
    walk::{self, Found, Limits, Next},
};

/// Files of one page.
const FILES: usize = 1000;
/// Lines found of one page, and of one file.
const HITS: usize = 200;
const HITS_OF_ONE: usize = 50;
/// Characters of a line that are shown.
const SHOWN: usize = 400;

/// What to find.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Name {
    /// Where to begin.
    path: String,
    /// A glob; without a slash it matches names at any depth.
    pattern: String,
    /// Globs of what to leave out.
    #[serde(default, alias = "excludePatterns")]
    exclude: Vec<String>,
    /// file or directory; both if not said.
    kind: Option<Kind>,
    /// Skip what .gitignore and .ignore name; yes if not said.
    respect_ignore: Option<bool>,
    /// From an earlier answer, to go on.
    cursor: Option<String>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    File,
    Directory,
}

pub(crate) async fn files(files: Arc<Files>, call: Call, args: Name) -> Result<Reply<Vec<String>>, ToolError> {
    let work = move |call: &Call| {
        let place = files.roots.place(&args.path)?;
        let (pattern, exclude) = (matcher(&args.pattern)?, globs(&args.exclude)?);
        let start = call.resume::<usize>(args.cursor.as_deref())?.map_or(0, weft_kit::At::position);
        let limits = Limits { respect_ignore: args.respect_ignore.unwrap_or(true), ..Limits::SEARCH };
        let top = opened_at(&place)?;
        let mut seen = 0;
        let mut found_paths = Vec::new();
        let end = walk::walk(&files.roots, &place, &limits, call, &mut |found| {
            let name = found.below.strip_prefix(&top).unwrap_or(&found.below);
            if exclude.iter().any(|glob| glob.is_match(name)) {
                return Ok(Next::Skip);
            }
            let wanted = match args.kind {
                None => true,
                Some(Kind::File) => found.kind() == "file",
                Some(Kind::Directory) => found.kind() == "directory",
            };
            if wanted && pattern.is_match(name) {
                seen += 1;
                if seen > start {
                    found_paths.push(Roots::show(place.root, &found.below));
                }
            }
            // One more than a page is looked for: only that proves that there is more.
            Ok(if found_paths.len() > FILES { Next::Stop } else { Next::Go })
        })?;
        let more = found_paths.len() > FILES;
        found_paths.truncate(FILES);
        let cursor = if more { Some(call.cursor("", &(start + FILES))?) } else { None };
        let text: Vec<String> = found_paths.iter().map(|path| content::plain(path)).collect();
        let text = if text.is_empty() { "nothing found".to_owned() } else { text.join("\n") };
        let page = Page::new(found_paths.len(), cursor);
        Ok(Reply::new(found_paths)
            .text(text)
            .page(page)
            .truncated(end.why().map(|why| Truncated::new(why, limits.entries as u64))))
    };
    call.blocking(work).await
}

fn globs(texts: &[String]) -> Result<Vec<GlobMatcher>, ToolError> {
    texts.iter().map(|glob| matcher(glob)).collect()
}

/// What to find.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lines {
    /// A file, or where to begin.
    path: String,
    /// Text, or a regular expression.
    query: String,
    /// The query is a regular expression.
    #[serde(default)]
    regex: bool,
    /// Upper and lower case differ; no if not said.
    #[serde(default)]
    case_sensitive: bool,
    /// Only files whose path matches.
    glob: Option<String>,
    /// Lines around each hit, at most 10; 2 if not said.
    context: Option<usize>,
    /// Skip what .gitignore and .ignore name; yes if not said.
    respect_ignore: Option<bool>,
    /// From an earlier answer, to go on.
    cursor: Option<String>,
}

/// One hit.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hit {
    path: String,
    line: u64,
    text: String,
    /// Lines before and after, with their numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    context: Vec<(u64, String)>,
}

pub(crate) async fn content(files: Arc<Files>, call: Call, args: Lines) -> Result<Reply<Vec<Hit>>, ToolError> {
    let work = move |call: &Call| {
        let mut grep = Grep::new(&files.roots, &args)?;
        let place = files.roots.place(&args.path)?;
        let start = call.resume::<usize>(args.cursor.as_deref())?.map_or(0, weft_kit::At::position);
        grep.skip = start;
        let stat = place.stat()?;
        let limits = Limits {
            respect_ignore: args.respect_ignore.unwrap_or(true),
            time: Duration::from_secs(20),
            ..Limits::SEARCH
        };
        let end = if crate::root::kind(&stat) == "directory" {
            let top = opened_at(&place)?;
            walk::walk(&files.roots, &place, &limits, call, &mut |found| {
                let name = found.below.strip_prefix(&top).unwrap_or(&found.below);
                if found.kind() == "file" && grep.glob.as_ref().is_none_or(|glob| glob.is_match(name)) {
                    grep.file(&place, found);
                }
                Ok(if grep.hits.len() > HITS { Next::Stop } else { Next::Go })
            })?
        } else {
            let (file, _, below) = files.roots.read(&place)?;
            grep.search(&file, &Roots::show(place.root, &below));
            walk::End::Done
        };
        let more = grep.hits.len() > HITS;
        grep.hits.truncate(HITS);
        let cursor = if more { Some(call.cursor("", &(start + HITS))?) } else { None };
        let text = grep.text();
        let page = Page::new(grep.hits.len(), cursor);
        let reply = Reply::new(grep.hits).text(text).page(page);
        Ok(reply.truncated(end.why().map(|why| Truncated::new(why, limits.entries as u64))))
    };
    call.blocking(work).await
}

/// A search through contents.
struct Grep<'g> {
    roots: &'g Roots,
    matcher: RegexMatcher,
    searcher: Searcher,
    glob: Option<GlobMatcher>,
    skip: usize,
    hits: Vec<Hit>,
}

impl<'g> Grep<'g> {
    fn new(roots: &'g Roots, args: &Lines) -> Result<Self, ToolError> {
        if args.query.is_empty() {
            return Err(ToolError::invalid("the query is empty"));
        }
        let matcher = RegexMatcherBuilder::new()
            .case_insensitive(!args.case_sensitive)
            .fixed_strings(!args.regex)
            .line_terminator(Some(b'\n'))
            .size_limit(8 << 20)
            .dfa_size_limit(16 << 20)
            .build(&args.query)
            .map_err(|error| ToolError::invalid(format!("the regular expression is wrong: {error}")))?;
        let context = args.context.unwrap_or(2).min(10);
        let searcher = SearcherBuilder::new()
            .line_number(true)
            .before_context(context)
            .after_context(context)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(16 << 20))
            .build();
        let glob = args.glob.as_deref().map(super::look::matcher).transpose()?;
        Ok(Self { roots, matcher, searcher, glob, skip: 0, hits: Vec::new() })
    }

    /// A file that cannot be read, or is hidden by the rules, holds no hits.
    fn file(&mut self, top: &Place<'_>, found: &Found) {
        let place = Place { below: found.below.clone(), ..top.clone() };
        let Ok((file, _, below)) = self.roots.read(&place) else { return };
        self.search(&file, &Roots::show(top.root, &below));
    }

    fn search(&mut self, file: &File, path: &str) {
        let mut collect =
            Collect { path, skip: &mut self.skip, hits: &mut self.hits, of_this: 0, before: Vec::new(), open: false };
        // A line beyond the memory limit ends the search of its file only.
        let _ = self.searcher.search_file(&self.matcher, file, &mut collect);
    }

    fn text(&self) -> String {
        if self.hits.is_empty() {
            return "nothing found".to_owned();
        }
        let mut text = String::new();
        for hit in &self.hits {
            text.push_str(&format!("{}:{}: {}\n", content::plain(&hit.path), hit.line, content::plain(&hit.text)));
        }
        text
    }
}

/// Gathers the hits of one file.
struct Collect<'c> {
    path: &'c str,
    skip: &'c mut usize,
    hits: &'c mut Vec<Hit>,
    of_this: usize,
    before: Vec<(u64, String)>,
    /// The last hit still takes lines behind it.
    open: bool,
}

fn clip(bytes: &[u8]) -> String {
    let line = String::from_utf8_lossy(bytes);
    let line = line.trim_end_matches(['\n', '\r']);
    if line.chars().count() <= SHOWN {
        line.to_owned()
    } else {
        format!("{}…", line.chars().take(SHOWN).collect::<String>())
    }
}

impl Sink for Collect<'_> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Self::Error> {
        self.of_this += 1;
        let before = std::mem::take(&mut self.before);
        self.open = *self.skip == 0;
        if *self.skip > 0 {
            *self.skip -= 1;
        } else {
            let (line, text) = (found.line_number().unwrap_or(0), clip(found.bytes()));
            self.hits.push(Hit { path: self.path.to_owned(), line, text, context: before });
        }
        Ok(self.of_this < HITS_OF_ONE && self.hits.len() <= HITS)
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, Self::Error> {
        let line = (context.line_number().unwrap_or(0), clip(context.bytes()));
        match (context.kind(), self.hits.last_mut().filter(|_| self.open)) {
            (grep_searcher::SinkContextKind::After, Some(hit)) => hit.context.push(line),
            _ => self.before.push(line),
        }
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, Self::Error> {
        self.before.clear();
        Ok(true)
    }
}
