//! HTML → its title and the text that a reader would see. Not a parser: tags are passed over, what is hidden is left out.

/// Elements whose content nobody reads.
const HIDDEN: [&str; 8] = ["script", "style", "template", "noscript", "svg", "head", "iframe", "title"];
/// Elements that end a line.
const BLOCKS: [&str; 24] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "table",
    "tr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "section",
    "article",
    "header",
    "footer",
    "nav",
    "pre",
    "blockquote",
    "hr",
    "dt",
    "dd",
];
/// References by name; others stay as they are.
const NAMED: [(&str, &str); 12] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("mdash", "—"),
    ("hellip", "…"),
    ("copy", "©"),
    ("laquo", "«"),
    ("raquo", "»"),
];

/// What can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Readable {
    /// Of the page itself, not its first heading.
    pub title: Option<String>,
    /// A line for each block.
    pub text: String,
}

/// Takes the tags away.
pub fn read(source: &str) -> Readable {
    let mut readable = Readable::default();
    // Small letters of the same length, so that places agree.
    let small = source.to_ascii_lowercase();
    if let Some(start) = small.find("<title") {
        let open = small[start..].find('>').map(|at| start + at + 1);
        let title = open.and_then(|open| Some(&source[open..open + small[open..].find("</title")?]));
        readable.title = title.map(|title| tidy(&decode(title))).filter(|title| !title.is_empty());
    }
    let mut text = String::new();
    let mut at = 0;
    while let Some(open) = small[at..].find('<').map(|found| at + found) {
        text.push_str(&source[at..open]);
        at = behind(&small, open, &mut text);
    }
    text.push_str(&source[at..]);
    readable.text = tidy(&decode(&text));
    readable
}

/// The place behind the tag (or comment, or hidden element) that begins at `open`.
fn behind(small: &str, open: usize, text: &mut String) -> usize {
    let rest = &small[open..];
    if rest.starts_with("<!--") {
        return rest.find("-->").map_or(small.len(), |end| open + end + 3);
    }
    let name: String = rest[1..].trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
    if name.is_empty() && !rest.starts_with("<!") && !rest.starts_with("<?") {
        text.push('<');
        return open + 1;
    }
    let end = rest.find('>').map_or(small.len(), |end| open + end + 1);
    if HIDDEN.contains(&name.as_str()) && !rest.starts_with("</") {
        let close = format!("</{name}");
        let Some(found) = small[end..].find(&close).map(|found| end + found) else { return small.len() };
        return small[found..].find('>').map_or(small.len(), |last| found + last + 1);
    }
    text.push_str(if BLOCKS.contains(&name.as_str()) { "\n" } else { "" });
    end
}

fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut left = text;
    while let Some((before, behind)) = left.split_once('&') {
        decoded.push_str(before);
        // Looked for no further than a name can be long: a text of nothing but & would take time by its square.
        let end = behind.bytes().take(9).position(|byte| byte == b';');
        let named = end.and_then(|end| Some((letter(&behind[..end])?, &behind[end + 1..])));
        if let Some((letter, rest)) = named {
            decoded.push_str(&letter);
            left = rest;
        } else {
            decoded.push('&');
            left = behind;
        }
    }
    decoded.push_str(left);
    decoded
}

fn letter(name: &str) -> Option<String> {
    if let Some((_, letter)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Some((*letter).to_owned());
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code).map(String::from)
}

/// One space between words, one end of a line between lines.
fn tidy(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_a_reader_sees_is_left() {
        let page = "<!DOCTYPE html><html><head><title> The &amp; page </title><style>p{}</style></head><body><h1>Hello</h1><p>one <b>two</b> \
            three &lt;b&gt; &#233;&#x21;</p><script>alert('<p>no</p>')</script><!-- hidden <p>x</p> --><P>1 < 2 & 3</P></body></html>";
        let read = read(page);
        assert_eq!(read.title.as_deref(), Some("The & page"));
        assert_eq!(read.text, "Hello\none two three <b> é!\n1 < 2 & 3");
    }

    #[test]
    fn what_is_never_closed_ends_with_the_text() {
        assert_eq!(read("a <b").text, "a");
        assert_eq!(read("a <script>b").text, "a");
        assert_eq!(read("a <!-- b").text, "a");
    }

    #[test]
    fn no_page_takes_time_by_its_square() {
        let start = std::time::Instant::now();
        for piece in ["&", "<", "<a ", "<!--", "<script>", "</", "&#", "<title>"] {
            let _ = read(&piece.repeat((4 << 20) / piece.len()));
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn any_text_is_read(source in "[a<>/!&;#x\\-é\"= ]{0,80}") {
            let _ = read(&source);
        }
    }
}
