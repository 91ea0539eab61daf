//! Who may see the console and the state: this machine, and admins by their key. Health and metrics are for everybody.
//!
//! Probes and scrapers have no key and learn little; the console names every service and address. A browser cannot send a bearer
//! token by itself, so that it may give the key as the password of a login.

use std::{borrow::Cow, net::SocketAddr};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Gateway, authorize,
    listen::Peer,
    refusal::{Refusal, challenge},
};

/// What everybody may ask.
const OPEN: [&str; 4] = ["/live", "/ready", "/health", "/metrics"];

/// Lets a request in, or gives the answer that says why not.
pub(super) fn enter(
    gateway: &Gateway,
    address: SocketAddr,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), Box<Response>> {
    if OPEN.contains(&path) || gateway.settings.auth.open_admin {
        return Ok(());
    }
    let headers = with_bearer(headers);
    let peer = Peer::new(address);
    let shows_key = headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key");
    if peer.is_local() && !(gateway.keys.is_some() && shows_key) {
        return Ok(());
    }
    let refused = match gateway.authenticator.identify(&peer, &headers) {
        Ok(caller) if authorize::may_administer(&caller) => return Ok(()),
        Ok(_) => (StatusCode::FORBIDDEN, "this needs a key with the role admin\n").into_response(),
        Err(Refusal::Unauthenticated(denied)) => {
            let text = "from another machine this needs a key with the role admin (auth.mode = \"keys\"), as a bearer token or as \
                        the password of a login\n";
            let mut response = (StatusCode::UNAUTHORIZED, text).into_response();
            let own = response.headers_mut();
            own.append(header::WWW_AUTHENTICATE, challenge(denied));
            own.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"weft\""));
            response
        }
        Err(_) => StatusCode::FORBIDDEN.into_response(),
    };
    Err(Box::new(refused))
}

/// The headers with the password of a login as a bearer token.
fn with_bearer(headers: &HeaderMap) -> Cow<'_, HeaderMap> {
    let password = || {
        let (scheme, login) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let login = String::from_utf8(STANDARD.decode(login.trim()).ok()?).ok()?;
        let (_, password) = login.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| HeaderValue::try_from(format!("Bearer {password}")).ok())?
    };
    let Some(bearer) = password() else { return Cow::Borrowed(headers) };
    let mut headers = headers.clone();
    headers.insert(header::AUTHORIZATION, bearer);
    Cow::Owned(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_login_is_the_key() {
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::try_from(text).unwrap())]);
            with_bearer(&headers)[header::AUTHORIZATION].to_str().unwrap().to_owned()
        };
        assert_eq!(of(&format!("Basic {}", STANDARD.encode("anybody:weft_a_b"))), "Bearer weft_a_b");
        for other in ["Bearer weft_a_b", "Basic !!", "Basic", &format!("Basic {}", STANDARD.encode("none"))] {
            assert_eq!(of(other), other);
        }
    }
}
