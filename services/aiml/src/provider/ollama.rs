//! Ollama's own API (its `docs/api.md`): answers stream as one JSON per line, models are described by the server.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Exchange, Heard, Loaded, Provider, Pulled, Step, http::Http};
use crate::{
    fault::Fault,
    model::{Ask, Finish, Model, Said, ToolCall, Vectors},
    settings::ProviderSettings,
};

mod wire;

/// Characters of one answer, thinking included; a model that runs on is cut here.
const ANSWER: usize = 1 << 20;

/// One Ollama.
#[derive(Debug)]
pub(crate) struct Ollama {
    http: Http,
    /// Contexts that the operator wants.
    contexts: BTreeMap<String, u64>,
}

impl Ollama {
    pub(crate) fn open(settings: &ProviderSettings) -> Result<Self, anyhow::Error> {
        let contexts = settings.models.iter().filter_map(|own| Some((own.id.clone(), own.context?))).collect();
        Ok(Self { http: Http::open(settings)?, contexts })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/{path}", self.http.base())
    }

    async fn answer(&self, model: &str, ask: &Ask, heard: Heard<'_>) -> Result<Said, Fault> {
        let body = wire::request(model, ask, self.contexts.get(model).copied());
        let answer = self.http.send(Method::POST, self.url("chat"), Some(&body)).await?;
        let mut stream = self.http.stream(answer);
        let mut said = Said::default();
        while let Some(line) = stream.next().await? {
            if line.is_empty() {
                continue;
            }
            let piece: wire::Piece =
                serde_json::from_str(&line).map_err(|why| Fault::Broken(format!("a line: {why}")))?;
            if let Some(error) = &piece.error {
                return Err(self.http.complaint(error));
            }
            if !piece.message.is_empty() {
                heard(&piece.message.content);
            }
            said.text.push_str(&piece.message.content);
            said.thinking.push_str(&piece.message.thinking);
            said.tool_calls.extend(piece.message.tool_calls.into_iter().map(|wanted| ToolCall {
                id: wanted.id,
                name: wanted.function.name,
                arguments: wanted.function.arguments,
            }));
            if piece.done {
                said.finish = wire::finish(piece.done_reason.as_deref(), &said);
                said.usage = wire::usage(piece.prompt_eval_count, piece.eval_count);
                return Ok(said);
            }
            if said.text.len() + said.thinking.len() > ANSWER {
                said.finish = Finish::Length;
                return Ok(said);
            }
        }
        Err(Fault::Away("the answer was cut off".to_owned()))
    }

    async fn download(&self, model: &str, pulled: Pulled<'_>) -> Result<(), Fault> {
        let body = json!({"model": model, "stream": true});
        let answer = self.http.send(Method::POST, self.url("pull"), Some(&body)).await?;
        let mut stream = self.http.stream(answer);
        while let Some(line) = stream.next().await? {
            let step: Value = serde_json::from_str(&line).map_err(|why| Fault::Broken(format!("a line: {why}")))?;
            if let Some(error) = step.get("error") {
                return Err(Fault::rejected(error.as_str().unwrap_or_default()));
            }
            let (status, number) = (step["status"].as_str().unwrap_or_default(), |of: &str| step[of].as_u64());
            let (done, total) = (number("completed").unwrap_or(0), number("total").unwrap_or(0));
            pulled(Step { status, part: step["digest"].as_str(), done, total });
            if status == "success" {
                return Ok(());
            }
        }
        Err(Fault::Away("the download was cut off".to_owned()))
    }

    /// For what answers with a status alone.
    async fn tell(&self, method: Method, path: &str, body: Value) -> Result<(), Fault> {
        self.http.send(method, self.url(path), Some(&body)).await.map(drop)
    }
}

impl Provider for Ollama {
    fn kind(&self) -> &'static str {
        "ollama"
    }

    fn models(&self) -> Exchange<'_, Vec<Model>> {
        Box::pin(async move {
            let tags: wire::Tags = self.http.get(self.url("tags")).await?;
            Ok(tags.models.into_iter().map(wire::model).collect())
        })
    }

    fn describe<'a>(&'a self, model: &'a Model) -> Exchange<'a, Model> {
        Box::pin(async move {
            let shown: wire::Shown = self.http.post(self.url("show"), &json!({"model": model.id})).await?;
            let number = |end: &str| shown.model_info.iter().find(|(name, _)| name.ends_with(end))?.1.as_u64();
            let mut model = model.clone();
            let told = wire::capabilities(&shown.capabilities);
            if !told.is_empty() {
                (model.capabilities, model.assumed) = (told, false);
            }
            model.context = number(".context_length").or(model.context);
            model.dimensions = number(".embedding_length").or(model.dimensions);
            Ok(model)
        })
    }

    fn chat<'a>(&'a self, model: &'a str, ask: &'a Ask, heard: Heard<'a>) -> Exchange<'a, Said> {
        Box::pin(self.answer(model, ask, heard))
    }

    fn embed<'a>(&'a self, model: &'a str, texts: &'a [String], truncate: bool) -> Exchange<'a, Vectors> {
        Box::pin(async move {
            let body = json!({"model": model, "input": texts, "truncate": truncate});
            let embedded: wire::Embedded = self.http.post(self.url("embed"), &body).await?;
            let prompt_tokens = embedded.prompt_eval_count;
            Ok(Vectors { vectors: embedded.embeddings, prompt_tokens, ..Vectors::default() })
        })
    }

    fn running(&self) -> Exchange<'_, Vec<Loaded>> {
        Box::pin(async move {
            let tags: wire::Tags = self.http.get(self.url("ps")).await?;
            let loaded = |tag: wire::Tag| Loaded {
                model: tag.name,
                size: tag.size,
                vram: tag.size_vram,
                context: tag.context_length,
                until: tag.expires_at,
            };
            Ok(tags.models.into_iter().map(loaded).collect())
        })
    }

    fn pull<'a>(&'a self, model: &'a str, pulled: Pulled<'a>) -> Exchange<'a, ()> {
        Box::pin(self.download(model, pulled))
    }

    fn copy<'a>(&'a self, model: &'a str, to: &'a str) -> Exchange<'a, ()> {
        Box::pin(self.tell(Method::POST, "copy", json!({"source": model, "destination": to})))
    }

    fn unload<'a>(&'a self, model: &'a str) -> Exchange<'a, ()> {
        Box::pin(self.tell(Method::POST, "generate", json!({"model": model, "keep_alive": 0})))
    }

    fn delete<'a>(&'a self, model: &'a str) -> Exchange<'a, ()> {
        Box::pin(self.tell(Method::DELETE, "delete", json!({"model": model})))
    }
}
