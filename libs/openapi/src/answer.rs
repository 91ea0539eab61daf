//! The API's answer → the result of a tool: its text, its JSON as structured content, an image as an image, an error as an error that a
//! model can read.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

/// The largest image that is passed on, bytes.
const IMAGE: usize = 5 << 20;

/// The result of a call that was answered.
pub(crate) async fn result(response: Response, limit: usize) -> Value {
    let status = response.status();
    let text = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let media = text("content-type").unwrap_or_default();
    let (retry, location) = (text("retry-after"), text("location"));
    let is_image = media.starts_with("image/");
    let (body, cut) = match read(response, if is_image { IMAGE } else { limit }).await {
        Ok(read) => read,
        Err(why) => return failure(&format!("the answer broke off: {why}")),
    };
    if is_image && status.is_success() && !cut {
        let media = media.split(';').next().unwrap_or_default();
        return json!({ "resultType": "complete", "isError": false,
            "content": [{ "type": "image", "data": BASE64.encode(&body), "mimeType": media }] });
    }
    let parsed = if cut { None } else { serde_json::from_slice::<Value>(&body).ok() };
    let mut said = match std::str::from_utf8(&body) {
        Ok(text) => text.to_owned(),
        Err(_) if cut => String::from_utf8_lossy(&body).into_owned(),
        Err(_) => format!("{} bytes of {media}, which are no text", body.len()),
    };
    if cut {
        said.push_str(&format!("\n[cut after {} bytes; ask for less]", body.len()));
    }
    if !status.is_success() {
        return failure(&refused(status, &said, retry.as_deref(), location.as_deref()));
    }
    if said.is_empty() {
        said = format!("{status}, without a body");
    }
    let mut result =
        json!({ "resultType": "complete", "isError": false, "content": [{ "type": "text", "text": said }] });
    if let Some(object @ Value::Object(_)) = parsed {
        result["structuredContent"] = object;
    }
    result
}

fn refused(status: StatusCode, said: &str, retry: Option<&str>, location: Option<&str>) -> String {
    let mut text = format!("the API answered {status}");
    if let Some(seconds) = retry {
        text.push_str(&format!("; retry after {seconds}"));
    }
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        // Credentials go to the configured API alone.
        text.push_str(&format!("; it points to {location}, which is not followed"));
    }
    if said.is_empty() { text } else { format!("{text}: {said}") }
}

/// A result that says what went wrong.
pub(crate) fn failure(text: &str) -> Value {
    json!({ "resultType": "complete", "isError": true, "content": [{ "type": "text", "text": text }] })
}

/// At most `limit` bytes of a body, and whether there were more.
async fn read(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}
