//! The settings, into the gateway as an instance: operators and other replicas find it, no call is ever balanced to it.
//!
//! Apart, because its id is a promise: another replica looks it up in the registry to hand over what only this one can go on
//! with. Consul is told the id; a cluster names its endpoints itself, by namespace and pod, and there the id must be that name.

use std::net::SocketAddr;

use weft_mesh::{Instance, PeerEra, ServiceId};

use crate::Settings;

pub(crate) fn announcement(settings: &Settings, (listen, admin): (SocketAddr, SocketAddr)) -> Instance {
    let at = |address: SocketAddr| SocketAddr::new(settings.advertise.unwrap_or(address.ip()), address.port());
    let number = settings.instance.unwrap_or_else(|| u32::from(listen.port()));
    let mut instance = Instance::new(ServiceId::gateway(), number, at(listen));
    if let Some(pod) = &settings.pod {
        instance.id = format!("mcp-{}-{pod}", ServiceId::GATEWAY);
    }
    env!("CARGO_PKG_VERSION").clone_into(&mut instance.version);
    instance.zone.clone_from(&settings.zone);
    instance.era = PeerEra::Dual;
    instance.sessions = false;
    instance.health = Some(at(admin));
    instance
}

/// Whether it can be where a cluster would have an endpoint: a namespace, a dot, a pod.
pub(crate) fn is_pod(text: &str) -> bool {
    let label = |part: &str| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !part.is_empty() && part.bytes().all(known)
    };
    text.contains('.') && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_one_that_the_registry_shows() {
        let at = (SocketAddr::from(([127, 0, 0, 1], 8080)), SocketAddr::from(([127, 0, 0, 1], 8081)));
        let id = |settings: &Settings| announcement(settings, at).id;
        assert_eq!(id(&Settings::default()), "mcp-gateway-8080");
        assert_eq!(id(&Settings { instance: Some(2), ..Settings::default() }), "mcp-gateway-2");
        let pod = Settings { pod: Some("mesh.weft-gateway-0".into()), ..Settings::default() };
        assert_eq!(id(&pod), "mcp-gateway-mesh.weft-gateway-0");
    }

    #[test]
    fn a_pod_is_written_with_its_namespace() {
        assert!(is_pod("mesh.weft-gateway-7d9f-x2x") && is_pod("mesh.a.b"));
        for wrong in ["", "pod", "mesh.", ".pod", "mesh/pod", "Mesh.pod"] {
            assert!(!is_pod(wrong), "{wrong}");
        }
    }
}
