//! Bytes of files as text: what they are, how lines end, which version they are.

use std::{fs::File, io::Read as _, os::unix::fs::FileExt as _};

use rustix::fs::Stat;
use sha2::{Digest as _, Sha256};
use weft_kit::ToolError;

use crate::fault;

/// The largest file that is read whole, for edits and whole reads.
pub(crate) const WHOLE: u64 = 32 << 20;
/// Files up to this size are versioned by content, larger ones by what the file system says.
const HASHED: u64 = 64 << 10;

/// Reads a whole file; one that grows meanwhile, or is larger than it says, is cut off at `most`.
pub(crate) fn whole(shown: &str, file: &mut File, stat: &Stat, most: u64) -> Result<Vec<u8>, ToolError> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size > most {
        return Err(ToolError::too_large(format!("{shown} has {size} bytes, more than {most}"))
            .hint("read a part with start_line and line_count, or byte_offset and byte_length"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| fault::io(shown, &error))?;
    if bytes.len() as u64 > most {
        return Err(ToolError::too_large(format!("{shown} has more than {most} bytes")));
    }
    Ok(bytes)
}

/// The version of a file: changes whenever its content does. Small files are hashed, because clocks of file systems are
/// coarse; for large ones inode, size and both times stand for the content.
pub(crate) fn etag(file: &File, stat: &Stat) -> String {
    let mut hash = Sha256::new();
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let facts = [stat.st_ino, size, stat.st_mtime.cast_unsigned(), stat.st_mtime_nsec];
    facts.iter().for_each(|fact| hash.update(fact.to_le_bytes()));
    if size <= HASHED {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        if file.read_exact_at(&mut bytes, 0).is_ok() {
            hash.update(&bytes);
        }
    } else {
        hash.update(stat.st_ctime.to_le_bytes());
        hash.update(stat.st_ctime_nsec.to_le_bytes());
    }
    hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// True when the beginning of a file looks like no text.
pub(crate) fn is_binary(start: &[u8]) -> bool {
    let marked = start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]);
    !marked && start.iter().take(8192).any(|byte| *byte == 0)
}

/// Text, and what was done to make it so.
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) encoding: &'static str,
    /// Bytes that are no text were replaced.
    pub(crate) lossy: bool,
}

/// Decodes UTF-8, or UTF-16 with a mark.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    let (text, encoding, lossy) = encoding_rs::UTF_8.decode(bytes);
    Decoded { text: text.into_owned(), encoding: encoding.name(), lossy }
}

/// How lines end.
pub(crate) fn line_ends(bytes: &[u8]) -> &'static str {
    let lf = bytes.iter().filter(|byte| **byte == b'\n').count();
    let crlf = bytes.windows(2).filter(|pair| *pair == b"\r\n").count();
    let cr = bytes.iter().filter(|byte| **byte == b'\r').count() - crlf;
    match (lf - crlf, crlf, cr) {
        (0, 0, 0) => "none",
        (_, 0, 0) => "lf",
        (0, _, 0) => "crlf",
        (0, 0, _) => "cr",
        _ => "mixed",
    }
}

/// Text that cannot pretend to be something else on a screen: controls, bidirectional marks and invisible characters are
/// written as escapes.
pub(crate) fn plain(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    if text.chars().any(hidden) {
        text.chars().flat_map(|c| if hidden(c) { c.escape_unicode().collect() } else { vec![c] }).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_told_apart() {
        for (text, ends) in
            [("", "none"), ("a", "none"), ("a\nb\n", "lf"), ("a\r\nb", "crlf"), ("a\rb", "cr"), ("a\r\nb\n", "mixed")]
        {
            assert_eq!(line_ends(text.as_bytes()), ends, "{text:?}");
        }
    }

    #[test]
    fn names_cannot_spoof() {
        assert_eq!(plain("invoice\u{202e}txt.exe"), "invoice\\u{202e}txt.exe");
        assert_eq!(plain("a\n\u{1b}[31mb"), "a\\u{a}\\u{1b}[31mb");
        assert_eq!(plain("größe"), "größe");
    }
}
