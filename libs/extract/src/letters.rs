//! Bytes → text, by what they say of themselves: a mark at their beginning, or a character set that somebody names.

use encoding_rs::{Encoding, UTF_8};

/// Bytes of a page in which it may name its character set, as browsers have it.
const HEAD: usize = 1_024;

/// The text of bytes in this character set, UTF-8 if none is named; `None` if they are no text in it. A mark of UTF-8 or UTF-16 at
/// the beginning counts more than what is named.
pub fn text(bytes: &[u8], charset: Option<&str>) -> Option<String> {
    let named = charset.and_then(|label| Encoding::for_label(label.trim().trim_matches('"').as_bytes()));
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((named.unwrap_or(UTF_8), 0));
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..])?;
    (!text.contains('\0')).then(|| text.into_owned())
}

/// The character set that a page of HTML names in its head.
pub fn named_in_html(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]).to_ascii_lowercase();
    let behind = head.split_once("charset=")?.1;
    let name = behind.trim_start_matches(['"', '\'', ' ']).split(['"', '\'', ' ', ';', '>', '/']).next()?;
    Encoding::for_label(name.as_bytes()).map(|encoding| encoding.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_the_set_that_is_marked_or_named() {
        assert_eq!(text("Grüße".as_bytes(), None).as_deref(), Some("Grüße"));
        assert_eq!(text(b"Gr\xfc\xdfe", Some("ISO-8859-1")).as_deref(), Some("Grüße"));
        assert_eq!(text(b"\xff\xfea\0b\0", Some("utf-8")).as_deref(), Some("ab"));
        assert_eq!(named_in_html(b"<meta charset='windows-1252'>").as_deref(), Some("windows-1252"));
        let equiv = b"<META HTTP-EQUIV=x CONTENT=\"text/html; CHARSET=koi8-r\">";
        assert_eq!(named_in_html(equiv).as_deref(), Some("KOI8-R"));
    }

    #[test]
    fn what_is_no_text_is_none() {
        for bytes in [b"Gr\xfc\xdfe".as_slice(), b"a\0b", b"\xff\xfe\0"] {
            assert_eq!(text(bytes, None), None);
        }
    }
}
