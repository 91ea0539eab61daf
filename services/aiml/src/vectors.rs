//! Texts → vectors of one model, in batches, each text with its own outcome; and documents → order for a query.
//!
//! Vectors of different models cannot be compared, so a call keeps to the model that answered first. A text that a provider refuses
//! spoils only itself: its batch is halved until it stands alone.

use std::time::{Duration, Instant};

use weft_kit::{Call, ToolError};

use crate::{
    Models,
    attempt::{self, Attempted},
    builtin::{lexical, tokens},
    cache::{self, Key},
    fault::Fault,
    ledger::{Reserved, Used},
    model::{Capability, Usage, Vectors},
    route::Candidate,
    told::{Told, count, millis},
};

/// Refusals after which the texts are not what is wrong.
const REFUSALS: usize = 3;

/// What became of one text: its vector, or what is wrong with it.
pub(crate) type Embedded = Result<Vec<f32>, String>;

/// What became of all texts.
#[derive(Debug)]
pub(crate) struct Embeddings {
    pub(crate) by: Candidate,
    pub(crate) texts: Vec<Embedded>,
    /// Texts that were cut, as far as the provider tells.
    pub(crate) cut: usize,
    pub(crate) told: Told,
}

/// Documents with their scores, in the order in which they were given.
#[derive(Debug)]
pub(crate) struct Ranking {
    pub(crate) by: Candidate,
    pub(crate) scores: Vec<f64>,
    /// `rerank`, `cosine` or `bm25`.
    pub(crate) method: &'static str,
    pub(crate) told: Told,
}

/// What the work of a call adds up to.
struct Sum<'a> {
    reserved: &'a Reserved,
    usage: Usage,
    cost: f64,
    waited: Duration,
    took: Duration,
    passed: Vec<String>,
}

impl<'a> Sum<'a> {
    fn new(reserved: &'a Reserved) -> Self {
        let (usage, waited, took) = (Usage::default(), Duration::ZERO, Duration::ZERO);
        Self { reserved, usage, cost: 0.0, waited, took, passed: Vec::new() }
    }

    fn add<T>(&mut self, attempted: &Attempted<T>, usage: Usage) {
        let cost = attempted.by.price().of(usage);
        self.reserved.settle(Used { tokens: usage.total(), time: attempted.took, cost }, Instant::now());
        self.usage = self.usage.and(usage);
        self.cost += cost;
        self.waited += attempted.waited;
        self.took += attempted.took;
        self.passed.extend(attempted.passed.iter().cloned());
        count(&attempted.by, usage, None);
    }

    fn told(self, by: &Candidate, cached: bool) -> Told {
        Told {
            model: by.name(),
            digest: by.model.digest.clone(),
            usage: self.usage,
            cost: self.cost,
            cached,
            passed: self.passed,
            queue_ms: millis(self.waited),
            model_ms: millis(self.took),
        }
    }
}

fn usage(told: Option<u64>, texts: &[String]) -> Usage {
    let prompt_tokens = told.unwrap_or_else(|| texts.iter().map(|text| tokens::estimate(text)).sum());
    Usage { prompt_tokens, completion_tokens: 0, estimated: told.is_none() }
}

fn key(call: &Call, by: &Candidate, text: &str, truncate: bool) -> Key {
    cache::key(&("embed", call.namespace(), by.name(), &by.model.digest, text, truncate))
}

