//! A registry file that is edited, broken, caught half written and emptied.

use super::*;

const ONE: &str = "[[instance]]\nservice = \"echo\"\naddress = \"127.0.0.1:1\"\n";
const TWO: &str = "[[instance]]\nservice = \"echo\"\naddress = \"127.0.0.1:2\"\n";

fn written(text: &str) -> (tempfile::TempDir, PathBuf, Arc<StaticFile>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh.toml");
    std::fs::write(&path, text).unwrap();
    let registry = StaticFile::open(&path).unwrap();
    (folder, path, registry)
}

fn follow(registry: &Arc<StaticFile>) -> tokio::task::JoinHandle<()> {
    let registry = Arc::clone(registry);
    tokio::spawn(async move { registry.follow().await })
}

async fn next(watch: &mut watch::Receiver<Arc<Snapshot>>) -> (usize, bool) {
    tokio::time::timeout(LOOK * 60, watch.changed()).await.unwrap().unwrap();
    let snapshot = watch.borrow_and_update();
    (snapshot.services.values().flatten().count(), snapshot.stale)
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_followed_and_a_bad_edit_changes_nothing() {
    let (_folder, path, registry) = written(ONE);
    let mut watch = registry.watch();
    let following = follow(&registry);
    tokio::time::sleep(LOOK / 2).await;
    std::fs::write(&path, format!("{ONE}{TWO}")).unwrap();
    assert_eq!(next(&mut watch).await, (2, false));
    std::fs::write(&path, "[[instance]]\nservice = \"No\"\n").unwrap();
    assert_eq!(next(&mut watch).await, (2, true));
    std::fs::write(&path, format!("{ONE}{TWO}")).unwrap();
    assert_eq!(next(&mut watch).await, (2, false));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(next(&mut watch).await, (2, true));
    std::fs::write(&path, format!("{ONE}{TWO}")).unwrap();
    assert_eq!(next(&mut watch).await, (2, false));
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn an_edit_between_open_and_follow_is_seen() {
    let (_folder, path, registry) = written(ONE);
    let mut watch = registry.watch();
    std::fs::write(&path, format!("{ONE}{TWO}")).unwrap();
    let following = follow(&registry);
    assert_eq!(next(&mut watch).await, (2, false));
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn a_file_caught_half_written_changes_nothing() {
    let (_folder, path, registry) = written(ONE);
    let watch = registry.watch();
    let following = follow(&registry);
    let half = format!("{ONE}{TWO}");
    for (text, stays) in [("", LOOK), (TWO, SETTLE), ("[[instance]]\n", SETTLE), (half.as_str(), SETTLE)] {
        for phase in 0..10 {
            tokio::time::sleep(LOOK + LOOK / 10 * phase).await;
            std::fs::write(&path, text).unwrap();
            tokio::time::sleep(stays * 9 / 10).await;
            std::fs::write(&path, ONE).unwrap();
            assert!(!watch.has_changed().unwrap(), "{text:?}");
        }
    }
    tokio::time::sleep(LOOK * 3).await;
    assert!(!watch.has_changed().unwrap());
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn a_file_emptied_for_good_empties_the_registry() {
    let (_folder, path, registry) = written(ONE);
    let mut watch = registry.watch();
    let following = follow(&registry);
    let began = tokio::time::Instant::now();
    std::fs::write(&path, "").unwrap();
    assert_eq!(next(&mut watch).await, (0, false));
    assert!(began.elapsed() >= LOOK * 2);
    following.abort();
}

#[test]
fn instances_stand_in_the_order_of_their_ids() {
    let (_folder, _path, registry) = written(&format!("{ONE}id = \"b\"\n{TWO}id = \"a\"\n"));
    let snapshot = Arc::clone(&registry.watch().borrow());
    let ids: Vec<_> = snapshot.services.values().flatten().map(|instance| instance.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mesh.toml");
    let missing = StaticFile::open(&path).unwrap_err().to_string();
    assert!(missing.contains("cannot read the registry file"), "{missing}");
    for (text, hint) in [
        ("[[instance]]\nservice = \"a_b\"\naddress = \"127.0.0.1:1\"\n", "a-z"),
        ("[[instance]]\nservice = \"a\"\naddress = \"nowhere\"\n", "address"),
        ("[[instance]]\nservice = \"a\"\naddress = \"127.0.0.1:1\"\nzome = \"x\"\n", "zome"),
        (
            "[[instance]]\nservice = \"a\"\naddress = \"127.0.0.1:1\"\nid = \"x\"\n[[instance]]\nservice = \"b\"\naddress = \"127.0.0.1:1\"\nid = \"x\"\n",
            "twice",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = StaticFile::open(&path).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}
