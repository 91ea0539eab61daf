//! Messages as chunks and back: a message is cut into pieces of at most 65,535 bytes, each behind its size, and ended by a
//! piece of none. Pieces of none before a message only say that the server is alive.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    error::BoltError,
    packstream::{Limits, Malformed},
};

/// Appends `message` in chunks.
pub(crate) fn write(message: &[u8], out: &mut Vec<u8>) {
    for piece in message.chunks(usize::from(u16::MAX)) {
        let size = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&[0, 0]);
}

/// Reads one message into `message`.
pub(crate) async fn read<S>(stream: &mut S, limits: &Limits, message: &mut Vec<u8>) -> Result<(), BoltError>
where
    S: AsyncRead + Unpin,
{
    message.clear();
    loop {
        let size = usize::from(stream.read_u16().await.map_err(BoltError::Broken)?);
        if size == 0 && !message.is_empty() {
            return Ok(());
        }
        if message.len() + size > limits.bytes {
            return Err(Malformed::Large(limits.bytes).into());
        }
        let mut piece = (&mut *stream).take(size as u64);
        if piece.read_to_end(message).await.map_err(BoltError::Broken)? < size {
            return Err(BoltError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn back(mut bytes: &[u8], limits: Limits) -> Result<Vec<u8>, BoltError> {
        let mut message = Vec::new();
        read(&mut bytes, &limits, &mut message).await.map(|()| message)
    }

    #[tokio::test]
    async fn a_message_of_any_size_comes_back_and_signs_of_life_are_skipped() {
        for size in [1, 2, 65_534, 65_535, 65_536, 200_000] {
            let message: Vec<u8> = (0..=250).cycle().take(size).collect();
            let mut out = vec![0, 0, 0, 0];
            write(&message, &mut out);
            assert!(back(&out, Limits::default()).await.unwrap() == message);
        }
    }

    #[tokio::test]
    async fn an_endless_message_is_refused_at_the_limit() {
        let endless = [&[0xFF, 0xFF][..], vec![7; 65_535].as_slice()].concat().repeat(3);
        let refused = back(&endless, Limits { bytes: 100_000, ..Limits::default() }).await.unwrap_err();
        assert!(matches!(refused, BoltError::Malformed(Malformed::Large(100_000))), "{refused}");
    }

    #[tokio::test]
    async fn an_end_in_the_middle_is_a_broken_connection() {
        for bytes in [&[][..], &[0], &[0, 2, 1], &[0, 1, 1], &[0, 1, 1, 0]] {
            assert!(matches!(back(bytes, Limits::default()).await, Err(BoltError::Broken(_))), "{bytes:?}");
        }
    }
}
