//! Which kind of proof decides, and what each of them takes.

use std::time::{Duration, SystemTime};

use weft_identity::{Chain, Proven};

use super::{anonymous::LOCAL, *};
use crate::{
    keys::{KeyFile, New},
    settings::auth::{Auth, CertificateRole, Mode, Tls},
};

fn peer(ip: &str, names: &[&str], until: SystemTime) -> Peer {
    let certificate = (!names.is_empty()).then(|| {
        Arc::new(Proven {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            until,
            chain: Chain::default(),
        })
    });
    Peer { certificate, ..Peer::new(format!("{ip}:9").parse().unwrap()) }
}

fn seal() -> Arc<Seal> {
    Arc::new(Seal::new(&[7; 32]).unwrap())
}

fn denied(found: Result<Caller, Refusal>) -> Denied {
    match found {
        Err(Refusal::Unauthenticated(denied)) => denied,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_loopback_may_stay_anonymous() {
    let all = Authenticator::new(&Settings::default(), None, &seal());
    let at = |ip: &str| all.identify(&peer(ip, &[], SystemTime::now()), &HeaderMap::new());
    for local in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let caller = at(local).unwrap();
        assert_eq!((caller.id(), caller.role(), caller.is_proven()), (LOCAL, Role::Writer, false));
    }
    assert_eq!(denied(at("192.0.2.1")), Denied::Missing);
}

#[test]
fn with_keys_nobody_is_anonymous_and_a_wrong_key_is_never_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("keys.json"));
    let new = New { name: "ann".into(), role: Role::Reader, tenant: Some("acme".into()), life: None };
    let (entry, key) = file.create(new).unwrap();
    let keys = Arc::new(Keys::open(file).unwrap());
    let certificate = vec![CertificateRole { name: "cn:*".into(), role: Role::Admin, tenant: None }];
    let auth = Auth { mode: Mode::Keys, certificate, ..Auth::default() };
    let all = Authenticator::new(&Settings { auth, ..Settings::default() }, Some(&keys), &seal());
    let (local, later) = (peer("127.0.0.1", &[], SystemTime::now()), SystemTime::now() + Duration::from_secs(60));
    let with = |peer: &Peer, key: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
        all.identify(peer, &headers)
    };
    assert_eq!(denied(all.identify(&local, &HeaderMap::new())), Denied::Missing);
    let caller = with(&local, &key).unwrap();
    assert_eq!(caller.id(), format!("key:ann:{}", entry.id));
    assert_eq!((caller.role(), caller.tenant(), caller.is_proven()), (Role::Reader, Some("acme"), true));
    assert_eq!(denied(with(&local, "nonsense")), Denied::Mistyped);
    assert_eq!(denied(with(&peer("127.0.0.1", &["cn:ann"], later), "nonsense")), Denied::Mistyped);
}

#[test]
fn a_certificate_has_the_role_of_the_first_entry_that_fits_until_it_ends() {
    let role = |name: &str, role| CertificateRole { name: name.into(), role, tenant: None };
    let certificate = vec![role("dns:*.ops.example", Role::Admin), role("uri:spiffe://example/*", Role::Reader)];
    let all = Authenticator::new(
        &Settings { auth: Auth { certificate, ..Auth::default() }, ..Settings::default() },
        None,
        &seal(),
    );
    let later = SystemTime::now() + Duration::from_secs(60);
    let of = |names: &[&str], until| all.identify(&peer("192.0.2.1", names, until), &HeaderMap::new());
    let both = of(&["uri:spiffe://example/a/b", "dns:x.ops.example"], later).unwrap();
    assert_eq!((both.id(), both.role()), ("certificate:dns:x.ops.example", Role::Admin));
    assert_eq!(of(&["cn:x.ops.example", "uri:spiffe://example/a/b"], later).unwrap().role(), Role::Reader);
    // A name of another kind is another name.
    assert_eq!(denied(of(&["cn:x.ops.example"], later)), Denied::Missing);
    assert_eq!(denied(of(&["dns:x.ops.example"], SystemTime::UNIX_EPOCH)), Denied::Expired);
}

#[test]
fn only_a_proven_replica_hands_over_where_there_is_tls_and_it_says_nothing_for_itself() {
    use crate::handover::tests::{fresh, handed};
    let tls = Tls { cert: Some("c".into()), key: Some("k".into()), ..Tls::default() };
    let seal = seal();
    let [plain, secured] = [Tls::default(), tls].map(|tls| {
        let auth = Auth { insecure: true, ..Auth::default() };
        Authenticator::new(&Settings { auth, tls, ..Settings::default() }, None, &seal)
    });
    let (headers, none) = (handed(&seal, "key:ann:1", fresh()), HeaderMap::new());
    let (client, replica) = (peer("192.0.2.1", &[], SystemTime::now()), peer("127.0.0.1", &[], SystemTime::now()));
    let replica = Peer { replica: true, ..replica };
    assert_eq!(plain.identify(&client, &headers).unwrap().id(), "key:ann:1");
    assert_eq!(denied(secured.identify(&client, &headers)), Denied::Missing, "a header that leaked opens nothing");
    let handed = secured.identify(&replica, &headers).unwrap();
    assert_eq!((handed.id(), handed.is_handed()), ("key:ann:1", true));
    assert_eq!(
        denied(secured.identify(&replica, &none)),
        Denied::Missing,
        "it is not taken for a caller of this machine"
    );
}

#[test]
fn what_a_denied_caller_is_told_fits_into_a_header() {
    for denied in [Denied::Missing, Denied::Scheme, Denied::Mistyped, Denied::Unknown, Denied::Revoked, Denied::Expired]
    {
        let challenge = crate::refusal::challenge(denied);
        let text = challenge.to_str().unwrap();
        assert!(text.starts_with("Bearer realm=\"weft\""), "{text}");
        assert_eq!(text.contains("error="), denied != Denied::Missing, "{text}");
        assert!(!denied.message().contains(['"', '\\']), "{text}");
    }
}
