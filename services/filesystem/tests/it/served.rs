//! What the service says of itself.

use weft_filesystem::{Settings, service};
use weft_kit::LIST_TOKENS;

#[test]
fn the_list_of_tools_fits_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(Settings::single(folder.path().to_owned())).unwrap();
    assert!(service.list_tokens() < LIST_TOKENS, "{} tokens", service.list_tokens());
    let names: Vec<_> = service.tool_names().collect();
    for expected in [
        "read_text_file",
        "write_file",
        "edit_file",
        "list_directory",
        "directory_tree",
        "move_file",
        "search_files",
        "get_file_info",
        "list_allowed_directories",
    ] {
        assert!(names.contains(&expected), "{expected} is a name that clients know");
    }
}
