//! Embedders behind HTTP: OpenAI's `/v1/embeddings`, which many servers speak, and Ollama's `/api/embed`.
//!
//! An answer is read only as far as vectors of the promised length can reach. Formats: the vendors' published API references.

use std::error::Error;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use weft_telemetry::{exchange, span::About};

use crate::{
    DIMENSIONS, Embedder, Embedding,
    client::{Cut, Door, body},
    error::{EmbedError, OpenError},
    settings::HttpSettings,
};

/// How it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protocol {
    Openai,
    Ollama,
}

/// An embedder behind HTTP.
#[derive(Debug)]
pub(crate) struct Http {
    door: Door,
    protocol: Protocol,
    /// Protocol and model, as collections remember it.
    name: String,
    settings: HttpSettings,
}

#[derive(Serialize)]
struct Ask<'a> {
    model: &'a str,
    input: &'a [String],
}

#[derive(Deserialize)]
struct OpenAi {
    data: Vec<OpenAiItem>,
}

#[derive(Deserialize)]
struct OpenAiItem {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Ollama {
    embeddings: Vec<Vec<f32>>,
}

/// Fails unless the length of vectors and of batches can be meant.
pub(crate) fn in_range(of: &str, dimensions: usize, batch: usize, most: usize) -> Result<(), OpenError> {
    if (1..=DIMENSIONS).contains(&dimensions) && (1..=most).contains(&batch) {
        return Ok(());
    }
    let why = format!("`dimensions` is 1 to {DIMENSIONS}, `batch` 1 to {most}");
    Err(OpenError::Setting { of: of.to_owned(), why })
}

impl Http {
    pub(crate) fn open(protocol: Protocol, settings: &HttpSettings) -> Result<Self, OpenError> {
        let (kind, path) = match protocol {
            Protocol::Openai => ("openai", "v1/embeddings"),
            Protocol::Ollama => ("ollama", "api/embed"),
        };
        let name = format!("{kind}/{}", settings.model);
        in_range(&name, settings.dimensions, settings.batch, 2_048)?;
        let url = format!("{}/{path}", settings.url.trim_end_matches('/'));
        let place = (url.as_str(), settings.api_key.as_ref());
        let door = Door::open(&name, place, settings.authorities.as_deref(), settings.timeout_ms)?;
        Ok(Self { door, protocol, name, settings: settings.clone() })
    }

    async fn batch(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let ask = serde_json::to_vec(&Ask { model: &self.settings.model, input: texts });
        let request = self.door.post(ask.map_err(|cause| self.broken(cause.into()))?);
        let request = request.map_err(|cause| self.broken(cause.into()))?;
        let response = exchange(request, || self.about()).await.map_err(|error| self.away(error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(EmbedError::Failed { embedder: self.name.clone(), status: status.as_u16() });
        }
        // A number takes at most 32 bytes of JSON; besides them there is little.
        let most = 64 * 1024 + texts.len() * self.settings.dimensions * 32;
        let body = body(response, most).await.map_err(|cut| match cut {
            Cut::Away(error) => self.away(error),
            Cut::Endless => EmbedError::Endless { embedder: self.name.clone() },
        })?;
        let unreadable = |_| EmbedError::Unreadable { embedder: self.name.clone() };
        match self.protocol {
            Protocol::Ollama => Ok(serde_json::from_slice::<Ollama>(&body).map_err(unreadable)?.embeddings),
            Protocol::Openai => {
                let mut data = serde_json::from_slice::<OpenAi>(&body).map_err(unreadable)?.data;
                data.sort_by_key(|item| item.index);
                data.dedup_by_key(|item| item.index);
                Ok(data.into_iter().map(|item| item.embedding).collect())
            }
        }
    }

    /// The exchange as traces name it (OpenTelemetry, `gen_ai.*`).
    fn about(&self) -> About {
        let model = self.settings.model.clone();
        let provider = match self.protocol {
            Protocol::Openai => "openai",
            Protocol::Ollama => "ollama",
        };
        let about = vec![
            ("gen_ai.operation.name", "embeddings".into()),
            ("gen_ai.provider.name", provider.into()),
            ("gen_ai.request.model", model.clone().into()),
        ];
        (format!("embeddings {model}").into(), about)
    }

    fn broken(&self, cause: Box<dyn Error + Send + Sync>) -> EmbedError {
        EmbedError::Broken { embedder: self.name.clone(), cause }
    }

    fn away(&self, cause: reqwest::Error) -> EmbedError {
        tracing::warn!(embedder = self.name, cause = %cause, "an embedder did not answer");
        EmbedError::Unreachable { embedder: self.name.clone(), cause }
    }
}

impl Embedder for Http {
    fn model(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        self.settings.dimensions
    }

    fn embed<'a>(&'a self, texts: &'a [String]) -> Embedding<'a> {
        Box::pin(async move {
            let mut vectors = Vec::with_capacity(texts.len());
            for batch in texts.chunks(self.settings.batch) {
                vectors.extend(self.batch(batch).await?);
            }
            Ok(vectors)
        })
    }
}
