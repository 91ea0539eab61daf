//! Reading files.

use std::{fs::File, io::Read as _, os::unix::fs::FileExt as _, sync::Arc};

use rustix::fs::Stat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_kit::{Block, Call, Page, Reply, ToolError};

use crate::{Files, content, fault, root::Roots};

/// Bytes of text in one answer.
pub(crate) const MOST: usize = 256 << 10;
/// Lines in one answer, unless asked otherwise.
const LINES: usize = 2000;
/// The largest picture or sound.
const MEDIA: u64 = 5 << 20;

/// What to read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    /// The file.
    pub(crate) path: String,
    /// First line, from 1.
    start_line: Option<usize>,
    /// Lines from there; 2000 if not said.
    line_count: Option<usize>,
    /// Only the first lines.
    head: Option<usize>,
    /// Only the last lines.
    tail: Option<usize>,
    /// First byte, from 0; instead of lines.
    byte_offset: Option<u64>,
    /// Bytes from there.
    byte_length: Option<usize>,
    /// Number each line.
    #[serde(default)]
    line_numbers: bool,
    /// From an earlier answer, to go on.
    cursor: Option<String>,
}

/// A text, or a part of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Content {
    /// Absolute.
    path: String,
    content: String,
    /// The version of the whole file; pass it as if_match when changing it.
    etag: String,
    /// Bytes of the whole file.
    size: u64,
    /// First line of this part, from 1; absent for bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<usize>,
    /// Lines in this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<usize>,
    /// Lines of the whole file, when it was read to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_lines: Option<usize>,
    /// How lines end: lf, crlf, cr, mixed or none.
    line_ends: &'static str,
    encoding: &'static str,
}

pub(crate) async fn text(files: Arc<Files>, call: Call, args: Text) -> Result<Reply<Content>, ToolError> {
    let work = move |call: &Call| one(&files.roots, call, &args, MOST);
    call.blocking(work).await
}

fn one(roots: &Roots, call: &Call, args: &Text, most: usize) -> Result<Reply<Content>, ToolError> {
    let place = roots.place(&args.path)?;
    let (mut file, stat, below) = roots.read(&place)?;
    let etag = content::etag(&file, &stat);
    let resumed = call.resume::<usize>(args.cursor.as_deref())?.map(|at| at.fresh(&etag)).transpose()?;
    let mut start = [0; 8192];
    let got = file.read_at(&mut start, 0).map_err(|error| fault::io(&place.shown, &error))?;
    if content::is_binary(&start[..got]) {
        return Err(ToolError::invalid(format!("{} is not a text file", place.shown))
            .hint("use read_media_file for pictures and sounds"));
    }
    let path = Roots::show(place.root, &below);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let mut reply = if args.byte_offset.is_some() || args.byte_length.is_some() {
        bytes(&file, args, (path, etag, size), most)?
    } else {
        let whole = content::whole(&place.shown, &mut file, &stat, content::WHOLE)?;
        lines(call, args, &whole, (path, etag, size), (resumed, most))?
    };
    if stat.st_nlink > 1 {
        reply = reply.warn("the file has other names (hard links), which may be outside the allowed directories");
    }
    Ok(reply.source(place.shown))
}

type About = (String, String, u64);

fn bytes(file: &File, args: &Text, (path, etag, size): About, most: usize) -> Result<Reply<Content>, ToolError> {
    let length = args.byte_length.unwrap_or(most).min(most);
    let mut part = vec![0; length];
    let got = file.read_at(&mut part, args.byte_offset.unwrap_or(0)).map_err(|error| fault::io(&path, &error))?;
    part.truncate(got);
    let decoded = content::decode(&part);
    let data = Content {
        path,
        content: decoded.text.clone(),
        etag,
        size,
        start_line: None,
        lines: None,
        total_lines: None,
        line_ends: content::line_ends(&part),
        encoding: decoded.encoding,
    };
    let reply = Reply::new(data).text(decoded.text);
    Ok(if decoded.lossy { reply.warn("bytes that are no text were replaced") } else { reply })
}

fn lines(
    call: &Call,
    args: &Text,
    whole: &[u8],
    (path, etag, size): About,
    (resumed, most): (Option<usize>, usize),
) -> Result<Reply<Content>, ToolError> {
    let decoded = content::decode(whole);
    let all: Vec<&str> = decoded.text.split_inclusive('\n').collect();
    let (first, wanted) = match (resumed, args.head, args.tail) {
        (Some(at), ..) => (at, args.line_count.unwrap_or(LINES)),
        (None, Some(_), Some(_)) => return Err(ToolError::invalid("head and tail exclude each other")),
        (None, Some(head), None) => (0, head),
        (None, None, Some(tail)) => (all.len().saturating_sub(tail), tail),
        (None, None, None) => (args.start_line.unwrap_or(1).saturating_sub(1), args.line_count.unwrap_or(LINES)),
    };
    let mut out = String::new();
    let mut taken = 0;
    for (number, line) in all.iter().enumerate().skip(first).take(wanted) {
        let prefix = if args.line_numbers { format!("{:>6}\t", number + 1) } else { String::new() };
        if out.len() + prefix.len() + line.len() > most {
            break;
        }
        out.push_str(&prefix);
        out.push_str(line);
        taken += 1;
    }
    let next = first + taken;
    if taken == 0 && first < all.len() && wanted > 0 {
        return Err(ToolError::too_large(format!("line {} alone is larger than {most} bytes", first + 1))
            .hint("read it in parts with byte_offset and byte_length"));
    }
    let asked_all = args.head.is_none() && args.tail.is_none();
    let cut = next < all.len() && (taken < wanted || asked_all);
    let cursor = if cut { Some(call.cursor(&etag, &next)?) } else { None };
    let data = Content {
        path,
        content: out.clone(),
        etag,
        size,
        start_line: Some(first + 1),
        lines: Some(taken),
        total_lines: Some(all.len()),
        line_ends: content::line_ends(whole),
        encoding: decoded.encoding,
    };
    let reply = Reply::new(data).text(out).page(Page::new(taken, cursor).total(all.len() as u64));
    Ok(if decoded.lossy { reply.warn("bytes that are no text were replaced") } else { reply })
}

