//! Cursors as attackers use them. Attack H02: another caller, expired, altered, replayed elsewhere.

use serde_json::{Value, json};
use weft_kit::{Caller, Direct, Rules};

use crate::rack::Rack;

fn direct(rack: &Rack) -> Direct {
    Direct::new(rack.service(), Rules::default()).unwrap()
}

async fn first_cursor(direct: &Direct) -> String {
    let page = direct.call("list", json!({})).await;
    page.structured["page"]["cursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let direct = direct(&Rack::new());
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = direct.call("list", json!({"cursor": cursor})).await;
        seen.extend(page.data().as_array().unwrap().clone());
        assert_eq!(page.text.contains("[more: repeat with cursor "), page.structured["page"]["has_more"] == true);
        cursor = page.structured["page"]["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn another_caller_cannot_use_a_cursor() {
    let direct = direct(&Rack::new());
    let cursor = first_cursor(&direct).await;
    for other in [Caller::local("elsewhere"), Caller { id: "mallory".into(), ..Caller::local("local") }] {
        let stolen = direct.by(other).call("list", json!({"cursor": cursor})).await;
        assert_eq!(stolen.code(), "invalid_cursor");
    }
}

#[tokio::test]
async fn a_cursor_fits_one_tool_and_one_set_of_arguments() {
    let direct = direct(&Rack::new());
    let cursor = first_cursor(&direct).await;
    let elsewhere = direct.call("count", json!({"cursor": cursor})).await;
    assert_eq!((elsewhere.code(), elsewhere.text.contains("another tool")), ("invalid_cursor", true));
    let changed = direct.call("list", json!({"cursor": cursor, "prefix": "a"})).await;
    assert_eq!((changed.code(), changed.text.contains("arguments differ")), ("invalid_cursor", true));
}

#[tokio::test]
async fn an_altered_or_invented_cursor_says_nothing_about_itself() {
    let direct = direct(&Rack::new());
    let cursor = first_cursor(&direct).await;
    let mut bent = cursor.clone().into_bytes();
    bent[20] = if bent[20] == b'A' { b'B' } else { b'A' };
    let long = "A".repeat(100_000);
    for forged in [std::str::from_utf8(&bent).unwrap(), "", "2", "../../etc", &cursor[..cursor.len() - 4], &long] {
        let answer = direct.call("list", json!({"cursor": forged})).await;
        assert_eq!((answer.code(), answer.text.contains("not one that this call was given")), ("invalid_cursor", true));
    }
}

#[tokio::test]
async fn a_cursor_dies_with_the_data_it_was_made_for() {
    let rack = Rack::new();
    let direct = direct(&rack);
    let cursor = first_cursor(&direct).await;
    rack.notes.lock().unwrap().remove("e");
    assert_eq!(direct.call("list", json!({"cursor": cursor})).await.code(), "stale_cursor");
}

#[tokio::test]
async fn another_instance_with_the_same_key_goes_on_where_the_first_stopped() {
    let rack = Rack::new();
    let (one, two) = (crate::harness::served(&rack).await, crate::harness::served(&rack).await);
    let mut first = crate::harness::Client::open(one.address()).await;
    let mut second = crate::harness::Client::open(two.address()).await;
    let cursor = first.tool("list", json!({})).await["structuredContent"]["page"]["cursor"].clone();
    let page = second.tool("list", json!({"cursor": cursor})).await;
    assert_eq!(page["structuredContent"]["data"], json!(["c", "d"]));
}
