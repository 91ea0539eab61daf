//! The settings that the guides show are settings that the servers take.

use std::path::Path;

use crate::harness::{command, finish, variable};

mod commands;

/// Every `toml` block of a page.
fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide").join(format!("{page}.md"));
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

#[test]
fn what_the_guides_configure_can_be_configured() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().display().to_string();
    let mut tried = 0;
    for page in ["database", "vectorstore", "memory", "search", "aiml", "filesystem"] {
        for block in blocks(page) {
            // Places that a reader has and a test has not.
            let mut block = block.replace("/data/", &format!("{own}/")).replace("/srv/", &format!("{own}/"));
            block = block.replace("file:/run/secrets/", "text:").replace("https://HOST", "https://host.example");
            std::fs::create_dir_all(folder.path().join("documents")).unwrap();
            std::fs::create_dir_all(folder.path().join("docs")).unwrap();
            std::fs::create_dir_all(folder.path().join("project")).unwrap();
            let file = folder.path().join("settings.toml");
            std::fs::write(&file, &block).unwrap();
            let mut weft = command(&variable("WEFT_BIN"));
            weft.args(["serve", page, "--tools", "--config"]).arg(&file).arg("--state").arg(folder.path().join(page));
            for name in ["SHOP_URL", "VECTORS_URL", "MEMORY_URL"] {
                weft.env(name, "postgres://someone@127.0.0.1/some");
            }
            weft.envs([("SEARCH_AUTHORIZATION", "Basic x"), ("MODEL_KEY", "x"), ("MOVIES_PASSWORD", "x")]);
            let output = finish(&mut weft);
            assert!(output.status.success(), "{page}: {}\n{block}", String::from_utf8_lossy(&output.stderr));
            tried += 1;
        }
    }
    assert!(tried >= 6, "{tried} blocks");
}
