//! A file → the document that it becomes: prose and program text in fields of their own, with a title, and names that are defined.

use serde_json::{Map, Value, json};
use weft_extract::{Seen, hash, heading, html, pdf::Readable};

use super::symbols;
use crate::{
    filter,
    model::{Document, Field, Kind, Language, Schema},
    vectors::Vectors,
};

/// Endings of program text.
const CODE: [&str; 46] = [
    "rs", "py", "js", "mjs", "cjs", "ts", "tsx", "jsx", "go", "java", "kt", "scala", "c", "h", "cc", "cpp", "hpp",
    "cs", "rb", "php", "swift", "m", "sh", "bash", "zsh", "fish", "sql", "lua", "pl", "r", "jl", "ex", "exs", "erl",
    "hs", "ml", "clj", "zig", "dart", "toml", "yaml", "yml", "json", "xml", "proto", "tf",
];
/// The fields of an index of files.
pub(crate) fn schema(language: Language) -> Schema {
    let field = |name: &str, kind, boost| Field { boost, ..Field::of(name, kind) };
    let fields = vec![
        field("title", Kind::Text, Some(2.0)),
        field("body", Kind::Text, None),
        field("code", Kind::Code, None),
        field("symbols", Kind::Code, Some(3.0)),
        field("name", Kind::Code, Some(2.0)),
        field("root", Kind::Keyword, None),
        field("path", Kind::Keyword, None),
        field("format", Kind::Keyword, None),
        field("ending", Kind::Keyword, None),
        field("size", Kind::Integer, None),
        field("modified", Kind::Date, None),
        field("hash", Kind::Keyword, None),
        field("page", Kind::Integer, None),
        field("pages", Kind::Integer, None),
    ];
    Schema { fields, language, synonyms: Vec::new() }
}

/// The field of an index of files that holds what they mean.
pub(crate) fn meaning() -> Field {
    let of = ["title", "body", "code"].map(str::to_owned).to_vec();
    Field { vector: Some(Vectors { of, ..Vectors::default() }), ..Field::of("meaning", Kind::Vector) }
}

/// Where a text came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'s> {
    pub(crate) root: &'s str,
    pub(crate) seen: &'s Seen,
    /// Of its content.
    pub(crate) hash: &'s str,
    /// What it is, as the ending of a file's name.
    pub(crate) ending: &'s str,
}