/// Which files to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Several {
    /// Up to 20 files.
    #[schemars(length(min = 1, max = 20))]
    paths: Vec<String>,
    /// Bytes of each.
    max_bytes_each: Option<usize>,
}

/// One of several files.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OneOf {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// There is more: read it with read_text_file.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) async fn several(files: Arc<Files>, call: Call, args: Several) -> Result<Reply<Vec<OneOf>>, ToolError> {
    if args.paths.is_empty() || args.paths.len() > 20 {
        return Err(ToolError::invalid("paths must hold 1 to 20 files"));
    }
    let work = move |call: &Call| {
        let mut text = String::new();
        let mut left = 2 * MOST;
        let mut all = Vec::new();
        for path in &args.paths {
            call.check()?;
            let most = args.max_bytes_each.unwrap_or(MOST).min(left / 2).max(1);
            let item = whole_or_start(&files.roots, path, most);
            left = left.saturating_sub(item.content.as_ref().map_or(0, String::len) * 2);
            let body = item.content.as_deref().or(item.error.as_deref()).unwrap_or_default();
            text.push_str(&format!("{}:\n{body}\n---\n", content::plain(path)));
            all.push(item);
        }
        Ok(Reply::new(all).text(text))
    };
    call.blocking(work).await
}

fn whole_or_start(roots: &Roots, path: &str, most: usize) -> OneOf {
    let read = || -> Result<(String, String, bool), ToolError> {
        let place = roots.place(path)?;
        let (file, stat, _) = roots.read(&place)?;
        let etag = content::etag(&file, &stat);
        let mut bytes = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| fault::io(&place.shown, &error))?;
        if content::is_binary(&bytes) {
            return Err(ToolError::invalid(format!("{} is not a text file", place.shown)));
        }
        let cut = bytes.len() > most;
        bytes.truncate(most);
        Ok((content::decode(&bytes).text, etag, cut))
    };
    match read() {
        Ok((text, etag, cut)) => {
            OneOf { path: path.to_owned(), content: Some(text), etag: Some(etag), cut, error: None }
        }
        Err(error) => OneOf {
            path: path.to_owned(),
            content: None,
            etag: None,
            cut: false,
            error: Some(format!("{}: {}", error.code(), error.message())),
        },
    }
}

/// Which file to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Media {
    /// The file.
    path: String,
}

/// What was read.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MediaFacts {
    path: String,
    media_type: &'static str,
    size: u64,
    etag: String,
}

pub(crate) async fn media(files: Arc<Files>, call: Call, args: Media) -> Result<Reply<MediaFacts>, ToolError> {
    let work = move |_: &Call| {
        let place = files.roots.place(&args.path)?;
        let (mut file, stat, below): (File, Stat, _) = files.roots.read(&place)?;
        let etag = content::etag(&file, &stat);
        let data = content::whole(&place.shown, &mut file, &stat, MEDIA)?;
        let media_type = sniff(&data).ok_or_else(|| {
            ToolError::invalid(format!("{} is no image or sound that is known", place.shown))
                .hint("use read_text_file for text")
        })?;
        let size = data.len() as u64;
        let path = Roots::show(place.root, &below);
        let mime = media_type.to_owned();
        let block = if mime.starts_with("image/") { Block::Image { data, mime } } else { Block::Audio { data, mime } };
        Ok(Reply::new(MediaFacts { path, media_type, size, etag }).text(media_type).block(block))
    };
    call.blocking(work).await
}

/// The media type by the first bytes: a name can lie.
fn sniff(data: &[u8]) -> Option<&'static str> {
    let at = |from: usize, mark: &[u8]| data.get(from..from + mark.len()) == Some(mark);
    [
        (at(0, b"\x89PNG\r\n\x1a\n"), "image/png"),
        (at(0, b"\xff\xd8\xff"), "image/jpeg"),
        (at(0, b"GIF87a") || at(0, b"GIF89a"), "image/gif"),
        (at(0, b"RIFF") && at(8, b"WEBP"), "image/webp"),
        (at(0, b"BM"), "image/bmp"),
        (at(0, b"RIFF") && at(8, b"WAVE"), "audio/wav"),
        (at(0, b"ID3") || at(0, b"\xff\xfb"), "audio/mpeg"),
        (at(0, b"OggS"), "audio/ogg"),
        (at(0, b"fLaC"), "audio/flac"),
    ]
    .into_iter()
    .find_map(|(found, media)| found.then_some(media))
}
