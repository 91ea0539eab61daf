//! Groups of words that mean the same → a query that asks for all of them.
//!
//! Done here, when a query is asked, and not by the stores when a document is written: a change of synonyms works at once, for
//! every document, in every store alike.

use weft_kit::ToolError;

use crate::query::{Atom, Node};

/// Groups of one index.
const GROUPS: usize = 1_000;
/// Words of one group.
const WORDS: usize = 20;
/// A synonym counts a little less than what was asked.
const WEIGHT: f32 = 0.8;

/// Whether these can be synonyms.
pub(crate) fn check(groups: &[Vec<String>]) -> Result<(), ToolError> {
    if groups.len() > GROUPS {
        return Err(ToolError::invalid(format!("at most {GROUPS} groups of synonyms")));
    }
    let fits = |word: &String| (1..=80).contains(&word.len()) && !word.trim().is_empty();
    match groups.iter().find(|group| !(2..=WORDS).contains(&group.len()) || !group.iter().all(fits)) {
        Some(group) => Err(ToolError::invalid(format!(
            "a group of synonyms has 2 to {WORDS} words of up to 80 bytes: {:?}",
            group.iter().take(3).collect::<Vec<_>>()
        ))),
        None => Ok(()),
    }
}

/// The query with the synonyms of its words and phrases beside them.
pub(crate) fn expand(node: Node, groups: &[Vec<String>]) -> Node {
    if groups.is_empty() {
        return node;
    }
    match node {
        Node::All(parts) => Node::All(parts.into_iter().map(|(how, part)| (how, expand(part, groups))).collect()),
        Node::Atom(atom) => beside(atom, groups),
    }
}

fn beside(atom: Atom, groups: &[Vec<String>]) -> Node {
    let Some(asked) = atom.plain() else { return Node::Atom(atom) };
    let same = |word: &String| word.to_lowercase() == asked;
    let others: Vec<_> = groups
        .iter()
        .filter(|group| group.iter().any(same))
        .flatten()
        .filter(|word| !same(word))
        .map(|word| atom.instead(word, WEIGHT))
        .collect();
    if others.is_empty() {
        return Node::Atom(atom);
    }
    Node::any(std::iter::once(atom).chain(others).map(Node::Atom))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query;

    #[test]
    fn a_word_is_asked_together_with_its_synonyms() {
        let groups = vec![vec!["car".to_owned(), "motor vehicle".to_owned()]];
        let told = |text: &str| {
            let parsed = query::parse(text).unwrap().query.unwrap();
            expand(parsed, &groups).to_string()
        };
        assert_eq!(told("red Car"), "(red (Car \"motor vehicle\"^0.8))");
        assert_eq!(told("\"motor vehicle\""), "((\"motor vehicle\" car^0.8))");
        assert_eq!(told("car*"), "(car*)");
    }

    #[test]
    fn a_group_of_one_word_is_refused() {
        assert!(check(&[vec!["a".to_owned()]]).is_err());
        assert!(check(&[vec!["a".to_owned(), "b".to_owned()]]).is_ok());
    }
}