impl Source<'_> {
    fn name(&self) -> &str {
        self.seen.path.rsplit('/').next().unwrap_or_default()
    }

    /// What every document tells of its file.
    fn about(&self, format: &str) -> Map<String, Value> {
        let about: [(&str, Value); 8] = [
            ("name", json!(self.name())),
            ("root", json!(self.root)),
            ("path", json!(self.seen.path)),
            ("format", json!(format)),
            ("ending", json!(self.ending)),
            ("size", json!(self.seen.size)),
            ("modified", json!(filter::written(self.seen.modified))),
            ("hash", json!(self.hash)),
        ];
        about.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The document of a file; `None` if it holds no text.
pub(crate) fn of_text(from: Source<'_>, bytes: &[u8]) -> Option<Document> {
    if bytes.iter().take(8_192).any(|byte| *byte == 0) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let mut source = Map::new();
    let format = match from.ending {
        "md" | "markdown" => {
            source.extend(heading(&text).map(|title| ("title".to_owned(), json!(title))));
            source.insert("body".to_owned(), json!(text));
            "markdown"
        }
        "html" | "htm" | "xhtml" => {
            let readable = html::read(&text);
            source.extend(readable.title.map(|title| ("title".to_owned(), json!(title))));
            source.insert("body".to_owned(), json!(readable.text));
            "html"
        }
        code if CODE.contains(&code) => {
            source.insert("symbols".to_owned(), json!(symbols::defined(code, &text)));
            source.insert("code".to_owned(), json!(text));
            "code"
        }
        _ => {
            source.insert("body".to_owned(), json!(text));
            "text"
        }
    };
    source.extend(from.about(format));
    Some(Document { id: id(from.root, &from.seen.path), source })
}

/// The documents of a file that has pages: one for each, so that a hit says on which page it is. A page without text has none, but
/// the first always has one, by which the file is known.
pub(crate) fn of_pages(from: Source<'_>, readable: Readable) -> Vec<Document> {
    let count = readable.pages.len();
    let mut documents = Vec::with_capacity(count);
    for (number, text) in (1..).zip(readable.pages) {
        if text.is_empty() && number > 1 {
            continue;
        }
        let mut source = Map::new();
        source.extend(readable.title.as_ref().map(|title| ("title".to_owned(), json!(title))));
        source.insert("body".to_owned(), json!(text));
        source.insert("page".to_owned(), json!(number));
        source.insert("pages".to_owned(), json!(count));
        source.extend(from.about("pdf"));
        documents.push(Document { id: page_id(from.root, &from.seen.path, number), source });
    }
    documents
}

/// The ids of all documents that a file of so many pages can have; of a file without pages there is one.
pub(crate) fn pages_of(root: &str, path: &str, pages: usize) -> Vec<String> {
    if pages == 0 { vec![id(root, path)] } else { (1..=pages).map(|number| page_id(root, path, number)).collect() }
}

fn page_id(root: &str, path: &str, number: usize) -> String {
    let id = id(root, path);
    let id = if id.len() <= 490 { id } else { format!("{root}/{}", hash(path.as_bytes())) };
    format!("{id}#page={number}")
}

/// The id of a file: its path, or what stands for one that is too long.
pub(crate) fn id(root: &str, path: &str) -> String {
    let id = format!("{root}/{path}");
    let fits = id.len() <= 512 && !id.chars().any(char::is_control);
    if fits { id } else { format!("{root}/{}", hash(path.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use weft_extract::ending;

    use super::*;

    fn made(path: &str, text: &str) -> Map<String, Value> {
        let seen = Seen { path: path.to_owned(), size: text.len() as u64, modified: 0 };
        of_text(Source { root: "r", seen: &seen, hash: "h", ending: &ending(path) }, text.as_bytes()).unwrap().source
    }

    #[test]
    fn each_kind_of_file_fills_its_own_fields() {
        let page = made("a/b.html", "<title>T</title><p>text</p>");
        assert_eq!((&page["title"], &page["body"], &page["format"]), (&json!("T"), &json!("text"), &json!("html")));
        let notes = made("n.md", "---\ntitle: \"Notes\"\n---\n# Other\ntext");
        assert_eq!(notes["title"], "Notes");
        assert_eq!(made("n.md", "intro\n## Second #\ntext")["title"], "Second #");
        let code = made("x.rs", "pub async fn start_it() {}\nstruct Engine;\nlet x = 1; // fn of things");
        assert_eq!(code["symbols"], json!(["start_it", "Engine"]));
        assert_eq!((&code["format"], code.get("body")), (&json!("code"), None));
        assert_eq!(made("LICENSE", "text")["format"], "text");
    }

    #[test]
    fn what_holds_no_text_becomes_no_document() {
        let seen = Seen { path: "a.bin".to_owned(), size: 3, modified: 0 };
        assert_eq!(of_text(Source { root: "r", seen: &seen, hash: "h", ending: "bin" }, b"a\0b"), None);
    }

    #[test]
    fn each_page_is_a_document_and_the_first_always_there() {
        let seen = Seen { path: "a.PDF".to_owned(), size: 3, modified: 0 };
        let pages = ["", "two", "", "four"].map(str::to_owned).to_vec();
        let from = Source { root: "r", seen: &seen, hash: "h", ending: "pdf" };
        let made = of_pages(from, Readable { title: None, pages, cut: false });
        let ids: Vec<_> = made.iter().map(|document| document.id.as_str()).collect();
        assert_eq!(ids, ["r/a.PDF#page=1", "r/a.PDF#page=2", "r/a.PDF#page=4"]);
        assert_eq!((&made[2].source["page"], &made[2].source["pages"]), (&json!(4), &json!(4)));
        let all = pages_of("r", "a.PDF", 4);
        assert!(ids.iter().all(|id| all.iter().any(|of| of == id)));
        assert!(crate::names::id(&pages_of("r", &"a".repeat(509), 2_000)[1_999]).is_ok());
    }

    #[test]
    fn a_path_that_is_no_id_has_one() {
        assert_eq!(id("r", "a/b.rs"), "r/a/b.rs");
        assert!(crate::names::id(&id("r", &"a".repeat(600))).is_ok());
        assert!(crate::names::id(&id("r", "a\nb")).is_ok());
    }
}
