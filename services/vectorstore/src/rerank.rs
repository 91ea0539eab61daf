//! A query and hits → the hits ranked anew, and by what: the model that the operator configured, or words in common without one.
//!
//! A model that cannot be asked now is no reason to find nothing: then words decide, and the answer says so.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;
use weft_embed::{
    Service, ServiceSettings,
    local::{Kind, Local, Threads},
};

use crate::{model::Hit, rank, seek::ScoreKind, settings::RerankerSettings};

/// Hits that a model looks at: the most that a call shows.
const MOST: usize = 100;
/// Bytes of all texts together that the aiml service is sent.
const BYTES: usize = 512 << 10;

/// What ranks anew.
#[derive(Debug)]
pub(crate) enum Reranker {
    /// Words in common.
    Words,
    /// A model of a folder.
    Local(Box<Local>, String),
    /// A model of the aiml service; its own default if none is named.
    Mesh(Box<Service>, Option<String>),
}

/// Hits in their new order.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) hits: Vec<Hit>,
    pub(crate) by: String,
    pub(crate) kind: ScoreKind,
    /// Why it is not what was configured.
    pub(crate) warning: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Order,
}

/// What aiml answers.
#[derive(Deserialize)]
struct Order {
    ranked: Vec<Place>,
    method: String,
}

#[derive(Deserialize)]
struct Place {
    index: usize,
    score: f32,
}

impl Reranker {
    pub(crate) fn open(settings: Option<&RerankerSettings>) -> Result<Self, anyhow::Error> {
        match settings {
            None => Ok(Self::Words),
            Some(RerankerSettings::Local(own)) => {
                let folder = own.path.file_name().map(|name| name.to_string_lossy().into_owned());
                let name = format!("local/{}", own.model.clone().or(folder).unwrap_or_default());
                let idle = (own.idle_s > 0).then(|| std::time::Duration::from_secs(own.idle_s));
                let local = Local::open(&name, &own.path, &Threads::new(own.threads), idle)
                    .with_context(|| format!("cannot use the reranker {name}"))?;
                anyhow::ensure!(
                    local.card().kind == Kind::Reranker,
                    "{name} is no reranker but embeds texts; name it in `embedders`, and a reranker in `reranker`"
                );
                Ok(Self::Local(Box::new(local), name))
            }
            Some(RerankerSettings::Mesh(own)) => {
                let (url, api_key, authorities) = (own.url.clone(), own.api_key.clone(), own.authorities.clone());
                let settings = ServiceSettings { url, api_key, authorities, timeout_ms: own.timeout_ms };
                Ok(Self::Mesh(Box::new(Service::open("aiml", &settings)?), own.model.clone()))
            }
        }
    }

    /// Hits in a new order, best first; a model looks at the first hundred and leaves the rest out.
    pub(crate) async fn rank(&self, query: &str, mut hits: Vec<Hit>) -> Ranked {
        if hits.is_empty() || matches!(self, Self::Words) {
            return by_words(query, hits, None);
        }
        hits.truncate(MOST);
        let texts: Vec<String> = hits.iter().map(|hit| hit.point.text.clone().unwrap_or_default()).collect();
        match self.scores(query, &texts).await {
            Ok((scores, by)) => {
                hits.iter_mut().zip(scores).for_each(|(hit, score)| hit.score = score);
                rank::sort(&mut hits);
                Ranked { hits, by, kind: ScoreKind::Rerank, warning: None }
            }
            Err(why) => {
                tracing::warn!(%why, "hits were not ranked by the model");
                by_words(
                    query,
                    hits,
                    Some(format!("the reranking model gave nothing ({why}); words in common decided")),
                )
            }
        }
    }

    /// A score for each text, and what it is from.
    async fn scores(&self, query: &str, texts: &[String]) -> Result<(Vec<f32>, String), String> {
        let (scores, by) = match self {
            Self::Words => return Err("none is configured".to_owned()),
            Self::Local(local, name) => {
                let work = local.scores(query, texts).await.map_err(|error| error.to_string())?;
                (work.of, name.clone())
            }
            Self::Mesh(service, model) => asked(service, model.as_deref(), (query, texts)).await?,
        };
        let fits = scores.len() == texts.len() && scores.iter().all(|score| score.is_finite());
        if fits { Ok((scores, by)) } else { Err("it gave no number for each text".to_owned()) }
    }
}

/// Asks aiml; texts are cut so that all of them fit into one call, and one that is empty is sent as a dot.
async fn asked(
    service: &Service,
    model: Option<&str>,
    (query, texts): (&str, &[String]),
) -> Result<(Vec<f32>, String), String> {
    let most = BYTES / texts.len().max(1);
    let sent = |text: &String| {
        let end = (0..=text.len().min(most)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let text = text.get(..end).unwrap_or_default();
        if text.trim().is_empty() { ".".to_owned() } else { text.to_owned() }
    };
    let documents: Vec<String> = texts.iter().map(sent).collect();
    let arguments = json!({ "model": model, "query": query, "documents": documents });
    let content = service.call("rerank", arguments).await.map_err(|error| error.to_string())?;
    let Answer { data: Order { ranked, method } } =
        serde_json::from_value(content).map_err(|_| "the aiml service answers in another form".to_owned())?;
    let mut scores = vec![f32::NAN; texts.len()];
    for Place { index, score } in ranked {
        if let Some(own) = scores.get_mut(index) {
            *own = score;
        }
    }
    Ok((scores, format!("aiml/{} ({method})", model.unwrap_or("its default"))))
}

fn by_words(query: &str, hits: Vec<Hit>, warning: Option<String>) -> Ranked {
    Ranked { hits: rank::overlap(hits, query), by: "words".to_owned(), kind: ScoreKind::Overlap, warning }
}
