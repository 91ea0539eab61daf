//! Program text → the names that it defines: functions, types, constants, modules.
//!
//! A scan by line and not a parser: it needs no grammar per language, never fails, and is right for code that is laid out as people
//! lay it out. What it misses is still found in the code itself; the names only count for more.

/// Names that are kept of one file.
const NAMES: usize = 1_000;
/// Bytes of a line that is looked at; longer ones are made by programs.
const LINE: usize = 1_000;

/// How a language tells that a name is defined.
struct Language {
    /// Words in front of the name.
    words: &'static [&'static str],
    /// Whether a function is a name in front of ( and at the end of the line { or nothing: C and its children.
    calls: bool,
    comment: &'static [&'static str],
}

const RUST: Language = Language {
    words: &["fn", "struct", "enum", "trait", "type", "mod", "union", "const", "static", "macro_rules"],
    calls: false,
    comment: &["//", "#", "*", "/*"],
};
const PYTHON: Language = Language { words: &["def", "class"], calls: false, comment: &["#", "@"] };
const SCRIPT: Language = Language {
    words: &["function", "class", "interface", "type", "enum", "namespace", "const", "let", "var"],
    calls: true,
    comment: &["//", "*", "/*", "@"],
};
const GO: Language = Language { words: &["func", "type", "const", "var"], calls: false, comment: &["//", "*", "/*"] };
const C: Language = Language {
    words: &[
        "struct",
        "class",
        "enum",
        "union",
        "interface",
        "record",
        "namespace",
        "typedef",
        "define",
        "trait",
        "object",
        "fun",
        "func",
        "def",
        "protocol",
        "extension",
    ],
    calls: true,
    comment: &["//", "*", "/*", "@"],
};
const SHELL: Language = Language { words: &["function"], calls: true, comment: &["#"] };
const SQL: Language = Language {
    words: &["table", "view", "function", "procedure", "index", "trigger", "type", "schema"],
    calls: false,
    comment: &["--"],
};
const OTHER: Language = Language {
    words: &[
        "fn",
        "def",
        "defp",
        "defmodule",
        "class",
        "struct",
        "enum",
        "trait",
        "interface",
        "function",
        "func",
        "fun",
        "module",
        "type",
        "message",
        "service",
        "data",
        "newtype",
        "instance",
        "sub",
        "package",
        "resource",
        "variable",
        "const",
        "pub",
    ],
    calls: false,
    comment: &["//", "#", "*", "--", ";", "%"],
};

fn language(ending: &str) -> Option<&'static Language> {
    Some(match ending {
        "rs" => &RUST,
        "py" => &PYTHON,
        "js" | "mjs" | "cjs" | "ts" | "tsx" | "jsx" => &SCRIPT,
        "go" => &GO,
        "java" | "kt" | "scala" | "c" | "h" | "cc" | "cpp" | "hpp" | "cs" | "php" | "swift" | "m" | "dart" => &C,
        "sh" | "bash" | "zsh" | "fish" => &SHELL,
        "sql" => &SQL,
        // Data has keys, not names that are defined.
        "toml" | "yaml" | "yml" | "json" | "xml" => return None,
        _ => &OTHER,
    })
}

/// The names that a text of this ending defines, each once, in their order.
pub(crate) fn defined(ending: &str, text: &str) -> Vec<String> {
    let Some(language) = language(ending) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for line in text.lines().filter(|line| line.len() <= LINE) {
        let trimmed = line.trim_start();
        // `#define` is no comment, though `#` begins one elsewhere.
        let defines = trimmed.starts_with("#define");
        if !defines && language.comment.iter().any(|comment| trimmed.starts_with(comment)) {
            continue;
        }
        let line = trimmed.split("//").next().unwrap_or_default();
        let name = worded(language, line).or_else(|| language.calls.then(|| called(line)).flatten());
        if let Some(name) = name.filter(|name| names.len() < NAMES && seen.insert((*name).to_owned())) {
            names.push(name.to_owned());
        }
    }
    names
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// The name behind a word that defines, if no more than other words that qualify stand in front of it.
fn worded<'l>(language: &Language, line: &'l str) -> Option<&'l str> {
    let mut rest = line;
    for _ in 0..6 {
        let start = rest.find(is_name)?;
        // A bracket or an equals sign in front: this is an expression, and no definition begins in it.
        if rest[..start].contains(['(', '=', '{', ';', '"', '\'']) && !rest.starts_with("(crate)") {
            return None;
        }
        let end = rest[start..].find(|letter| !is_name(letter)).map_or(rest.len(), |length| start + length);
        let (word, behind) = (&rest[start..end], &rest[end..]);
        let defines = language.words.iter().any(|known| known.eq_ignore_ascii_case(word));
        rest = behind.strip_prefix("(crate)").or_else(|| behind.strip_prefix("(super)")).unwrap_or(behind);
        if !defines {
            continue;
        }
        return name_behind(language, word, rest);
    }
    None
}

