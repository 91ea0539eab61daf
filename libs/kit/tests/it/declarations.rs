//! A service that declares what it may not is not built, and hears of all of it at once.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_kit::{Annotations, Call, LIST_TOKENS, Reply, Service, Tool, ToolError};

use crate::rack::Rack;

const MANIFEST: &str = "name = 'odd'\ntitle = 'Odd'\ndescription = 'Odd.'\nport = 1\npolicy = 'round_robin'\n";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Closed {}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema matters")]
struct Open {
    field: u8,
}

async fn closed(_: Arc<()>, _: Call, _: Closed) -> Result<Reply<bool>, ToolError> {
    Ok(Reply::new(true))
}

async fn open(_: Arc<()>, _: Call, _: Open) -> Result<Reply<bool>, ToolError> {
    Ok(Reply::new(true))
}

#[test]
fn every_fault_is_named() {
    const LONG: &str = "a_name_that_is_far_too_long_to_fit_any_client_with_a_prefix";
    let both = Annotations { read_only: true, ..Annotations::DELETE };
    let fault = Service::build(MANIFEST, "0", ())
        .tool(Tool::new("Upper", Annotations::READ, "x"), closed)
        .tool(Tool::new(LONG, Annotations::READ, "x"), closed)
        .tool(Tool::new("silent", Annotations::READ, " "), closed)
        .tool(Tool::new("twice", Annotations::READ, "x"), closed)
        .tool(Tool::new("twice", Annotations::READ, "x"), closed)
        .tool(Tool::new("both", both, "x"), closed)
        .tool(Tool::new("open", Annotations::READ, "x"), open)
        .finish()
        .err()
        .unwrap()
        .to_string();
    for named in [
        "`Upper`",
        LONG,
        "`silent`: a description",
        "`twice` is declared twice",
        "`both` cannot be",
        "`open`: arguments takes unknown",
    ] {
        assert!(fault.contains(named), "{named} in {fault}");
    }
    assert_eq!(fault.lines().count(), 7, "{fault}");
}

#[test]
fn a_tool_list_stays_affordable() {
    let tokens = Rack::new().service().list_tokens();
    assert!((500..LIST_TOKENS).contains(&tokens), "{tokens}");
}
