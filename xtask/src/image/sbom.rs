//! A program -> its bill of materials, in CycloneDX 1.5 (ECMA-424): every package that is linked into it, with version, licence,
//! digest and what it needs. Own, because `cargo tree` knows the features of exactly this program, which a tool that reads the
//! lock file or the whole workspace does not: it would list what is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::command;
use crate::repo::Repo;

/// What `cargo tree` prints of a package, after its depth.
const FORMAT: &str = "|{p}|{l}|{r}";

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    licence: String,
    repository: String,
    needs: BTreeSet<String>,
}

impl Package {
    /// Its name in the bill, and everywhere (the package URL specification, type `cargo`).
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

/// The bill of one program, for the machine that this is.
pub(crate) fn of(repo: &Repo, program: &str) -> Result<Value> {
    let words = ["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", FORMAT];
    let tree = command::output(repo.cargo().args(words).args(["--package", program]))?;
    let (first, packages) = read(&tree)?;
    let lock: toml::Table = toml::from_str(&fs::read_to_string(repo.root.join("Cargo.lock"))?)?;
    Ok(bill(&first, &packages, &digests(&lock)))
}

/// The tree's lines: the program's own name, and every package by its name.
fn read(tree: &str) -> Result<(String, BTreeMap<String, Package>)> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    // The packages between the program and the line that is read.
    let mut above: Vec<String> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, package) = line_of(line).with_context(|| format!("`cargo tree` printed {line:?}"))?;
        let purl = package.purl();
        above.truncate(depth);
        if let Some(parent) = above.last().and_then(|parent| packages.get_mut(parent)) {
            parent.needs.insert(purl.clone());
        }
        packages.entry(purl.clone()).or_insert(package);
        above.push(purl);
    }
    let first = above.first().cloned().context("`cargo tree` printed nothing")?;
    Ok((first, packages))
}

/// `12|name v1.2.3 (where)|licence|repository`, perhaps with `(*)` behind it, where what it needs was listed before.
fn line_of(line: &str) -> Option<(usize, Package)> {
    let mut parts = line.trim_end_matches(" (*)").splitn(4, '|');
    let depth = parts.next()?.parse().ok()?;
    let mut named = parts.next()?.split(' ');
    let (name, version) = (named.next()?.to_owned(), named.next()?.strip_prefix('v')?.to_owned());
    let (licence, repository) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some((depth, Package { name, version, licence, repository, needs: BTreeSet::new() }))
}

/// SHA-256 of every package that was downloaded, by its name in the bill.
fn digests(lock: &toml::Table) -> BTreeMap<String, String> {
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let digest = |package: &toml::Value| {
        let purl = format!("pkg:cargo/{}@{}", text(package, "name")?, text(package, "version")?);
        Some((purl, text(package, "checksum")?))
    };
    packages.into_iter().flatten().filter_map(digest).collect()
}

fn bill(first: &str, packages: &BTreeMap<String, Package>, digests: &BTreeMap<String, String>) -> Value {
    let component = |(purl, package): (&String, &Package)| {
        let mut one = json!({ "type": if purl == first { "application" } else { "library" }, "bom-ref": purl,
            "name": package.name, "version": package.version, "purl": purl });
        if !package.licence.is_empty() {
            // Old packages write `/` for OR, which SPDX does not know.
            one["licenses"] = json!([{ "expression": package.licence.replace('/', " OR ") }]);
        }
        if let Some(digest) = digests.get(purl) {
            one["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
        }
        if package.repository.starts_with("http") {
            one["externalReferences"] = json!([{ "type": "vcs", "url": package.repository }]);
        }
        one
    };
    let others: Vec<Value> = packages.iter().filter(|(purl, _)| *purl != first).map(component).collect();
    let needs: Vec<Value> =
        packages.iter().map(|(purl, package)| json!({ "ref": purl, "dependsOn": package.needs })).collect();
    json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": packages.get_key_value(first).map(component) },
        "components": others, "dependencies": needs })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0|weft-x v0.1.0 (/somewhere/x)|Apache-2.0|https://w.example\n\
        1|bytes v1.2.3|MIT|https://b.example\n2|serde v1.0.0|MIT/Apache-2.0|\n1|http v1.0.0|MIT OR Apache-2.0|\n\
        2|bytes v1.2.3|MIT|https://b.example (*)\n";

    #[test]
    fn a_tree_becomes_packages_and_what_they_need() {
        let (first, packages) = read(TREE).unwrap();
        assert_eq!((first.as_str(), packages.len()), ("pkg:cargo/weft-x@0.1.0", 4));
        let needs = |name: &str| packages[name].needs.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(needs(&first), ["pkg:cargo/bytes@1.2.3", "pkg:cargo/http@1.0.0"]);
        assert_eq!(needs("pkg:cargo/http@1.0.0"), ["pkg:cargo/bytes@1.2.3"]);
        assert_eq!(needs("pkg:cargo/bytes@1.2.3"), ["pkg:cargo/serde@1.0.0"]);
        assert!(read("").is_err() && read("no depth").is_err());
    }

    #[test]
    fn the_bill_names_licences_digests_and_the_program_itself() {
        let (first, packages) = read(TREE).unwrap();
        let lock: toml::Table =
            toml::from_str("[[package]]\nname = \"bytes\"\nversion = \"1.2.3\"\nchecksum = \"ab\"\n").unwrap();
        let bill = bill(&first, &packages, &digests(&lock));
        assert_eq!(bill["metadata"]["component"]["name"], "weft-x");
        assert_eq!(bill["metadata"]["component"]["type"], "application");
        let names: Vec<_> = bill["components"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(names, ["bytes", "http", "serde"]);
        assert_eq!(bill["components"][0]["hashes"][0]["content"], "ab");
        assert_eq!(bill["components"][2]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert!(!bill.to_string().contains("/somewhere"), "no path of this machine");
    }
}
