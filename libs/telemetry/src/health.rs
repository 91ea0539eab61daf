//! The administration address of a running program -> whether it is ready: what a container's health check runs in an image that
//! has no other program. Blocking and without a client, because it asks once and ends; here, because gateways and servers both
//! answer at `/ready` and neither may depend on the other.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

/// For connecting, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(3);
/// The beginning of an answer says enough.
const BEGINNING: usize = 512;

/// Why a program is not ready, as far as can be seen from outside.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Nobody listens, or not in time.
    #[error("no answer from {address}; is it the administration address of a program that runs?")]
    Away {
        /// As it was written.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It answers, and says no.
    #[error("not ready: {0}")]
    No(String),
}

/// Asks once whether the program whose administration address this is takes calls.
pub fn ask_ready(address: &str) -> Result<(), NotReady> {
    ask_within(address, PATIENCE)
}

fn ask_within(address: &str, patience: Duration) -> Result<(), NotReady> {
    let answer = ask(address, patience).map_err(|source| NotReady::Away { address: address.to_owned(), source })?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") { Ok(()) } else { Err(NotReady::No(status.to_owned())) }
}

fn ask(address: &str, patience: Duration) -> io::Result<String> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "it is no HOST:PORT");
    let at = address.to_socket_addrs()?.next().ok_or_else(none)?;
    let mut stream = TcpStream::connect_timeout(&at, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // A name that every gateway serves, whatever its doors are told.
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut part = [0; BEGINNING];
    while answer.len() < BEGINNING && !answer.contains(&b'\n') {
        let count = stream.read(&mut part)?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&part[..count]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The other thread may be a while in coming.
    const LONG: Duration = Duration::from_secs(60);

    /// Answers once, in two pieces.
    fn answering(first: &'static str, second: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).unwrap();
            for part in [first, second] {
                stream.write_all(part.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
        });
        address
    }

    #[test]
    fn only_a_program_that_says_so_is_ready() {
        assert!(ask_within(&answering("HTTP/1.1 2", "00 OK\r\n\r\nready"), LONG).is_ok());
        let error = ask_within(&answering("HTTP/1.1 503 Service Unavailable\r\n\r\n", ""), LONG).unwrap_err();
        assert_eq!(error.to_string(), "not ready: HTTP/1.1 503 Service Unavailable");
        assert!(matches!(ask_within(&answering("", ""), LONG), Err(NotReady::No(_))));
    }

    #[test]
    fn who_does_not_listen_is_named() {
        // Port 1 is given to nobody; one that was free a moment ago may be another test's by now.
        for address in ["127.0.0.1:1", "nowhere", "127.0.0.1:notaport"] {
            let error = ask_ready(address).unwrap_err().to_string();
            assert!(error.contains(address) && error.contains("administration"), "{error}");
        }
    }
}
