//! The first bytes of a connection: which version both sides speak.

use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A version of Bolt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 4 or 5.
    pub major: u8,
    /// Counted from zero.
    pub minor: u8,
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

/// What every Bolt connection begins with.
const MAGIC: [u8; 4] = [0x60, 0x60, 0xB0, 0x17];
/// Four offers of: nothing, how many minor versions below, minor, major. 5.4 to 5.0, 4.4 to 4.3.
const OFFERS: [u8; 16] = [0, 4, 4, 5, 0, 1, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0];

/// The version that the server chose; `None` if it knows none of ours.
pub(crate) async fn agree<S>(stream: &mut S) -> io::Result<Option<Version>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&MAGIC).await?;
    stream.write_all(&OFFERS).await?;
    stream.flush().await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    let [_, _, minor, major] = answer;
    let offered = matches!((major, minor), (5, 0..=4) | (4, 3..=4));
    Ok(offered.then_some(Version { major, minor }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(answer: &[u8]) -> io::Result<Option<Version>> {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(answer).await.unwrap();
        let agreed = agree(&mut ours).await;
        let mut asked = [0; 20];
        theirs.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, *b"\x60\x60\xB0\x17\0\x04\x04\x05\0\x01\x04\x04\0\0\0\0\0\0\0\0");
        agreed
    }

    #[tokio::test]
    async fn only_what_was_offered_is_accepted() {
        assert_eq!(answered(&[0, 0, 4, 5]).await.unwrap(), Some(Version { major: 5, minor: 4 }));
        assert_eq!(answered(&[0, 0, 3, 4]).await.unwrap(), Some(Version { major: 4, minor: 3 }));
        for answer in [[0; 4], [0, 0, 5, 5], [0, 0, 2, 4], *b"HTTP"] {
            assert_eq!(answered(&answer).await.unwrap(), None, "{answer:?}");
        }
    }
}
