//! The API that OpenAI published, as llama.cpp, vLLM, LM Studio and hosted providers serve it: answers stream as server-sent events.
//!
//! The dialects differ in what they leave out. What a server does not tell (capabilities, context) comes from the settings or is
//! guessed and said to be; `openai/wire.rs` holds the shapes.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Exchange, Heard, Provider, http::Http, lines::Events};
use crate::{
    fault::Fault,
    model::{Ask, Finish, Model, Said, Usage, Vectors},
    settings::{ProviderSettings, Tokenizer},
};

mod wire;

/// Characters of one answer, thinking included; a model that runs on is cut here.
const ANSWER: usize = 1 << 20;
/// The end of a stream.
const DONE: &str = "[DONE]";

/// One server of the OpenAI kind.
#[derive(Debug)]
pub(crate) struct OpenAi {
    http: Http,
    dialect: wire::Dialect,
    tokenizer: Tokenizer,
}

impl OpenAi {
    pub(crate) fn open(settings: &ProviderSettings) -> Result<Self, anyhow::Error> {
        let dialect =
            wire::Dialect { structure: settings.structure, max_tokens_field: settings.max_tokens_field.clone() };
        Ok(Self { http: Http::open(settings)?, dialect, tokenizer: settings.tokenizer })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.http.base())
    }

    async fn answer(&self, model: &str, ask: &Ask, heard: Heard<'_>) -> Result<Said, Fault> {
        let body = self.dialect.request(model, ask);
        let answer = self.http.send(Method::POST, self.url("chat/completions"), Some(&body)).await?;
        let mut stream = self.http.stream(answer);
        let (mut events, mut gathered) = (Events::default(), Gathered::default());
        while let Some(line) = stream.next().await? {
            // Some servers do not end their last event with an empty line.
            let Some(data) = events.feed(&line) else { continue };
            if data == DONE || gathered.take(self, &data, heard)? {
                return Ok(gathered.said());
            }
        }
        match events.feed("") {
            Some(data) if data != DONE => gathered.take(self, &data, heard).map(drop)?,
            _ => {}
        }
        // Without a reason to stop the answer is not whole.
        if gathered.ended { Ok(gathered.said()) } else { Err(Fault::Away("the answer was cut off".to_owned())) }
    }

    async fn tokens(&self, model: &str, text: &str) -> Result<u64, Fault> {
        let url = format!("{}/tokenize", self.http.root());
        match self.tokenizer {
            Tokenizer::None => Err(Fault::Unsupported),
            Tokenizer::LlamaCpp => {
                let counted: Value = self.http.post(url, &json!({"content": text})).await?;
                let tokens = counted["tokens"].as_array().map(|tokens| tokens.len() as u64);
                tokens.ok_or_else(|| Fault::Broken("no tokens".to_owned()))
            }
            Tokenizer::Vllm => {
                let counted: Value = self.http.post(url, &json!({"model": model, "prompt": text})).await?;
                counted["count"].as_u64().ok_or_else(|| Fault::Broken("no count".to_owned()))
            }
        }
    }
}

/// An answer as far as it came.
#[derive(Default)]
struct Gathered {
    said: Said,
    calls: wire::Calls,
    ended: bool,
}

impl Gathered {
    /// Takes the data of one event; `true` when nothing more is needed.
    fn take(&mut self, from: &OpenAi, data: &str, heard: Heard<'_>) -> Result<bool, Fault> {
        let chunk: wire::Chunk = serde_json::from_str(data).map_err(|why| Fault::Broken(format!("an event: {why}")))?;
        if let Some(error) = &chunk.error {
            return Err(from.http.complaint(error));
        }
        if let Some(usage) = chunk.usage {
            let (prompt_tokens, completion_tokens) = (usage.prompt_tokens, usage.completion_tokens);
            self.said.usage = Some(Usage { prompt_tokens, completion_tokens, estimated: false });
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(false) };
        let text = choice.delta.content.unwrap_or_default();
        let thinking = choice.delta.reasoning_content.or(choice.delta.reasoning).unwrap_or_default();
        let parts = choice.delta.tool_calls.unwrap_or_default();
        if !(text.is_empty() && thinking.is_empty() && parts.is_empty()) {
            heard(&text);
        }
        self.said.text.push_str(&text);
        self.said.thinking.push_str(&thinking);
        parts.into_iter().for_each(|part| self.calls.add(part));
        if let Some(reason) = choice.finish_reason {
            self.ended = true;
            self.said.finish = wire::finish(&reason);
        }
        if self.said.text.len() + self.said.thinking.len() > ANSWER {
            (self.ended, self.said.finish) = (true, Finish::Length);
            return Ok(true);
        }
        Ok(false)
    }

    fn said(self) -> Said {
        let mut said = self.said;
        said.tool_calls = self.calls.whole();
        if !said.tool_calls.is_empty() {
            said.finish = Finish::ToolCalls;
        }
        said
    }
}

impl Provider for OpenAi {
    fn kind(&self) -> &'static str {
        "openai"
    }

    fn models(&self) -> Exchange<'_, Vec<Model>> {
        Box::pin(async move {
            let listed: wire::Listed = self.http.get(self.url("models")).await?;
            Ok(listed.data.into_iter().map(wire::Entry::model).collect())
        })
    }

    fn chat<'a>(&'a self, model: &'a str, ask: &'a Ask, heard: Heard<'a>) -> Exchange<'a, Said> {
        Box::pin(self.answer(model, ask, heard))
    }

    fn embed<'a>(&'a self, model: &'a str, texts: &'a [String], truncate: bool) -> Exchange<'a, Vectors> {
        Box::pin(async move {
            let mut body = json!({"model": model, "input": texts, "encoding_format": "float"});
            // vLLM's word for it, which strict servers refuse; others cut or refuse by themselves.
            if truncate && self.tokenizer == Tokenizer::Vllm {
                body["truncate_prompt_tokens"] = json!(-1);
            }
            let embedded: wire::Embedded = self.http.post(self.url("embeddings"), &body).await?;
            let prompt_tokens = embedded.usage.as_ref().map(|usage| usage.prompt_tokens);
            let mut data = embedded.data;
            data.sort_by_key(|one| one.index);
            let vectors = data.into_iter().map(|one| one.embedding).collect();
            Ok(Vectors { vectors, prompt_tokens, ..Vectors::default() })
        })
    }

    fn rerank<'a>(&'a self, model: &'a str, query: &'a str, documents: &'a [String]) -> Exchange<'a, Vec<f64>> {
        Box::pin(async move {
            let body = json!({"model": model, "query": query, "documents": documents, "top_n": documents.len()});
            let ranked: wire::Ranked = self.http.post(self.url("rerank"), &body).await?;
            let mut scores = vec![f64::NAN; documents.len()];
            for one in ranked.results {
                let place = scores.get_mut(one.index).ok_or_else(|| Fault::Broken("a document too many".to_owned()))?;
                *place = one.relevance_score;
            }
            let whole = scores.iter().all(|score| score.is_finite());
            if whole { Ok(scores) } else { Err(Fault::Broken("a document has no score".to_owned())) }
        })
    }

    fn count<'a>(&'a self, model: &'a str, text: &'a str) -> Exchange<'a, u64> {
        Box::pin(self.tokens(model, text))
    }
}
