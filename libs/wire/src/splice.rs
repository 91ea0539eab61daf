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
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                out.push_str("\\u00");
                for shift in [4, 0] {
                    let digit = (c as u32 >> shift) & 0xf;
                    out.push(char::from_digit(digit, 16).unwrap_or('0'));
                }
            }
            c => out.push(c),
        }
    }
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
