//! Instances that die, hang, drag and lie, under load: what clients see of it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::{Consul, Echo, Load, Mesh, pass};
use crate::harness::eventually;

#[test]
fn one_of_three_is_killed_and_no_call_fails() {
    let mesh = Mesh::start();
    let servers = [mesh.echo(), mesh.echo(), mesh.echo()];
    let gateway = mesh.gateway();
    gateway.await_healthy(3);
    let load = Load::start(&[gateway.port]);
    pass(1.0);
    servers[0].process.signal("KILL");
    pass(3.0);
    load.all_right("one of three killed").all_within(Duration::from_secs(4), "one of three killed");
}

#[test]
fn one_of_three_hangs_and_comes_back() {
    let mesh = Mesh::start();
    let servers = [mesh.echo(), mesh.echo(), mesh.echo()];
    let gateway = mesh.gateway();
    gateway.await_healthy(3);
    let load = Load::start(&[gateway.port]);
    pass(2.0);
    eventually("the gateway knows what is usual", || load.right() > 200);
    let hedges = || gateway.metric("weft_gateway_hedges_total", "echo");
    let before = hedges();
    servers[0].process.signal("STOP");
    eventually("a slow call is hedged", || hedges() > before);
    // Longer than any call may take.
    pass(10.0);
    servers[0].process.signal("CONT");
    gateway.await_healthy(3);
    load.all_right("one of three hung").all_within(Duration::from_secs(6), "one of three hung");
}

/// What stands in front of an instance.
#[derive(Clone, Copy)]
enum Trouble {
    /// Every byte comes half a second late.
    Slow,
    /// Every second connection is cut after a few bytes.
    Cut,
    /// Connections are taken and nothing ever comes.
    Mute,
}

/// Puts trouble in front of `echo` and registers it in the instance's place; gives the connections it took.
fn trouble(consul: &Consul, echo: &Echo, trouble: Trouble) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let (counted, target) = (Arc::clone(&taken), echo.port);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let stream = stream.unwrap();
            std::thread::spawn(move || stand_between(stream, target, trouble, number));
        }
    });
    let found = consul.get("/v1/health/service/mcp-echo");
    let entry = found.as_array().unwrap().iter().find(|entry| entry["Service"]["ID"] == echo.id).unwrap().clone();
    let body = json!({
        "ID": "mcp-echo-troubled", "Name": "mcp-echo", "Tags": entry["Service"]["Tags"], "Meta": entry["Service"]["Meta"],
        "Address": "127.0.0.1", "Port": port,
    });
    consul.put("/v1/agent/service/register", &body);
    taken
}

fn stand_between(mut client: TcpStream, target: u16, trouble: Trouble, number: usize) {
    if matches!(trouble, Trouble::Mute) {
        let _ = client.read_to_end(&mut Vec::new());
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)) else { return };
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let cuts = matches!(trouble, Trouble::Cut) && number % 2 == 1;
    std::thread::spawn(move || {
        let (mut buffer, mut passed) = ([0; 4096], 0);
        while let Ok(length @ 1..) = from_server.read(&mut buffer) {
            if matches!(trouble, Trouble::Slow) {
                std::thread::sleep(Duration::from_millis(500));
            }
            passed += length;
            // The handshake passes, the answer behind it does not.
            if (cuts && passed > 2000) || to_client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(std::net::Shutdown::Both);
        let _ = from_server.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Both);
}

#[test]
fn an_instance_behind_a_bad_line_is_given_up_and_no_call_fails() {
    for (name, kind) in [("slow", Trouble::Slow), ("cut", Trouble::Cut), ("mute", Trouble::Mute)] {
        let mesh = Mesh::start();
        let servers = [mesh.echo(), mesh.echo(), mesh.echo()];
        let gateway = mesh.gateway();
        gateway.await_healthy(3);
        let load = Load::start(&[gateway.port]);
        pass(1.5);
        let taken = trouble(&mesh.consul, &servers[2], kind);
        eventually("the troubled instance is known", || gateway.instances().len() == 4);
        eventually("the troubled instance is tried", || taken.load(Ordering::Relaxed) > 0);
        pass(5.0);
        load.all_right(name).all_within(Duration::from_secs(8), name);
    }
}
