//! A running gateway and a file that changes under it.

use std::sync::Mutex;

use super::*;
use crate::keys::{New, Role};

fn new(name: &str) -> New {
    New { name: name.to_owned(), role: Role::Writer, tenant: Some("acme".into()), life: None }
}

async fn until(holds: &dyn Fn() -> bool) {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < LOOK * 20, "this did not come to be");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// On paused time a look follows each change however slow the machine is, and a wait is so many looks.
#[tokio::test(start_paused = true)]
async fn a_key_works_from_its_making_to_its_end_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("keys.json"));
    let keys = Arc::new(Keys::open(file.clone()).unwrap());
    let (stop, ended) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
    let follow = {
        let (keys, stop, ended) = (Arc::clone(&keys), stop.clone(), Arc::clone(&ended));
        tokio::spawn(
            async move { keys.follow(stop, |caller| ended.lock().unwrap().push(caller.id().to_owned())).await },
        )
    };
    let (entry, key) = file.create(new("ci")).unwrap();
    let (_, other) = file.create(new("other")).unwrap();
    until(&|| keys.find(&key).is_ok() && keys.find(&other).is_ok()).await;
    let caller = keys.find(&key).unwrap();
    assert_eq!(caller.id(), format!("key:ci:{}", entry.id));
    assert_eq!((caller.role(), caller.tenant()), (Role::Writer, Some("acme")));
    file.revoke("ci").unwrap();
    until(&|| keys.find(&key) == Err(Denied::Revoked) && !ended.lock().unwrap().is_empty()).await;
    assert!(caller.over().unwrap().is_cancelled() && !keys.find(&other).unwrap().over().unwrap().is_cancelled());
    assert_eq!(*ended.lock().unwrap(), [caller.id()]);
    std::fs::write(file.path(), "{").unwrap();
    tokio::time::sleep(LOOK * 3).await;
    assert!(keys.find(&other).is_ok(), "a broken file changes nothing");
    std::fs::remove_file(file.path()).unwrap();
    until(&|| keys.find(&other) == Err(Denied::Unknown)).await;
    stop.cancel();
    follow.await.unwrap();
}

#[test]
fn a_wrong_key_is_told_by_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("keys.json"));
    let (_, key) = file.create(new("ci")).unwrap();
    let (_, over) = file.create(New { life: Some(Duration::ZERO), ..new("over") }).unwrap();
    let keys = Keys::open(file).unwrap();
    assert!(keys.find(&key).is_ok());
    assert_eq!(keys.find(&over), Err(Denied::Expired));
    assert_eq!(keys.find(&key[1..]), Err(Denied::Mistyped));
    assert_eq!(keys.find(&text::fresh().unwrap()), Err(Denied::Unknown));
    assert_eq!(keys.len(), 1);
}
