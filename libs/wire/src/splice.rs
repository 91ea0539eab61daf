//! Changing a few bytes of a message without parsing or writing the rest.

use std::ops::Range;

/// `input` with each range replaced; an empty range inserts.
///
/// The edits must be sorted and must not overlap; one that does not lie inside what is left of the input is ignored.
pub fn splice(input: &[u8], edits: &[(Range<usize>, &str)]) -> Vec<u8> {
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(input.len() + added);
    let mut copied = 0;
    for (range, text) in edits {
        let Some(before) = input.get(copied..range.start) else { continue };
        if range.end < range.start || range.end > input.len() {
            continue;
        }
        out.extend_from_slice(before);
        out.extend_from_slice(text.as_bytes());
        copied = range.end;
    }
    out.extend_from_slice(input.get(copied..).unwrap_or_default());
    out
}

/// `text` as a JSON string, quotes included (RFC 8259 section 7).
pub fn quote(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut copied = 0;
    // What must be escaped is ASCII, so every cut is between characters.
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.push_str(&text[copied..at]);
        copied = at + 1;
        out.push('\\');
        match byte {
            b'\n' => out.push('n'),
            b'\r' => out.push('r'),
            b'\t' => out.push('t'),
            b'"' | b'\\' => out.push(char::from(byte)),
            _ => {
                out.push_str("u00");
                out.extend([byte >> 4, byte & 0xf].map(|digit| char::from(HEX[usize::from(digit)])));
            }
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_replaced_and_wild_ones_ignored() {
        assert_eq!(splice(b"abcdef", &[(1..2, "XY"), (3..3, "-"), (5..6, "")]), b"aXYc-de");
        assert_eq!(splice(b"abc", &[(2..9, "x"), (1..1, "y")]), b"aybc");
    }

    proptest! {
        #[test]
        fn a_quoted_text_reads_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&quote(&text)).unwrap(), text);
        }
    }
}
