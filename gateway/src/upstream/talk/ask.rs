//! One question of the gateway and its result.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{PATIENCE, TalkError, shortened};
use crate::upstream::{
    Instance,
    exchange::{self, Answer, Outgoing},
};

/// Why there is no result.
pub(super) enum Asked {
    Lost(String),
    Error { code: i64, text: String },
    Nonsense(&'static str, String),
}

impl From<Asked> for TalkError {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Lost(why) => Self::Lost(why),
            Asked::Error { text, .. } => Self::Refused("a question", text),
            Asked::Nonsense(method, text) => Self::Refused(method, text),
        }
    }
}

pub(super) async fn ask(instance: &Instance, method: &'static str, outgoing: &Outgoing) -> Result<String, Asked> {
    ask_with_headers(instance, method, outgoing).await.map(|(result, _)| result)
}

pub(super) async fn ask_with_headers(
    instance: &Instance,
    method: &'static str,
    outgoing: &Outgoing,
) -> Result<(String, HeaderMap), Asked> {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: i64,
    }
    let asked = async {
        let answer = exchange::exchange(instance, outgoing).await?;
        if let Answer::Bare { status, .. } = &answer {
            return Ok(Err(format!("status {}", status.as_u16())));
        }
        let headers = answer.headers().clone();
        exchange::response(answer, 32 << 20).await.map(|(_, body)| Ok((body, headers)))
    };
    let answered = tokio::time::timeout(PATIENCE, asked)
        .await
        .map_err(|_| Asked::Lost("it did not answer in time".into()))?
        .map_err(|error| Asked::Lost(error.why().to_owned()))?;
    let (body, headers) = answered.map_err(|text| Asked::Nonsense(method, text))?;
    let response: Response<'_> =
        serde_json::from_slice(&body).map_err(|error| Asked::Nonsense(method, error.to_string()))?;
    match (response.result, response.error) {
        (Some(result), None) => Ok((result.get().to_owned(), headers)),
        (_, Some(error)) => {
            let code = serde_json::from_str::<Error>(error.get()).map_or(0, |error| error.code);
            Err(Asked::Error { code, text: format!("{method}: {}", shortened(error.get())) })
        }
        (None, None) => Err(Asked::Nonsense(method, "neither result nor error".into())),
    }
}
