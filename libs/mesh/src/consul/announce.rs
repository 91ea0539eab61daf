//! Keeps one instance registered: its checks passing while the process lives, and registered again whenever the agent has
//! forgotten it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::net::TcpStream;

use super::{
    ConsulOptions,
    api::{Backoff, ConsulClient, ConsulError},
    entry,
};
use crate::{Instance, RegistryError};

/// One instance's registration.
pub(crate) struct Keeper {
    api: Arc<ConsulClient>,
    instance: Instance,
    body: serde_json::Value,
    beat: Duration,
}

#[derive(Deserialize)]
struct Known {
    #[serde(rename = "Address")]
    address: String,
    #[serde(rename = "Port")]
    port: u16,
}

impl Keeper {
    pub(crate) fn new(api: Arc<ConsulClient>, instance: Instance, options: &ConsulOptions) -> Self {
        let body = entry::registration(&instance, options);
        Self { api, instance, body, beat: options.ttl / 4 }
    }

    /// The first registration: a refusal is told to whoever announces, an outage only logged.
    pub(crate) async fn first(&self) -> Result<(), RegistryError> {
        // An agent that may not be asked about itself is taken as it is.
        if let Err(ConsulError::Refused { status, text }) = self.api.version().await
            && status != 403
        {
            return Err(RegistryError::Settings(text));
        }
        self.is_free().await?;
        match self.register().await {
            Ok(()) => Ok(()),
            Err(ConsulError::Away(why)) => {
                tracing::warn!(
                    id = self.instance.id,
                    why,
                    "Consul is away; the instance is registered when it is back"
                );
                Ok(())
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// Never returns. Its owner aborts it.
    pub(crate) async fn keep(&self) {
        let mut backoff = Backoff::default();
        let mut pass = format!("/v1/agent/check/pass/{}", entry::alive(&self.instance.id));
        pass.push_str("?note=the%20process%20is%20alive");
        loop {
            let beaten = match self.api.put(&pass, None).await {
                Err(ConsulError::Refused { status, .. }) if status.as_u16() == 404 => {
                    tracing::info!(id = self.instance.id, "Consul does not know the instance; registering it again");
                    self.register().await
                }
                other => other,
            };
            match beaten {
                Ok(()) => {
                    backoff.reset();
                    tokio::time::sleep(self.beat).await;
                }
                Err(error) => {
                    tracing::debug!(id = self.instance.id, %error, "Consul did not take the sign of life");
                    backoff.pause().await;
                }
            }
        }
    }

    async fn register(&self) -> Result<(), ConsulError> {
        self.api.put("/v1/agent/service/register?replace-existing-checks=true", Some(&self.body)).await
    }

    /// Takes the instance out; an agent that is away takes it out by itself when the check runs out.
    pub(crate) async fn withdraw(&self) -> Result<(), RegistryError> {
        let path = format!("/v1/agent/service/deregister/{}", self.instance.id);
        for _ in 0..3 {
            match self.api.put(&path, None).await {
                Ok(()) => return Ok(()),
                Err(ConsulError::Refused { status, .. }) if status.as_u16() == 404 => return Ok(()),
                Err(ConsulError::Away(why)) => tracing::debug!(id = self.instance.id, why, "withdrawing again"),
                Err(refused) => return Err(refused.into()),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(RegistryError::Away("the withdrawal got no answer; the check will run out".into()))
    }

    /// An entry with our id at another address is the leftover of a process that died, unless something listens there.
    async fn is_free(&self) -> Result<(), RegistryError> {
        let path = format!("/v1/agent/service/{}", self.instance.id);
        let Ok(Some(known)) = self.api.get::<Known>(&path).await else { return Ok(()) };
        let Ok(address) = known.address.parse().map(|ip| SocketAddr::new(ip, known.port)) else { return Ok(()) };
        if address == self.instance.address {
            return Ok(());
        }
        match tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            Ok(Ok(_)) => Err(RegistryError::Taken(self.instance.id.clone())),
            _ => Ok(()),
        }
    }
}
