//! One connection to an instance, driven by whoever uses it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection and the handle that gives it requests. Nobody drives an idle one; whoever waits for an answer drives its
/// own, so that no call is handed from one task to another.
pub(super) struct Line {
    pub(super) sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    pub(super) over: bool,
    _count: Count,
}

impl Line {
    /// Speaks HTTP/1.1 over a stream that is connected; counted in `open` for as long as it lives.
    pub(super) async fn open<S>(stream: S, open: &Arc<AtomicUsize>) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Box::pin(connection), over: false, _count: Count::up(open) })
    }

    /// Lets the connection read and write what it can.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.over && self.driver.as_mut().poll(cx).is_ready() {
            self.over = true;
        }
    }

    /// True when it can take a request: the server has not closed it meanwhile.
    pub(super) fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.over && !self.sender.is_closed()
    }

    /// Sends a request and drives the connection until the head of the answer is there.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            if !self.over && self.driver.as_mut().poll(cx).is_ready() {
                self.over = true;
            }
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// Counts an open connection for as long as it lives.
struct Count(Arc<AtomicUsize>);

impl Count {
    fn up(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
