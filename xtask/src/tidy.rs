//! `cargo xtask tidy`: the house rules that a machine can check. A rule is a pure function from the tree of files to
//! findings; adding one is a function in `tidy/` and a line in `RULES`.

mod crates;
mod exceptions;
mod links;
mod sizes;
mod tree;
mod words;

use std::time::Instant;

use anyhow::Result;

use self::exceptions::Exceptions;
use self::tree::Tree;
use crate::generate;
use crate::repo::Repo;

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; 0 when the whole file is meant.
    pub(crate) line: usize,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

/// A rule's name, which exceptions use, and the rule.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: [Rule; 8] = [
    Rule { name: "direction", check: crates::direction },
    Rule { name: "manifest", check: crates::manifest },
    Rule { name: "size", check: sizes::size },
    Rule { name: "opening", check: sizes::opening },
    Rule { name: "name", check: sizes::name },
    Rule { name: "word", check: words::word },
    Rule { name: "link", check: links::link },
    Rule { name: "path", check: links::path },
];

/// Prints every finding; true when there is none.
pub(crate) fn run(repo: &Repo) -> Result<bool> {
    let start = Instant::now();
    let tree = Tree::read(repo)?;
    let mut exceptions = Exceptions::read(&tree)?;
    let mut count = 0;
    for rule in &RULES {
        let mut findings = (rule.check)(&tree);
        findings.retain(|finding| !exceptions.covers(rule.name, &finding.path));
        findings.sort();
        count += findings.len();
        for Finding { path, line, message } in findings {
            let place = if line == 0 { path } else { format!("{path}:{line}") };
            println!("{place}: {}: {message}", rule.name);
        }
    }
    for unused in exceptions.unused() {
        count += 1;
        println!("{}: {unused}", exceptions::FILE);
    }
    let fresh = generate::check_cheap(repo)?;
    println!("tidy: {} files, {count} findings, {} ms", tree.files().len(), start.elapsed().as_millis());
    Ok(count == 0 && fresh)
}
