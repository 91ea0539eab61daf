//! Sampling: the wire form of `[sampling]`, who answers when a server asks its client's model and the client has none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_mesh::ServiceId;

/// A service that answers `sampling/createMessage` in place of clients. Off unless `service` and `services` are given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// The service whose tool `chat` is called, usually `aiml`.
    pub service: Option<String>,
    /// The model that it is asked for; its own default without it. What the asking server prefers is not followed.
    pub model: Option<String>,
    /// The longest answer, tokens, whatever the asking server wants.
    pub max_tokens: u64,
    /// The services that may ask. What they ask costs the caller whose call they work on.
    pub services: Vec<String>,
    /// Answers to one call; more are refused.
    pub per_call: usize,
    /// Answer clients' questions too that have a model of their own.
    pub prefer: bool,
}

/// When a service's questions to a model are answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampled {
    Never,
    /// Where the client has no model of its own.
    Otherwise,
    Always,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { service: None, model: None, max_tokens: 1024, services: Vec::new(), per_call: 8, prefer: false }
    }
}

impl Sampling {
    /// When this service is answered.
    pub(crate) fn of(&self, service: &ServiceId) -> Sampled {
        let may_ask = self.service.is_some() && self.services.iter().any(|name| name == service.as_ref());
        match (may_ask, self.prefer) {
            (false, _) => Sampled::Never,
            (true, false) => Sampled::Otherwise,
            (true, true) => Sampled::Always,
        }
    }

    /// Adds what is wrong.
    pub(crate) fn check(&self, wrong: &mut Vec<String>) {
        let Some(service) = &self.service else {
            if !self.services.is_empty() {
                wrong.push("sampling.services may ask, but nobody answers; name it in sampling.service".into());
            }
            return;
        };
        for (key, name) in [("service", service)].into_iter().chain(self.services.iter().map(|it| ("services", it))) {
            if name.parse::<ServiceId>().is_err() {
                wrong.push(format!("sampling.{key}: {name:?} is no name of a service; use 1 to 16 of a-z, 0-9 and -"));
            }
        }
        if self.services.is_empty() {
            wrong.push("sampling.services is empty; name the services that may ask".into());
        }
        if self.services.contains(service) {
            wrong.push(format!("sampling.services must not hold {service:?}, which answers: it would ask itself"));
        }
        if self.max_tokens == 0 || self.per_call == 0 {
            wrong.push("sampling.max_tokens and sampling.per_call must be at least 1".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_answered_unless_both_sides_are_named() {
        let wrong = |sampling: &Sampling| {
            let mut wrong = Vec::new();
            sampling.check(&mut wrong);
            wrong.len()
        };
        let docs: ServiceId = "docs".parse().unwrap();
        assert!(Sampling::default().of(&docs) == Sampled::Never && wrong(&Sampling::default()) == 0);
        let of = |service: Option<&str>, services: &[&str]| Sampling {
            service: service.map(str::to_owned),
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            ..Sampling::default()
        };
        let good = of(Some("aiml"), &["docs"]);
        assert!(good.of(&docs) == Sampled::Otherwise && wrong(&good) == 0);
        assert_eq!(Sampling { prefer: true, ..good.clone() }.of(&docs), Sampled::Always);
        assert_eq!(good.of(&"aiml".parse().unwrap()), Sampled::Never);
        for bad in [of(None, &["docs"]), of(Some("aiml"), &[]), of(Some("aiml"), &["aiml"]), of(Some("No"), &["docs"])]
        {
            assert_eq!(wrong(&bad), 1, "{bad:?}");
        }
    }
}
