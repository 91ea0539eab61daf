//! Looks after the providers beside the calls: whether each answers, and whether its models are still the same.
//!
//! A list that is asked for here is fresh when a call needs it, so that the first call after a quiet time does not wait for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use metrics::gauge;
use tokio_util::sync::CancellationToken;
use weft_kit::Changes;

use crate::{Models, route};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(30);

/// Watches until `stop`; tells clients when a list changed.
pub(crate) async fn run(models: Arc<Models>, changes: Changes, stop: CancellationToken) {
    let mut before: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let round = async {
            look(&models, &changes, &mut before).await;
            tokio::time::sleep(ROUND).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

/// One round. A provider that does not answer keeps the list that it had.
async fn look(models: &Models, changes: &Changes, before: &mut BTreeMap<String, Vec<String>>) {
    for (source, list) in route::lists(models.sources.clone()).await {
        let answers = source.fault().await.is_none();
        gauge!(weft_kit::names::AIML_PROVIDER_UP.name, "provider" => source.name.clone())
            .set(f64::from(u8::from(answers)));
        let Ok(list) = list else { continue };
        let mut now: Vec<String> =
            list.iter().map(|model| format!("{}@{}", model.id, model.digest.as_deref().unwrap_or_default())).collect();
        now.sort_unstable();
        let known = before.insert(source.name.clone(), now.clone());
        if known.is_some_and(|known| known != now) {
            tracing::info!(provider = source.name, models = now.len(), "a provider has other models than before");
            changes.resources_changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, source::Source};

    #[tokio::test]
    async fn a_list_that_changed_is_noticed_once() {
        let models = Models::open(&Settings::default()).unwrap();
        let (changes, mut before) = (Changes::new(), BTreeMap::new());
        look(&models, &changes, &mut before).await;
        assert_eq!(before["builtin"], ["lexical@lexical/1"]);
        before.insert("builtin".to_owned(), vec!["other@1".to_owned()]);
        look(&models, &changes, &mut before).await;
        assert_eq!(before["builtin"], ["lexical@lexical/1"]);
        assert!(Source::builtin().unwrap().fault().await.is_none());
    }
}
