//! What a caller wrote → a question that fits the schema of the index it is asked of.

use std::sync::Arc;

use weft_kit::ToolError;

use crate::{
    filter::{self, Condition},
    model::{Question, Schema},
    query, synonyms,
};

/// Words and phrases of one query, with their synonyms.
const ATOMS: usize = 512;

/// Which documents a caller means, as it is written.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) query: Option<&'a str>,
    pub(crate) require_all: bool,
    pub(crate) filters: &'a [Condition],
}

/// The question, and what is to be said about it.
pub(crate) fn of(schema: Arc<Schema>, asked: Asked<'_>) -> Result<(Question, Vec<String>), ToolError> {
    let parsed = query::parse(asked.query.unwrap_or_default())?;
    if let Some(node) = &parsed.query {
        node.check(&schema)?;
    }
    let mut warnings = parsed.warnings;
    let query = parsed.query.map(|node| {
        let node = if asked.require_all { node.requiring_all() } else { node };
        let expanded = synonyms::expand(node.clone(), &schema.synonyms);
        if expanded.atoms().len() <= ATOMS {
            return expanded;
        }
        warnings.push("synonyms were left out, because they are too many for so many words".to_owned());
        node
    });
    let filters = filter::check(&schema, asked.filters.to_vec())?;
    Ok((Question { schema, query, filters }, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_do_not_make_a_query_endless() {
        let group = |word: usize| (0..20).map(|other| format!("w{word}{}", "x".repeat(other))).collect();
        let schema = Arc::new(Schema { synonyms: (0..64).map(group).collect(), ..Schema::default() });
        let ask = |words: usize| {
            let text: Vec<String> = (0..words).map(|word| format!("w{word}")).collect();
            of(Arc::clone(&schema), Asked { query: Some(&text.join(" ")), ..Asked::default() }).unwrap()
        };
        let (question, warnings) = ask(10);
        assert_eq!((question.query.unwrap().atoms().len(), warnings.len()), (200, 0));
        let (question, warnings) = ask(64);
        assert_eq!((question.query.unwrap().atoms().len(), warnings.len()), (64, 1));
    }
}
