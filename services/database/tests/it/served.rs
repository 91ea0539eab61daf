//! What the service says of itself.

use weft_database::{Settings, service};
use weft_kit::LIST_TOKENS;

#[test]
fn the_list_of_tools_fits_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(Settings::default(), folder.path()).unwrap();
    assert!(service.list_tokens() < LIST_TOKENS, "{} tokens", service.list_tokens());
}