fn name_behind<'l>(language: &Language, word: &str, rest: &'l str) -> Option<&'l str> {
    // Go's receiver: func (r *Type) Name.
    let rest = rest.trim_start_matches(['!', ' ', '\t', '*']);
    let rest = if word == "func" && rest.starts_with('(') { rest.split_once(')')?.1.trim_start() } else { rest };
    let start = rest.find(is_name)?;
    if !rest[..start].trim().is_empty() {
        return None;
    }
    let end = rest[start..].find(|letter| !is_name(letter)).map_or(rest.len(), |length| start + length);
    let name = &rest[start..end];
    // `const fn`, `enum class`, `if not exists`: another word of the language comes first.
    let again = language.words.iter().any(|known| known.eq_ignore_ascii_case(name));
    let filler = ["if", "mut", "unsafe", "extern", "async"].iter().any(|word| word.eq_ignore_ascii_case(name));
    if again || filler {
        return worded(language, &rest[start..]).or_else(|| last_name(&rest[end..]).filter(|_| filler));
    }
    // A value is a name that is defined only if it is a function, or stands at the beginning of its line's scope as a constant.
    let value = matches!(word, "let" | "var") || (word == "const" && language.calls);
    let function = rest[end..].contains("=>") || rest[end..].contains("function");
    let starts = name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_' || letter == '$');
    (starts && name != "_" && (!value || function)).then_some(name)
}

/// The last name before a bracket: `TABLE IF NOT EXISTS books (`.
fn last_name(rest: &str) -> Option<&str> {
    rest.split('(').next()?.split(|letter| !is_name(letter)).rfind(|word| !word.is_empty())
}

/// The name of a function of C and its children: `static int *name(…) {`, `name() {`.
fn called(line: &str) -> Option<&str> {
    let (head, behind) = line.split_once('(')?;
    let ends = line.trim_end();
    if !(ends.ends_with('{') || ends.ends_with(')') && !head.contains(['.', '=', '"'])) {
        return None;
    }
    let head = head.trim_end();
    let start =
        head.rfind(|letter| !is_name(letter)).map_or(0, |at| at + head[at..].chars().next().map_or(1, char::len_utf8));
    let (front, name) = head.split_at(start);
    let control = [
        "if", "for", "while", "switch", "catch", "return", "match", "else", "do", "elif", "case", "new", "throw",
        "await", "with", "using", "lock", "sizeof", "foreach",
    ];
    let first = front.split_whitespace().next().unwrap_or_default();
    let is_definition = !control.contains(&name)
        && !control.contains(&first)
        && !front.contains(['.', '=', '"', '(', '}', ',', '!', '?']);
    // Without a type in front, only what opens a body right there is a definition.
    let typed = !front.trim().is_empty() || ends.ends_with('{');
    let starts = name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_' || letter == '$');
    (starts && is_definition && typed && !behind.trim().ends_with(';')).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_language_tells_its_functions_and_types() {
        let cases: [(&str, &str, &[&str]); 9] = [
            (
                "rs",
                "pub(crate) async fn start_it() {}\nstruct Engine;\nlet x = 1; // fn of things\nimpl Drop for Engine {\n    const fn size(&self)\nconst MOST: u8 = 1;\nmacro_rules! seek {\ncall(fn_ptr);\npub enum Kind<T> {",
                &["start_it", "Engine", "size", "MOST", "seek", "Kind"],
            ),
            (
                "py",
                "class Loom(Base):\n    async def weave(self):\n# def no\n    x = lambda: 1\n@property\ndef thread():",
                &["Loom", "weave", "thread"],
            ),
            (
                "ts",
                "export default class Page extends Base {\n  async load(id: string): Promise<void> {\n  if (x) {\nconst width = 5;\nexport const fetchAll = async () => {\nfunction* walk(a) {\ninterface Shape {\n  return call(x);",
                &["Page", "load", "fetchAll", "walk", "Shape"],
            ),
            (
                "go",
                "func (s *Server) Serve(ctx context.Context) error {\nfunc main() {\ntype Loom struct {\n\tif x := f(); x {",
                &["Serve", "main", "Loom"],
            ),
            (
                "c",
                "#define LIMIT 5\nstatic int *find_node(struct tree *t, int key)\n{\n  while (x) {\n  call(a, b);\n}\nstruct node {\nint main(void) {\n  return go(1);\n  y = f(x);",
                &["LIMIT", "find_node", "node", "main"],
            ),
            (
                "java",
                "public class Loom<T> {\n  private static List<String> names(int a) {\n    for (int i : a) {\n    names(3);\n  @Override\n  public void run() {",
                &["Loom", "names", "run"],
            ),
            ("sh", "start_server() {\nfunction stop {\n# function no\nif foo; then", &["start_server", "stop"]),
            ("sql", "CREATE TABLE IF NOT EXISTS books (\nCREATE VIEW sold AS", &["books", "sold"]),
            ("toml", "[package]\ntype = \"x\"", &[]),
        ];
        for (ending, text, expected) in cases {
            assert_eq!(defined(ending, text), expected, "{ending}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(ending in "(rs|py|ts|go|c|sh|sql|xx)", text in "[a-z(){}=;!*#é\"/ \n]{0,200}|(fn|func|const|struct|if|\\(|\\)|\\{| |x|é){0,30}") {
            let _ = defined(&ending, &text);
        }
    }
}