fn pack(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn unpack(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

impl Models {
    /// Vectors of texts, by the first of the candidates that answers.
    pub(crate) async fn embed(
        &self,
        call: &Call,
        route: &[Candidate],
        texts: &[String],
        truncate: bool,
    ) -> Result<Embeddings, ToolError> {
        let most = attempt::at_most(route, usage(None, texts), None);
        let reserved = self.ledger.reserve(&attempt::payer(call), most, Instant::now())?;
        let mut sum = Sum::new(&reserved);
        let mut route = route.to_vec();
        loop {
            let mut own = Texts { models: self, call, truncate, texts, done: vec![None; texts.len()], cut: 0 };
            if let Some(other) = own.fill(&route, &mut sum).await? {
                // Another model than the one that the first texts came from: all of them anew, by it alone.
                route = vec![other];
                continue;
            }
            let (by, cut) = (route[0].clone(), own.cut);
            let cached = sum.usage.total() == 0 && !texts.is_empty();
            let texts =
                own.done.into_iter().map(|one| one.unwrap_or_else(|| Err("it was left out".to_owned()))).collect();
            return Ok(Embeddings { texts, cut, told: sum.told(&by, cached), by });
        }
    }

    /// Scores of documents: by a reranker, or by vectors, or by words.
    pub(crate) async fn rank(
        &self,
        call: &Call,
        model: Option<&str>,
        query: &str,
        documents: &[String],
    ) -> Result<Ranking, ToolError> {
        let route = match self.route(call, model, Capability::Rerank).await {
            // A model that embeds ranks by the distance of vectors.
            Err(error) if error.code() == "invalid_arguments" => {
                let route = self.route(call, model, Capability::Embed).await?;
                return self.rank_by_vectors(call, &route, query, documents).await;
            }
            route => route?,
        };
        if model.is_none() && route[0].is_builtin() {
            // Meaning before words: any model that embeds knows more of it.
            let route = self.route(call, None, Capability::Embed).await?;
            if !route[0].is_builtin() {
                return self.rank_by_vectors(call, &route, query, documents).await;
            }
        }
        let wanted: u64 = documents.iter().map(|text| tokens::estimate(text) + tokens::estimate(query)).sum();
        let usage = Usage { prompt_tokens: wanted, completion_tokens: 0, estimated: true };
        let most = attempt::at_most(&route, usage, None);
        let reserved = &self.ledger.reserve(&attempt::payer(call), most, Instant::now())?;
        let mut sum = Sum::new(reserved);
        let ranked = attempt::attempt(call, &route, "rerank", |candidate| async move {
            reserved.begin(wanted, candidate.price(), Instant::now());
            let scores = candidate.source.provider.rerank(&candidate.model.id, query, documents).await;
            let scores = scores.inspect_err(|fault| reserved.refused(fault))?;
            if scores.len() == documents.len() {
                Ok(scores)
            } else {
                Err(Fault::Broken("scores are missing".to_owned()))
            }
        });
        let ranked = ranked.await?;
        sum.add(&ranked, usage);
        let Attempted { done: scores, by, .. } = ranked;
        let method = if by.is_builtin() { "bm25" } else { "rerank" };
        Ok(Ranking { told: sum.told(&by, false), by, scores, method })
    }

    /// Scores of documents by the distance of their vectors from the query's.
    pub(crate) async fn rank_by_vectors(
        &self,
        call: &Call,
        route: &[Candidate],
        query: &str,
        documents: &[String],
    ) -> Result<Ranking, ToolError> {
        let texts: Vec<String> = std::iter::once(query.to_owned()).chain(documents.iter().cloned()).collect();
        let embedded = self.embed(call, route, &texts, true).await?;
        let vectors = embedded.texts.into_iter().collect::<Result<Vec<_>, String>>();
        let vectors = vectors.map_err(|why| ToolError::invalid(format!("a text cannot be embedded: {why}")))?;
        let scores = vectors.split_first().map_or_else(Vec::new, |(query, documents)| {
            documents.iter().map(|document| lexical::cosine(query, document)).collect()
        });
        Ok(Ranking { by: embedded.by, scores, method: "cosine", told: embedded.told })
    }
}

/// The texts of one call and what became of them so far.
struct Texts<'a> {
    models: &'a Models,
    call: &'a Call,
    truncate: bool,
    texts: &'a [String],
    done: Vec<Option<Embedded>>,
    cut: usize,
}

impl Texts<'_> {
    /// Embeds what is missing. If another than the first candidate answers, gives that one and stops.
    async fn fill(&mut self, route: &[Candidate], sum: &mut Sum<'_>) -> Result<Option<Candidate>, ToolError> {
        let first = route[0].clone();
        self.recall(&first);
        let missing: Vec<usize> = (0..self.texts.len()).filter(|place| self.done[*place].is_none()).collect();
        let mut batches: Vec<Vec<usize>> =
            missing.chunks(first.source.settings.batch.max(1)).rev().map(<[usize]>::to_vec).collect();
        let mut refusals = 0;
        while let Some(batch) = batches.pop() {
            self.call.check()?;
            self.progress();
            match self.batch(route, &batch, sum).await {
                Ok(Some(other)) => return Ok(Some(other)),
                Ok(None) => {}
                Err(error) if error.code() == "rejected" && batch.len() > 1 => {
                    let (one, other) = batch.split_at(batch.len() / 2);
                    batches.extend([other.to_vec(), one.to_vec()]);
                }
                Err(error) if error.code() == "rejected" => {
                    refusals += 1;
                    let none_worked = !self.done.iter().flatten().any(Result::is_ok);
                    if none_worked && (refusals >= REFUSALS || self.texts.len() == 1) {
                        return Err(error);
                    }
                    self.done[batch[0]] = Some(Err(error.message().to_owned()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What is kept from earlier calls.
    fn recall(&mut self, by: &Candidate) {
        for (text, done) in self.texts.iter().zip(&mut self.done) {
            let kept = self.models.cache.get(&key(self.call, by, text, self.truncate), Instant::now());
            *done = kept.map(|bytes| Ok(unpack(&bytes)));
        }
    }

    async fn batch(
        &mut self,
        route: &[Candidate],
        batch: &[usize],
        sum: &mut Sum<'_>,
    ) -> Result<Option<Candidate>, ToolError> {
        let texts: Vec<String> = batch.iter().map(|place| self.texts[*place].clone()).collect();
        let (sent, truncate, reserved) = (&texts, self.truncate, sum.reserved);
        let wanted = usage(None, sent).total();
        let embedded = attempt::attempt(self.call, route, "embed", |candidate| async move {
            reserved.begin(wanted, candidate.price(), Instant::now());
            let vectors = candidate.source.provider.embed(&candidate.model.id, sent, truncate).await;
            let vectors = vectors.inspect_err(|fault| reserved.refused(fault))?;
            let whole = vectors.vectors.len() == sent.len();
            let sound =
                vectors.vectors.iter().all(|vector| !vector.is_empty() && vector.iter().all(|value| value.is_finite()));
            if whole && sound {
                Ok(vectors)
            } else {
                Err(Fault::Broken("vectors are missing or hold what is no number".to_owned()))
            }
        });
        let embedded = embedded.await?;
        sum.add(&embedded, usage(embedded.done.prompt_tokens, &texts));
        let Vectors { vectors, cut, .. } = embedded.done;
        self.cut += cut.len();
        for (number, ((place, text), vector)) in batch.iter().zip(&texts).zip(vectors).enumerate() {
            // What was cut is not kept, so that the next caller is told too.
            if !cut.contains(&number) {
                self.models.cache.put(key(self.call, &embedded.by, text, truncate), pack(&vector), Instant::now());
            }
            self.done[*place] = Some(Ok(vector));
        }
        let same = embedded.by.name() == route[0].name();
        Ok((!same).then_some(embedded.by))
    }

    #[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
    fn progress(&self) {
        let done = self.done.iter().flatten().count();
        self.call.progress(done as f64, Some(self.texts.len() as f64), None);
    }
}
