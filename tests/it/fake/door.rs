//! A door before a gateway that passes everything on and remembers which credentials came through it.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// A running door.
pub(crate) struct Door {
    pub(crate) port: u16,
    heard: Arc<Mutex<String>>,
}

impl Door {
    /// In front of this port.
    pub(crate) fn before(inner: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&heard);
        std::thread::spawn(move || {
            for outer in listener.incoming() {
                let (outer, shared) = (outer.unwrap(), Arc::clone(&shared));
                // A connection that ends on either side ends its threads only.
                std::thread::spawn(move || pass(&outer, inner, &shared).ok());
            }
        });
        Self { port, heard }
    }

    /// True when this was said by a client since [`Self::forget`].
    pub(crate) fn heard(&self, text: &str) -> bool {
        self.heard.lock().unwrap().contains(text)
    }

    pub(crate) fn forget(&self) {
        self.heard.lock().unwrap().clear();
    }
}

fn pass(outer: &TcpStream, port: u16, heard: &Mutex<String>) -> std::io::Result<()> {
    let inner = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from, mut to) = (inner.try_clone()?, outer.try_clone()?);
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        copied
    });
    let (mut from, mut to, mut chunk) = (outer.try_clone()?, inner, [0; 16_384]);
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return to.shutdown(Shutdown::Write);
        }
        heard.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
        to.write_all(&chunk[..read])?;
    }
}
