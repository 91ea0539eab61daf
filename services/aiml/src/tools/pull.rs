//! A model from elsewhere → at its provider, if it is no larger than it may be and the one that was meant.
//!
//! How large a model is, its provider learns part by part while it downloads, so the download is watched and stopped. Which model it
//! is shows when it is there: one with another digest than was asked for is deleted again, because its template is a program.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use weft_kit::{Call, Reply, ToolError};

use super::admin::{Done, place};
use crate::{Models, fault::Fault, model::Model, provider::Step, source::Source};

/// A list of models has to come within.
const LIST: Duration = Duration::from_secs(10);

/// A model from elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pull {
    /// `provider/model`.
    model: String,
    /// The SHA-256 that it must have, as `model_info` tells it; another model is deleted again.
    digest: Option<String>,
}

pub(super) async fn pull(models: Arc<Models>, call: Call, args: Pull) -> Result<Reply<Done>, ToolError> {
    let (source, id) = place(&models, &call, &args.model)?;
    let wanted = args.digest.as_deref().map(bare).transpose()?;
    let mut pulling = Pulling { call: &call, source: &source, name: &args.model, id, before: None };
    let done = Reply::new(Done { model: args.model.clone() });
    if wanted.is_some() || source.settings.max_model_bytes.is_some() {
        pulling.before = pulling.digest().await?;
        if wanted.is_some() && pulling.before == wanted {
            return Ok(done.text("it is there already"));
        }
    }
    let pulled = pulling.work(wanted.as_deref()).await;
    source.forget_models().await;
    pulled.map(|()| done.text("done"))
}

/// A digest without the name of its algorithm, which providers write or leave out.
fn bare(digest: &str) -> Result<String, ToolError> {
    let digits = without_algorithm(digest);
    let whole = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wrong = || ToolError::invalid("digest is 64 hexadecimal digits, with or without sha256: before them");
    whole.then_some(digits).ok_or_else(wrong)
}

fn without_algorithm(digest: &str) -> String {
    let digest = digest.to_ascii_lowercase();
    digest.strip_prefix("sha256:").unwrap_or(&digest).to_owned()
}

/// One download.
struct Pulling<'a> {
    call: &'a Call,
    source: &'a Source,
    /// `provider/model`.
    name: &'a str,
    id: &'a str,
    /// The digest of what was there by this name.
    before: Option<String>,
}

impl Pulling<'_> {
    async fn work(&self, wanted: Option<&str>) -> Result<(), ToolError> {
        let (parts, most) = (Parts::default(), self.source.settings.max_model_bytes.unwrap_or(u64::MAX));
        let too_large = CancellationToken::new();
        let said = |step: Step<'_>| {
            let (done, total) = parts.add(step);
            self.progress(step.status, done, total);
            if total > most {
                too_large.cancel();
            }
        };
        let pull = self.call.run(self.source.provider.pull(self.id, &said));
        let ended = tokio::select! {
            biased;
            () = too_large.cancelled() => None,
            ended = pull => Some(ended?.map_err(|fault| fault.told(self.name))?),
        };
        let (_, total) = parts.sums();
        if total > most {
            // It may have come whole before it was stopped.
            if ended.is_some() {
                self.take_back().await?;
            }
            return Err(ToolError::too_large(format!(
                "{} has at least {total} bytes, and {most} may be pulled",
                self.name
            ))
            .hint("pull a smaller one, or one of a stronger quantisation; the operator sets max_model_bytes"));
        }
        match wanted {
            Some(wanted) => self.verify(wanted).await,
            None => Ok(()),
        }
    }

    async fn verify(&self, wanted: &str) -> Result<(), ToolError> {
        let found = self.digest().await?;
        if found.as_deref() == Some(wanted) {
            return Ok(());
        }
        let outcome = if self.take_back().await? { "was deleted again" } else { "stays as it was" };
        let (name, found) = (self.name, found.as_deref().unwrap_or("none"));
        Err(ToolError::new("digest_mismatch", format!("{name} has the digest {found}, not {wanted}: it {outcome}"))
            .hint("the name leads to another model: find out why before you pull it by that digest"))
    }

    /// What the provider has by this name, whoever may use it.
    async fn found(&self) -> Result<Option<Model>, ToolError> {
        let listed = tokio::time::timeout(LIST, self.source.provider.models());
        let late = |_| Err(Fault::Away("no list of models in time".to_owned()));
        let listed = self.call.run(listed).await?.unwrap_or_else(late).map_err(|fault| fault.told(self.name))?;
        let latest = format!("{}:latest", self.id);
        Ok(listed.into_iter().find(|model| model.id == self.id || model.id == latest))
    }

    async fn digest(&self) -> Result<Option<String>, ToolError> {
        Ok(self.found().await?.and_then(|model| model.digest).as_deref().map(without_algorithm))
    }

    /// Deletes what came, unless it was there before; says whether it did.
    async fn take_back(&self) -> Result<bool, ToolError> {
        let came =
            |model: &Model| model.digest.as_deref().map(without_algorithm) != self.before || self.before.is_none();
        let Some(model) = self.found().await?.filter(came) else { return Ok(false) };
        let deleted = self.call.run(self.source.provider.delete(&model.id)).await?;
        deleted.map(|()| true).map_err(|fault| fault.told(self.name))
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of a model are far below 2^52")]
    fn progress(&self, status: &str, done: u64, total: u64) {
        self.call.progress(done as f64, (total > 0).then_some(total as f64), status.to_owned());
    }
}

/// The parts of a model as they come: bytes that are there and bytes in all, of each the most that was told.
#[derive(Debug, Default)]
struct Parts(Mutex<BTreeMap<String, (u64, u64)>>);

impl Parts {
    fn add(&self, step: Step<'_>) -> (u64, u64) {
        if let Some(part) = step.part {
            let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (done, total) = parts.entry(part.to_owned()).or_default();
            (*done, *total) = ((*done).max(step.done), (*total).max(step.total).max(step.done));
        }
        self.sums()
    }

    fn sums(&self) -> (u64, u64) {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.values().fold((0, 0), |sum, part| (sum.0.saturating_add(part.0), sum.1.saturating_add(part.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_never_go_back() {
        let parts = Parts::default();
        let step = |part, done, total| parts.add(Step { status: "", part, done, total });
        assert_eq!(step(None, 5, 5), (0, 0));
        assert_eq!(step(Some("a"), 0, 10), (0, 10));
        assert_eq!(step(Some("a"), 7, 10), (7, 10));
        assert_eq!(step(Some("b"), 3, 2), (10, 13), "more came than was told");
        assert_eq!(step(Some("a"), 0, 0), (10, 13));
        assert_eq!(step(Some("c"), 0, u64::MAX), (10, u64::MAX));
    }

    #[test]
    fn digests_are_whole_and_of_one_kind() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(bare(&format!("SHA256:{}", digits.to_uppercase())).unwrap(), digits);
        assert_eq!(bare(&digits).unwrap(), digits);
        for wrong in ["", "sha256:", &digits[1..], &format!("sha512:{digits}"), &digits.replace('a', "g")] {
            assert!(bare(wrong).is_err(), "{wrong}");
        }
    }
}
