//! The aiml service of a mesh as an embedder.
//!
//! A model there is named `provider/model`, and each answer says which model made it: an alias that moved, or a provider that stood in
//! for another, is refused, because its vectors would be compared with those of the model that was meant. Vectors come as base64,
//! and a list that does not fit one page is asked for page by page.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Embedder, Embedding,
    error::{EmbedError, OpenError},
    http::in_range,
    service::Service,
    settings::{MeshSettings, ServiceSettings},
};

/// Texts that aiml takes in one call.
const TEXTS: usize = 256;
/// Bytes of texts in one call; aiml takes twice as many.
const BYTES: usize = 512 << 10;

/// A model of the aiml service.
#[derive(Debug)]
pub(crate) struct Mesh {
    service: Service,
    /// As collections remember it.
    model: String,
    /// As aiml lists it.
    asked: String,
    dimensions: usize,
    batch: usize,
}

#[derive(Deserialize)]
struct Content {
    data: Embedded,
    #[serde(default)]
    page: Page,
}

#[derive(Deserialize)]
struct Embedded {
    vectors: Vec<One>,
    /// Model and digest.
    identity: String,
}

#[derive(Deserialize)]
struct One {
    index: usize,
    base64: Option<String>,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
struct Page {
    cursor: Option<String>,
}

impl Mesh {
    pub(crate) fn open(settings: &MeshSettings) -> Result<Self, OpenError> {
        let MeshSettings { url, model, dimensions, api_key, authorities, batch, timeout_ms } = settings.clone();
        let name = format!("mesh/{model}");
        in_range(&name, dimensions, batch, TEXTS)?;
        if !model.contains('/') {
            let why = format!("`model` is provider/model as aiml lists it, and {model:?} is an alias or a part of it");
            return Err(OpenError::Setting { of: name, why });
        }
        let service = Service::open("aiml", &ServiceSettings { url, api_key, authorities, timeout_ms })?;
        Ok(Self { service, model: name, asked: model, dimensions, batch })
    }

    /// Vectors of one call's texts, none of them blank.
    async fn batch(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut arguments =
            json!({ "model": self.asked, "inputs": texts, "truncate": true, "encoding": "base64", "normalize": true });
        let mut vectors = Vec::with_capacity(texts.len());
        while vectors.len() < texts.len() {
            let content = self
                .service
                .call("embed", arguments.clone())
                .await
                .map_err(|cause| EmbedError::Mesh(Box::new(cause)))?;
            let before = vectors.len();
            let next = self.take(content, &mut vectors)?;
            match next {
                Some(cursor) if vectors.len() > before => arguments["cursor"] = Value::String(cursor),
                _ => break,
            }
        }
        Ok(vectors)
    }

    /// Adds a page's vectors; gives the cursor of the next page.
    fn take(&self, content: Value, vectors: &mut Vec<Vec<f32>>) -> Result<Option<String>, EmbedError> {
        let unreadable = || EmbedError::Unreadable { embedder: self.model.clone() };
        let Content { data, page } = serde_json::from_value(content).map_err(|_| unreadable())?;
        let by = data.identity.rsplit_once('@').map_or(&*data.identity, |(model, _)| model);
        if by != self.asked {
            let answered = by.chars().take(100).collect();
            return Err(EmbedError::Another { embedder: self.model.clone(), answered });
        }
        for One { index, base64, error } in data.vectors {
            if let Some(why) = error {
                tracing::warn!(embedder = self.model, why, "a text was not embedded");
            }
            let bytes = base64.and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.filter(|_| index == vectors.len()).ok_or_else(unreadable)?;
            let (elements, _) = bytes.as_chunks::<4>();
            vectors.push(elements.iter().map(|element| f32::from_le_bytes(*element)).collect());
        }
        Ok(page.cursor)
    }
}

/// How many of the texts go into one call.
fn fitting(texts: &[(usize, &str)], most: usize) -> usize {
    let mut bytes = 0;
    let fits = |(_, text): &&(usize, &str)| {
        bytes += text.len();
        bytes <= BYTES
    };
    texts.iter().take(most).take_while(fits).count().max(1)
}

impl Embedder for Mesh {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed<'a>(&'a self, texts: &'a [String]) -> Embedding<'a> {
        Box::pin(async move {
            // A blank text has no meaning: no direction, as with every embedder here, and aiml takes none.
            let mut vectors = vec![vec![0.0; self.dimensions]; texts.len()];
            let told: Vec<(usize, &str)> =
                texts.iter().map(String::as_str).enumerate().filter(|(_, text)| !text.trim().is_empty()).collect();
            let mut rest = told.as_slice();
            while !rest.is_empty() {
                let (part, after) = rest.split_at(fitting(rest, self.batch));
                let asked: Vec<&str> = part.iter().map(|(_, text)| *text).collect();
                let answered = self.batch(&asked).await?;
                if answered.len() != part.len() {
                    return Err(EmbedError::Unreadable { embedder: self.model.clone() });
                }
                for ((place, _), vector) in part.iter().zip(answered) {
                    vectors[*place] = vector;
                }
                rest = after;
            }
            Ok(vectors)
        })
    }
}
