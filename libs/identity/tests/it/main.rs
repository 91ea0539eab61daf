//! Real handshakes over loopback sockets: who gets in, who does not, and whether the error says why.

mod handshakes;
