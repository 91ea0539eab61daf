//! A name server on a UDP socket of the loopback: real messages (RFC 1035), from a zone that a test rewrites.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Instant,
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, SRV},
    },
};
use tokio::net::UdpSocket;

use crate::Owned;

/// What is said to one question.
#[derive(Clone)]
pub(crate) enum Say {
    Records { answers: Vec<Record>, additionals: Vec<Record> },
    Code(ResponseCode),
    Nothing,
}

impl Say {
    pub(crate) fn records(answers: &[Record]) -> Self {
        Self::Records { answers: answers.to_vec(), additionals: Vec::new() }
    }
}

type Zone = HashMap<(String, RecordType), Say>;
type Asked = Vec<(Instant, (String, RecordType))>;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked: Arc<Mutex<Asked>>,
    _serving: Owned,
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (zone, asked) = (Arc::new(Mutex::new(Zone::new())), Arc::default());
        let serving = Owned(tokio::spawn(serve(socket, Arc::clone(&zone), Arc::clone(&asked))));
        Self { address, zone, asked, _serving: serving }
    }

    /// Answers a question so from now on; what is not in the zone does not exist.
    pub(crate) fn say(&self, name: &str, kind: RecordType, say: Say) {
        self.zone.lock().unwrap().insert((name.to_owned(), kind), say);
    }

    pub(crate) fn forget(&self, name: &str, kind: RecordType) {
        self.zone.lock().unwrap().remove(&(name.to_owned(), kind));
    }

    /// When a question was asked.
    pub(crate) fn asked(&self, name: &str, kind: RecordType) -> Vec<Instant> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, (of, like))| of == name && *like == kind).map(|(at, _)| *at).collect()
    }
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>, asked: Arc<Mutex<Asked>>) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
        let query = question.queries[0].clone();
        let key = (query.name().to_lowercase().to_ascii(), query.query_type());
        asked.lock().unwrap().push((Instant::now(), key.clone()));
        let said = zone.lock().unwrap().get(&key).cloned().unwrap_or(Say::Code(ResponseCode::NXDomain));
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.add_query(query);
        answer.metadata.recursion_available = true;
        match said {
            Say::Nothing => continue,
            Say::Code(code) => answer.metadata.response_code = code,
            Say::Records { answers, additionals } => {
                answer.add_answers(answers);
                answer.add_additionals(additionals);
            }
        }
        socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
    }
}

pub(crate) fn ip(name: &str, ttl: u32, address: &str) -> Record {
    let data = match address.parse().unwrap() {
        IpAddr::V4(four) => RData::A(A(four)),
        IpAddr::V6(six) => RData::AAAA(AAAA(six)),
    };
    Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, data)
}

/// `(priority, weight, port)` of a target.
pub(crate) fn srv(name: &str, ttl: u32, numbers: (u16, u16, u16), target: &str) -> Record {
    let (priority, weight, port) = numbers;
    let data = SRV::new(priority, weight, port, Name::from_ascii(target).unwrap());
    Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, RData::SRV(data))
}
