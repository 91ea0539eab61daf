//! Memory as resources, to be read and to be listened for: a partition (its newest records) and single records.
//!
//! `memory://{namespace}/{part}` and `memory://{namespace}/{part}/{id}`; a part is `team`, `shared` or `private:` and who. The namespace is
//! in the URI because listeners of all tenants hear by URI; it opens nothing: only partitions of the caller's own reach are read.

use std::sync::Arc;

use serde_json::json;
use weft_kit::{Body, Call, Completing, CompletionOf, Content, Link, Resources, Template, ToolError};

use crate::{
    filter::{Filter, Which},
    memory::Memory,
    model::{Kind, Trust},
    moment::Moment,
    shown::Shown,
    space::Space,
};

/// Records of a partition's resource.
const NEWEST: usize = 50;
/// Values offered for completion.
const OFFERED: usize = 100;
const JSON: &str = "application/json";

/// The family of records.
pub(crate) fn template() -> Template {
    Template {
        uri: "memory://{namespace}/{part}/{id}".to_owned(),
        name: "memory-record".to_owned(),
        description:
            "A record: its current version. Listen to it to hear of changes, on whatever instance they are made."
                .to_owned(),
        mime: Some(JSON.to_owned()),
    }
}

pub(crate) async fn list(memory: Arc<Memory>, call: Call, _: Option<String>) -> Result<Resources, ToolError> {
    let item = |space: Space| Link {
        uri: space.uri(),
        name: format!("{:?}", space.visibility).to_lowercase(),
        description: Some(
            "The newest records of this part of memory; listen to it to hear of all changes in it.".to_owned(),
        ),
        mime: Some(JSON.to_owned()),
        size: None,
    };
    Ok(Resources { items: memory.readable(&call).into_iter().map(item).collect(), cursor: None })
}

pub(crate) async fn read(memory: Arc<Memory>, call: Call, uri: String) -> Result<Vec<Content>, ToolError> {
    let missing = || ToolError::not_found(format!("{uri} is no resource of this server"));
    let filter = Filter::new(&Which::default(), Moment::now());
    for space in memory.readable(&call) {
        let own = space.uri();
        let shown = |record| Shown::of(&space, record, call.namespace());
        if uri == own {
            let found = memory.observe(&call, memory.store.newest(&space.key(), None, &filter, NEWEST)).await?;
            let records: Vec<Shown> = found.into_iter().map(shown).collect();
            return Ok(content(&uri, &json!({ "records": records })));
        }
        let Some(id) = uri.strip_prefix(&own).and_then(|rest| rest.strip_prefix('/')) else { continue };
        let found = memory.observe(&call, memory.store.get(&space.key(), &[id.to_owned()])).await?;
        let record = found.into_iter().find(|record| !record.forgotten).ok_or_else(missing)?;
        return Ok(content(&uri, &json!(shown(record))));
    }
    Err(missing())
}

fn content(uri: &str, value: &serde_json::Value) -> Vec<Content> {
    vec![Content { uri: uri.to_owned(), mime: Some(JSON.to_owned()), body: Body::Text(value.to_string()) }]
}

pub(crate) async fn complete(memory: Arc<Memory>, call: Call, asked: Completing) -> Result<Vec<String>, ToolError> {
    let begun = |value: &String| value.starts_with(&asked.value);
    match (&asked.of, asked.argument.as_str()) {
        (CompletionOf::Template(_), "namespace") => {
            Ok(vec![call.namespace().to_owned()].into_iter().filter(begun).collect())
        }
        (CompletionOf::Template(_), "part") => {
            let parts = Space::own(&call).into_iter().map(|space| space.part());
            Ok(parts.filter(begun).collect())
        }
        (CompletionOf::Template(_), "id") => {
            let filter = Filter::new(&Which::default(), Moment::now());
            let found = memory.newest(&call, None, &filter, OFFERED).await?;
            Ok(found.into_iter().map(|(_, record)| record.id).filter(begun).collect())
        }
        (CompletionOf::Prompt(_), "subject") => {
            let which = Which { kinds: vec![Kind::Entity, Kind::Fact], ..Which::default() };
            let filter = Filter::new(&which, Moment::now()).trusting(Trust::Untrusted);
            let found = memory.newest(&call, None, &filter, 500).await?;
            let names = found
                .into_iter()
                .flat_map(|(_, record)| record.entities.into_iter().chain(record.entity.map(|entity| entity.name)));
            let names: std::collections::BTreeSet<String> = names.filter(begun).collect();
            Ok(names.into_iter().take(OFFERED).collect())
        }
        _ => Ok(Vec::new()),
    }
}
