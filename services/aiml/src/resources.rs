//! Models as resources (`model://provider/model`), completion of their names, and prompts that begin work with models.

use std::sync::Arc;

use weft_kit::{
    At, Body, Builder, Call, Completing, Content, Link, Message, Prompt, PromptArguments, Resources, Template,
    ToolError,
};

use crate::{Models, route, source::Source};

/// Values offered for completion.
const OFFERED: usize = 100;
const PAGE: usize = 200;
const SCHEME: &str = "model://";

/// Adds resources, completion and prompts.
pub(crate) fn add(service: Builder<Models>) -> Builder<Models> {
    let template = Template {
        uri: "model://{provider}/{+model}".to_owned(),
        name: "model".to_owned(),
        description: "A model of a provider: what it can do, context, size, digest.".to_owned(),
        mime: Some("application/json".to_owned()),
    };
    service
        .resources(list, read)
        .template(template)
        .complete(complete)
        .prompt(
            Prompt::new("choose_model", "Find the model that does a task well enough, by trying.")
                .required("task", "What the model shall do, with an example."),
            choose,
        )
        .prompt(
            Prompt::new("design_extraction", "Write and try a JSON Schema that takes facts out of texts.")
                .required("facts", "What is wanted of each text.")
                .optional("model", "Which model."),
            extraction,
        )
}

/// All models that the caller may know of, with their providers. One that does not answer has none.
async fn all(models: &Models, call: &Call) -> Vec<(Arc<Source>, String)> {
    let mut all = Vec::new();
    for (source, list) in route::lists(models.visible(call)).await {
        let list = list.unwrap_or_default();
        all.extend(list.iter().map(|model| (Arc::clone(&source), model.id.clone())));
    }
    all
}

async fn list(models: Arc<Models>, call: Call, cursor: Option<String>) -> Result<Resources, ToolError> {
    let from = call.resume::<usize>(cursor.as_deref())?.map_or(0, At::position);
    let found = call.run(all(&models, &call)).await?;
    let link = |(source, id): &(Arc<Source>, String)| Link {
        uri: format!("{SCHEME}{}/{id}", source.name),
        name: format!("{}/{id}", source.name),
        description: Some(format!("A model of the {} provider {}.", source.provider.kind(), source.name)),
        mime: Some("application/json".to_owned()),
        size: None,
    };
    let items: Vec<Link> = found.iter().skip(from).take(PAGE).map(link).collect();
    let next = from + items.len();
    let cursor = (next < found.len()).then(|| call.cursor("", &next)).transpose()?;
    Ok(Resources { items, cursor })
}

async fn read(models: Arc<Models>, call: Call, uri: String) -> Result<Vec<Content>, ToolError> {
    let missing = || route::unknown(&uri);
    let (provider, id) = uri.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')).ok_or_else(missing)?;
    let source = models.sources.iter().find(|source| source.name == provider && source.is_visible(&call));
    let source = source.ok_or_else(missing)?;
    let list = call.run(source.models()).await?.map_err(|fault| fault.told(&uri))?;
    let model = list.iter().find(|model| model.id == id).ok_or_else(missing)?;
    let text = serde_json::to_string(model).unwrap_or_default();
    Ok(vec![Content { uri: uri.clone(), mime: Some("application/json".to_owned()), body: Body::Text(text) }])
}

async fn complete(models: Arc<Models>, call: Call, asked: Completing) -> Result<Vec<String>, ToolError> {
    let typed = asked.value.as_str();
    let mut names: Vec<String> = match (asked.argument.as_str(), asked.settled.get("provider")) {
        ("provider", _) => {
            let visible = models.sources.iter().filter(|source| source.is_visible(&call));
            visible.map(|source| source.name.clone()).collect()
        }
        ("model", Some(provider)) => {
            let found = call.run(all(&models, &call)).await?;
            found.into_iter().filter(|(source, _)| source.name == *provider).map(|(_, id)| id).collect()
        }
        ("model", None) => {
            let found = call.run(all(&models, &call)).await?;
            let aliases = models.visible_aliases(&call).map(|(name, _)| name.clone());
            aliases.chain(found.into_iter().map(|(source, id)| format!("{}/{id}", source.name))).collect()
        }
        _ => Vec::new(),
    };
    names.retain(|name| name.starts_with(typed) || name.split('/').any(|part| part.starts_with(typed)));
    names.truncate(OFFERED);
    Ok(names)
}

fn argument<'a>(arguments: &'a PromptArguments, name: &str) -> &'a str {
    arguments.get(name).map(String::as_str).unwrap_or_default()
}

async fn choose(_: Arc<Models>, _: Call, arguments: PromptArguments) -> Result<Vec<Message>, ToolError> {
    let task = argument(&arguments, "task");
    Ok(vec![Message::User(format!(
        "Find out which model here does this well enough at the least cost: {task}\n\nUse list_models with capability chat. Write one prompt, give it to \
         up to five models with compare_models at temperature 0, and read the answers. Then write ten short examples with expected answers, and measure the two \
         best with evaluate. Tell me the scores, the times and your choice, and where it fails."
    ))])
}

async fn extraction(_: Arc<Models>, _: Call, arguments: PromptArguments) -> Result<Vec<Message>, ToolError> {
    let facts = argument(&arguments, "facts");
    let model = match argument(&arguments, "model") {
        "" => String::new(),
        model => format!(" with the model {model:?}"),
    };
    Ok(vec![Message::User(format!(
        "Write a JSON Schema for these facts: {facts}\n\nKeep it flat, give every field a description, use enum where there are few values, and let what may be \
         missing be null. Ask me for three texts, try the schema on them{model} with extract, compare with what you read yourself, and mend schema and \
         instructions until both agree. Then show me the schema."
    ))])
}
