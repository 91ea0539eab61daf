//! Clients hear of what changed, and only of what they asked for and the service owns.

use serde_json::json;

use crate::harness::{Client, Events, modern_headers, request, served, soon};
use crate::rack::Rack;

#[tokio::test]
async fn a_listener_hears_of_its_resource_and_of_list_changes() {
    let rack = Rack::new();
    let running = served(&rack).await;
    let mut client = Client::open(running.address()).await;
    let filter = json!({"toolsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": ["note:a", "file:///etc/passwd"]});
    let message = request("subscriptions/listen", json!({"notifications": filter}));
    let headers = modern_headers(&message);
    let mut events = Events::of(client.send(&message, &headers).await);
    let acknowledged = soon("the acknowledgement", events.next()).await.unwrap();
    let accepted = &acknowledged["params"]["notifications"];
    assert_eq!(*accepted, json!({"resourcesListChanged": true, "resourceSubscriptions": ["note:a"]}), "{acknowledged}");

    let mut interest = rack.changes.interest();
    soon("the listener", interest.wait_for(|interest| interest.contains_key("note:a"))).await.unwrap();
    rack.changes.updated("note:b");
    let mut other = Client::open(running.address()).await;
    other.tool("write", json!({"name": "a", "text": "new"})).await;
    rack.changes.resources_changed();
    let updated = soon("the update", events.next()).await.unwrap();
    assert_eq!(
        (&updated["method"], &updated["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!("note:a"))
    );
    assert_eq!(updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    let listed = soon("the list change", events.next()).await.unwrap();
    assert_eq!(listed["method"], "notifications/resources/list_changed");
}
