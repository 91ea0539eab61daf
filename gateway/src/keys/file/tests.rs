//! What a file of keys promises: it is private, it is whole at every moment, and it never holds a key.

use super::*;

fn new(name: &str) -> New {
    New { name: name.to_owned(), role: Role::Reader, tenant: None, life: None }
}

fn scratch() -> (tempfile::TempDir, KeyFile) {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::at(folder.path().join("state/keys.json"));
    (folder, file)
}

#[test]
fn a_key_is_shown_once_and_kept_as_a_hash_in_a_private_file() {
    let (_folder, file) = scratch();
    assert!(file.list().unwrap().is_empty());
    let (entry, key) = file.create(new("ci")).unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    let secret = key.rsplit('_').next().unwrap();
    assert!(text.contains(&entry.id) && !text.contains(&secret[..20]), "{text}");
    assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = file.list().unwrap();
    assert_eq!(kept, [entry]);
    assert_eq!(kept[0].hash(), Some(text::parse(&key).unwrap().hash()));
}

#[test]
fn a_name_is_of_one_key_until_that_is_revoked() {
    let (_folder, file) = scratch();
    let (first, _) = file.create(new("ci")).unwrap();
    assert!(matches!(file.create(new("ci")), Err(KeysError::Taken(_))));
    assert_eq!(file.revoke("ci").unwrap().id, first.id);
    assert!(matches!(file.revoke("ci"), Err(KeysError::Unknown(_))));
    let (second, _) = file.create(new("ci")).unwrap();
    assert_eq!(file.revoke(&second.id).unwrap().name, "ci");
    let kept = file.list().unwrap();
    assert!(kept.len() == 2 && kept.iter().all(|key| !key.is_valid()), "what was revoked stays to be seen");
    for wrong in ["", "a b", "a\nb", "ä", &"a".repeat(65)] {
        assert!(matches!(file.create(new(wrong)), Err(KeysError::Name(_))), "{wrong:?}");
    }
}

#[test]
fn a_key_with_a_life_of_no_time_is_over() {
    let (_folder, file) = scratch();
    let (over, _) = file.create(New { life: Some(Duration::ZERO), ..new("over") }).unwrap();
    let (lasting, _) = file.create(New { life: Some(Duration::from_secs(60)), ..new("lasting") }).unwrap();
    assert!(over.is_over() && !over.is_valid() && lasting.is_valid());
}

#[test]
fn writers_at_once_lose_nothing_and_readers_see_whole_files() {
    let (_folder, file) = scratch();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let file = &file;
            scope.spawn(move || (0..10).for_each(|key| drop(file.create(new(&format!("{writer}-{key}"))).unwrap())));
        }
        for _ in 0..200 {
            file.list().unwrap();
        }
    });
    assert_eq!(file.list().unwrap().len(), 40);
}

#[test]
fn what_a_killed_writer_left_is_in_nobodys_way() {
    let (_folder, file) = scratch();
    file.create(new("before")).unwrap();
    let left = file.path().with_file_name("keys.json.new");
    fs::write(&left, b"{\"version\":1,\"ke").unwrap();
    assert_eq!(file.list().unwrap().len(), 1);
    file.create(new("after")).unwrap();
    assert_eq!(file.list().unwrap().len(), 2);
    assert!(!left.exists());
}

#[test]
fn a_file_that_is_no_file_of_keys_is_told_and_not_overwritten() {
    let (_folder, file) = scratch();
    file.create(new("ci")).unwrap();
    for (content, told) in [
        ("{", "EOF"),
        (r#"{"version":2,"keys":[]}"#, "version 2"),
        (r#"{"version":1,"keys":[{"id":"a","name":"a","role":"reader","hash":"zz","created":1}]}"#, "usable hash"),
        (r#"{"version":1,"keys":[{"id":"a","name":"a","role":"king","hash":"","created":1}]}"#, "king"),
    ] {
        fs::write(file.path(), content).unwrap();
        let error = file.create(new("other")).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), content);
    }
    fs::write(file.path(), r#"{"version":1,"keys":[]}"#).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o602)).unwrap();
    assert!(matches!(file.list(), Err(KeysError::Open(_))));
}
