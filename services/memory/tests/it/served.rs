//! What the service says of itself.

use weft_kit::LIST_TOKENS;
use weft_memory::{Settings, service};

#[test]
fn the_list_of_tools_fits_a_client() {
    let folder = tempfile::tempdir().unwrap();
    for graph_tools in [false, true] {
        let settings = Settings { graph_tools, ..Settings::default() };
        let service = service(settings, folder.path()).unwrap();
        println!("{} tokens", service.list_tokens());
        assert!(service.list_tokens() < LIST_TOKENS, "{} tokens", service.list_tokens());
    }
}

#[test]
fn the_file_is_its_owners_alone_and_one_of_the_future_is_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    drop(service(Settings::default(), folder.path()).unwrap());
    let file = folder.path().join("memory.db");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = service(Settings::default(), folder.path()).err().unwrap();
    assert!(format!("{refused:#}").contains("newer version"), "{refused:#}");
}
