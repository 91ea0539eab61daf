//! The end of a port that loses nobody.
//!
//! A connection that the system has let in and that nobody has accepted is reset when its port closes, and so is one whose
//! handshake is under way; and a connection that is asked to end before it has said anything is closed on what it says. So a port
//! ends in steps: it takes whoever comes for a while, then lets nobody new in (on Linux, by a filter on the socket that drops what
//! opens a connection), takes who was let in before, closes, and gives the last ones time for their first words. Whoever knocks
//! in between repeats it after a second (RFC 6298, section 2) and finds the port closed, which every client can tell from a
//! request that was lost.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpStream};

/// How long connections are taken after the end has begun: whoever was told of this gateway a moment ago still comes.
const LINGER: Duration = Duration::from_millis(250);

/// How long handshakes that have begun may take.
const SETTLE: Duration = Duration::from_millis(100);

/// How long the last ones have for their first words.
const FIRST_WORDS: Duration = Duration::from_millis(250);

/// Gives `take` who still comes, and closes the port; returns when everybody who was let in has had time to speak.
pub(super) async fn close(listener: TcpListener, take: impl Fn((TcpStream, SocketAddr))) {
    take_for(LINGER, &listener, &take).await;
    match let_nobody_in(&listener) {
        Ok(()) => take_for(SETTLE, &listener, &take).await,
        Err(error) => tracing::debug!(%error, "the port cannot be narrowed before it closes"),
    }
    drop(listener);
    tokio::time::sleep(FIRST_WORDS).await;
}

async fn take_for(time: Duration, listener: &TcpListener, take: &impl Fn((TcpStream, SocketAddr))) {
    let mut over = std::pin::pin!(tokio::time::sleep(time));
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = &mut over => return,
        };
        match accepted {
            Ok(accepted) => take(accepted),
            // Out of descriptors, mostly: going on at once would spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Drops segments with SYN and without ACK from now on; the rest of a handshake passes.
#[cfg(target_os = "linux")]
fn let_nobody_in(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};
    // Classic BPF over the TCP header, whose flags are in byte 13 (RFC 9293, section 3.1): SYN is 0x02, ACK is 0x10.
    let filter = [
        SockFilter::new(0x30, 0, 0, 13),       // A = the byte at 13
        SockFilter::new(0x54, 0, 0, 0x12),     // A &= SYN | ACK
        SockFilter::new(0x15, 0, 1, 0x02),     // if A == SYN
        SockFilter::new(0x06, 0, 0, 0),        //   drop it
        SockFilter::new(0x06, 0, 0, u32::MAX), // else take it whole
    ];
    SockRef::from(listener).attach_filter(&filter)
}

#[cfg(not(target_os = "linux"))]
fn let_nobody_in(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{io::ErrorKind, net::TcpStream, time::Duration};

    use super::let_nobody_in;

    #[tokio::test]
    async fn who_was_let_in_is_served_and_who_comes_later_is_not_let_in() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut early = TcpStream::connect(address).unwrap();
        let_nobody_in(&listener).unwrap();
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(100)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        std::io::Write::write_all(&mut early, b"here").unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        let mut said = [0; 4];
        tokio::io::AsyncReadExt::read_exact(&mut accepted, &mut said).await.unwrap();
        assert_eq!(&said, b"here");
        drop(listener);
        let refused = TcpStream::connect_timeout(&address, Duration::from_millis(100)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
