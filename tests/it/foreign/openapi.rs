//! An API that speaks no MCP: its OpenAPI document makes it a service.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use super::{Value, Weft, both, json, texts};
use crate::harness::eventually;

/// A small API that says back what it was asked; gives its port and the heads that it saw.
fn api() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let heads = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let heads = Arc::clone(&heads);
            std::thread::spawn(move || answer(stream.unwrap(), &heads));
        }
    });
    (port, seen)
}

fn answer(stream: std::net::TcpStream, heads: &Mutex<Vec<String>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            let lower = line.to_ascii_lowercase();
            length = lower.strip_prefix("content-length:").and_then(|rest| rest.trim().parse().ok()).unwrap_or(length);
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let (status, said) = match target.as_str() {
            "/v1/pets/gone" => ("404 Not Found", json!({ "message": "no such pet" })),
            "/v1/elsewhere" => ("302 Found", json!({})),
            _ => ("200 OK", json!({ "target": target, "body": String::from_utf8_lossy(&body) })),
        };
        heads.lock().unwrap().push(head);
        let said = said.to_string();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nlocation: http://evil.example/\r\ncontent-length: {}\r\n\r\n{said}",
            said.len()
        );
        writer.write_all(answer.as_bytes()).unwrap();
    }
}

const DOCUMENT: &str = r##"
openapi: 3.0.3
info: { title: Pets, version: "7", description: Everything about pets. }
paths:
  /pets/{petId}:
    parameters:
      - { name: petId, in: path, required: true, schema: { type: string } }
    get:
      operationId: getPet
      summary: Finds a pet.
      parameters:
        - { name: tags, in: query, schema: { type: array, items: { type: string } } }
        - { name: filter, in: query, style: deepObject, explode: true, schema: { type: object } }
        - { name: X-Trace, in: header, schema: { type: string } }
        - { name: Authorization, in: header, schema: { type: string } }
    delete: { operationId: dropPet }
  /pets:
    post:
      operationId: addPet
      requestBody:
        required: true
        content: { application/json: { schema: { $ref: "#/components/schemas/Pet" } } }
  /elsewhere:
    get: { operationId: elsewhere }
components:
  schemas:
    Pet:
      type: object
      required: [name, id]
      properties:
        id: { type: integer, readOnly: true }
        name: { type: string, nullable: true }
        mother: { $ref: "#/components/schemas/Pet" }
"##;

#[test]
fn an_api_is_a_service_by_its_document() {
    let (port, seen) = api();
    let folder = tempfile::tempdir().unwrap();
    let (document, config, secret) =
        (folder.path().join("pets.yaml"), folder.path().join("gateway.toml"), folder.path().join("token"));
    std::fs::write(&document, DOCUMENT).unwrap();
    std::fs::write(&secret, "Bearer of-the-operator\n").unwrap();
    let service = format!(
        "[[service]]\nname = \"pets\"\nopenapi = {document:?}\nbase = \"http://127.0.0.1:{port}/v1\"\nheaders = {{ Authorization = \"file:{}\" }}\n",
        secret.display()
    );
    std::fs::write(&config, service).unwrap();
    let weft = Weft::up(&["--config", config.to_str().unwrap()]);
    let listed = || weft.stateless("/mcp", "tools/list", &json!({})).message();
    eventually("its tools are listed", || listed().to_string().contains("pets_get_pet"));
    let list = listed();
    let tool =
        |name: &str| list["result"]["tools"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone();
    assert_eq!(tool("pets_get_pet")["annotations"]["readOnlyHint"], true);
    assert_eq!(tool("pets_drop_pet")["annotations"]["destructiveHint"], true);
    let get = &tool("pets_get_pet")["inputSchema"];
    assert_eq!((&get["required"], get["properties"].get("Authorization")), (&json!(["petId"]), None), "{get}");
    let add = &tool("pets_add_pet")["inputSchema"]["properties"]["body"];
    assert_eq!(
        (&add["required"], &add["properties"]["name"]["type"]),
        (&json!(["name"]), &json!(["string", "null"])),
        "{add}"
    );

    let arguments = json!({ "petId": "../a b/c?d", "tags": ["x", "y&z"], "filter": { "age": 3 }, "X-Trace": "t" });
    for text in texts(both(&weft, "pets_get_pet", &arguments)) {
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(said["target"], "/v1/pets/..%2Fa%20b%2Fc%3Fd?tags=x&tags=y%26z&filter%5Bage%5D=3");
    }
    let head = seen.lock().unwrap().last().unwrap().to_ascii_lowercase();
    assert!(head.contains("authorization: bearer of-the-operator") && head.contains("x-trace: t"), "{head}");
    let added = weft.call("pets_add_pet", &json!({ "body": { "name": "Rex" } }));
    assert_eq!(added["structuredContent"]["body"], r#"{"name":"Rex"}"#, "{added}");
    let failed = |tool: &str, arguments: &Value| {
        let result = weft.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    assert!(
        failed("pets_get_pet", &json!({ "petId": "gone" })).contains("404 Not Found: {\"message\":\"no such pet\"}")
    );
    let wrong = failed("pets_get_pet", &json!({ "colour": "red" }));
    assert!(wrong.contains("missing: petId") && wrong.contains("not known: colour"), "{wrong}");
    assert!(failed("pets_get_pet", &json!({ "petId": "1", "X-Trace": "a\r\nb: c" })).contains("cannot be a header"));
    assert!(failed("pets_elsewhere", &json!({})).contains("not followed"));
}
