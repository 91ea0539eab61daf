//! Redis programs of the tests: started in a directory of their own on a free port, killed when they are dropped.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use weft_testkit::free_port;

/// One running program.
pub(super) struct Server {
    pub(super) port: u16,
    child: Child,
    _dir: TempDir,
}

impl Server {
    /// Starts one with more arguments; `None`, and a word about it, when the tests are not told of the program.
    pub(super) fn start(arguments: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        Self::start_on(free_port(), arguments)
    }

    /// The same on a port that was chosen before.
    pub(super) fn start_on(port: u16, arguments: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let Some(program) = std::env::var_os("WEFT_REDIS_SERVER") else {
            eprintln!("skipped: WEFT_REDIS_SERVER does not name the redis-server program");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let arguments = arguments(dir.path());
        let mut command = Command::new(program);
        // A file of settings comes first, and says all of it.
        if !arguments.first().is_some_and(|first| first.starts_with('/')) {
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"]).arg(dir.path());
        }
        command.args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { port, child, _dir: dir };
        server.answers();
        Some(server)
    }

    /// Waits until it talks, whatever it says.
    fn answers(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if self.say("PING\r\n").is_some_and(|answer| !answer.is_empty() && !answer.starts_with("-LOADING")) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server on port {} does not answer", self.port);
    }

    /// Sends inline commands as they are and gives the beginning of what comes back.
    pub(super) fn say(&self, commands: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        stream.write_all(commands.as_bytes()).ok()?;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..read]).into_owned())
    }

    /// Sends inline commands that take long, until this is answered.
    pub(super) fn say_long(&self, commands: &str, until: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
        stream.write_all(commands.as_bytes()).unwrap();
        let (mut all, mut part) = (String::new(), [0; 512]);
        while !all.contains(until) {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "{all}");
            all.push_str(&String::from_utf8_lossy(&part[..read]));
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops it without ending it: connections stay, nothing is answered.
    pub(super) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after that.
    pub(super) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it as a power failure would.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A cluster of three masters, each with a third of the slots.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Server>,
}

impl Cluster {
    pub(super) fn start(flags: &[&str]) -> Option<Self> {
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        // Nodes talk to each other on a second port.
        let buses = [free_port(), free_port(), free_port()];
        let clustered = |bus: u16| {
            // After a pause of the whole machine that is longer, each would take the others for dead.
            let mut all = ["--cluster-enabled", "yes", "--cluster-node-timeout", "30000"].map(str::to_owned).to_vec();
            all.extend(["--cluster-port".to_owned(), bus.to_string()]);
            all.extend(flags.clone());
            all
        };
        let nodes = buses.map(|bus| Server::start(|_| clustered(bus))).into_iter().collect::<Option<Vec<_>>>()?;
        let slots = [(0, 5460), (5461, 10_922), (10_923, 16_383)];
        for (node, (from, to)) in nodes.iter().zip(slots) {
            assert!(node.say(&format!("CLUSTER ADDSLOTSRANGE {from} {to}\r\n")).unwrap().starts_with("+OK"));
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {}\r\n", nodes[0].port, buses[0]);
            assert!(node.say(&meet).unwrap().starts_with("+OK"));
        }
        let cluster = Self { nodes };
        until("the cluster is whole", || {
            let whole = |node: &Server| {
                let info = node.say("CLUSTER INFO\r\n").unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            cluster.nodes.iter().all(whole)
        });
        Some(cluster)
    }

    pub(super) fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port, self.nodes[1].port)
    }

    /// The id of a node.
    pub(super) fn id(&self, node: usize) -> String {
        let answer = self.nodes[node].say("CLUSTER MYID\r\n").unwrap();
        answer.lines().nth(1).unwrap().to_owned()
    }
}

/// A master, a replica, and three Sentinels that watch them.
pub(super) struct Watched {
    pub(super) servers: Vec<Server>,
    pub(super) sentinels: Vec<Server>,
}

impl Watched {
    pub(super) fn start() -> Option<Self> {
        let master = Server::start(|_| vec!["--repl-diskless-sync-delay".into(), "0".into()])?;
        let of = master.port.to_string();
        let replica = Server::start(|_| vec!["--replicaof".into(), "127.0.0.1".into(), of.clone()])?;
        let watching = |port: u16, dir: &Path| {
            let path = dir.join("sentinel.conf");
            let text = format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor main 127.0.0.1 {of} 2\n\
                 sentinel down-after-milliseconds main 120000\nsentinel failover-timeout main 3000\n",
                dir.display()
            );
            std::fs::write(&path, text).unwrap();
            vec![path.display().to_string(), "--sentinel".to_owned()]
        };
        let start = |_| {
            let port = free_port();
            Server::start_on(port, |dir| watching(port, dir))
        };
        let sentinels = (0..3).map(start).collect::<Option<Vec<_>>>()?;
        until("the Sentinels know all", || {
            sentinels
                .iter()
                .all(|one| one.say("INFO sentinel\r\n").unwrap_or_default().contains("slaves=1,sentinels=3"))
        });
        Some(Self { servers: vec![master, replica], sentinels })
    }

    /// Lets the Sentinels take a silent master for dead soon. Until then a pause of the whole machine must not make them do so.
    pub(super) fn watch_closely(&self) {
        for one in &self.sentinels {
            let told = one.say("SENTINEL SET main down-after-milliseconds 2000\r\n").unwrap();
            assert!(told.starts_with("+OK"), "{told}");
        }
    }

    pub(super) fn url(&self) -> String {
        let all: Vec<_> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis-sentinel://{}/main", all.join(","))
    }
}

/// Waits until something is true.
pub(super) fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(180);
    while !is() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
