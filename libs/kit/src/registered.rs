//! A running instance in the registry: announced when it can answer, withdrawn before anything else stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use weft_mesh::{Instance, PeerEra, Register, RegistryError, ServiceId};

use crate::host::Host;
use crate::http::PATH;
use crate::service::Service;

/// A registry that is away must not keep an instance from stopping.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was announced and where.
pub(crate) struct Registered {
    pub(crate) service: ServiceId,
    id: String,
    register: Option<Arc<dyn Register>>,
}

impl Registered {
    pub(crate) async fn announce(
        service: &Service,
        host: &Host,
        (address, admin): (SocketAddr, Option<SocketAddr>),
    ) -> Result<Self, RegistryError> {
        let manifest = &service.manifest;
        let reachable = SocketAddr::new(host.advertise.unwrap_or(address.ip()), address.port());
        let number = host.instance.unwrap_or_else(|| u32::from(address.port()));
        let mut instance = Instance::new(manifest.id.clone(), number, reachable);
        instance.weight = host.weight;
        instance.health = admin.map(|at| SocketAddr::new(host.advertise.unwrap_or(at.ip()), at.port()));
        instance.meta.insert("capabilities".to_owned(), service.capabilities().join(","));
        if let Some(key) = &manifest.key {
            instance.meta.insert("key".to_owned(), key.clone());
        }
        PATH.clone_into(&mut instance.path);
        service.version.clone_into(&mut instance.version);
        instance.identity = host.identity.as_ref().map(weft_identity::Identity::spiffe_id);
        instance.zone.clone_from(&host.zone);
        // What an engine speaks is found out by asking it.
        (instance.era, instance.sessions) = match service.engine {
            Some(_) => (PeerEra::Unknown, true),
            None => (PeerEra::Dual, false),
        };
        instance.schemes.clone_from(&manifest.schemes);
        instance.policy = Some(manifest.policy.as_str().to_owned());
        let (service, id) = (instance.service.clone(), instance.id.clone());
        if let Some(register) = &host.register {
            register.announce(instance).await?;
        }
        Ok(Self { service, id, register: host.register.clone() })
    }

    pub(crate) async fn withdraw(self) {
        let Some(register) = self.register else { return };
        match tokio::time::timeout(PATIENCE, register.withdraw(&self.id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(id = self.id, %error, "the instance could not be withdrawn"),
            Err(_) => tracing::warn!(id = self.id, "the registry did not answer a withdrawal"),
        }
    }
}
