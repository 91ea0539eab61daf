//! Without the mesh, on a pair of streams: both eras, cancellation by notification, subscriptions of the session era.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weft_kit::{Rules, serve_streams};

use crate::harness::{call, legacy_call, request, soon};
use crate::rack::Rack;

struct Pipe {
    input: WriteHalf<DuplexStream>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    server: JoinHandle<()>,
}

impl Pipe {
    fn open(rack: &Rack) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let service = rack.service();
        let server = tokio::spawn(async move {
            let streams = tokio::io::split(theirs);
            serve_streams(service, Rules::default(), streams, CancellationToken::new()).await.unwrap();
        });
        let (output, input) = tokio::io::split(ours);
        Self { input, output: BufReader::new(output).lines(), server }
    }

    async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = soon("a line", self.output.next_line()).await.unwrap().expect("the stream goes on");
        serde_json::from_str(&line).unwrap()
    }

    async fn handshake(&mut self) -> Value {
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        self.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        let answer = self.next().await;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        answer
    }
}

#[tokio::test]
async fn the_stateless_era_works_on_streams() {
    let mut pipe = Pipe::open(&Rack::new());
    pipe.send(&request("server/discover", json!({}))).await;
    assert!(pipe.next().await["result"]["supportedVersions"].is_array());
    pipe.send(&call("list", json!({}))).await;
    assert_eq!(pipe.next().await["result"]["structuredContent"]["data"], json!(["a", "b"]));
}

#[tokio::test]
async fn the_session_era_is_told_of_changes_on_its_own_connection() {
    let rack = Rack::new();
    let mut pipe = Pipe::open(&rack);
    assert_eq!(pipe.handshake().await["result"]["capabilities"]["resources"]["subscribe"], true);
    pipe.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": "note:a"}})).await;
    assert_eq!(pipe.next().await["id"], 1);
    rack.changes.updated("note:b");
    rack.changes.updated("note:a");
    let told = pipe.next().await;
    assert_eq!(
        (&told["method"], &told["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!("note:a"))
    );
}

#[tokio::test]
async fn a_notification_cancels_and_the_end_of_input_ends_the_service() {
    let rack = Rack::new();
    let mut pipe = Pipe::open(&rack);
    pipe.handshake().await;
    let (mut waiting, mut waited) = (rack.waiting.subscribe(), rack.waited.subscribe());
    pipe.send(&legacy_call(4, "wait", json!({}))).await;
    soon("the call", waiting.wait_for(|waiting| *waiting == 1)).await.unwrap();
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}})).await;
    soon("the cancellation", waited.wait_for(|waited| *waited == "stopped")).await.unwrap();
    pipe.input.shutdown().await.unwrap();
    soon("the end", pipe.server).await.unwrap();
    assert_eq!(rack.tasks_ended.load(std::sync::atomic::Ordering::SeqCst), 1);
}
