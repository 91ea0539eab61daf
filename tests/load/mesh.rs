//! What the mesh itself costs: the same call through a gateway of its own to one instance in plain HTTP, to one over mutual
//! TLS, and to four under each policy. Rounds interleaved, so that ratios stand side by side under the same noise.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use weft_testkit::free_port;

use crate::{
    client::Spot,
    drive::{self, Measured},
    picks,
    process::{Program, command},
    work::Work,
    world::required,
};

/// A round: under load, and with one connection.
type Round = (Measured, Measured);

/// One way through the mesh.
struct Way {
    name: &'static str,
    spot: Spot,
    rounds: Vec<Round>,
}

const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_millis(1200);
/// Compares a round with one of the first row.
type Beside<'a> = &'a dyn Fn(&Round, &Round) -> f64;

/// Connections of the load; latencies are taken with one.
const CONNECTIONS: usize = 32;

/// Measures and prints the page.
pub(crate) async fn run(quick: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut ways, _gateways) = ways(folder.path())?;
    let (rounds, length) = if quick { (1, LENGTH / 3) } else { (ROUNDS, LENGTH) };
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for way in &mut ways {
            drive::closed(&way.spot, 8, length / 8).await?;
            let busy = drive::closed(&way.spot, CONNECTIONS, length).await?;
            let alone = drive::closed(&way.spot, 1, length / 2).await?;
            for measured in [&busy, &alone] {
                anyhow::ensure!(measured.wrong == 0, "{}: wrong answers: {:?}", way.name, measured.sample);
            }
            way.rounds.push((busy, alone));
        }
    }
    print(&ways, rounds, length);
    println!("\n## Choosing an instance\n");
    println!("The balancer alone, one thread, everything healthy, 16 calls in flight; the best of several rounds.\n");
    print!("{}", picks::table(&picks::rows()));
    Ok(())
}

/// The gateways with the instances behind them, each on files of its own.
fn ways(folder: &Path) -> Result<(Vec<Way>, Vec<Arc<Program>>)> {
    let ca = folder.join("ca");
    let mut programs = Vec::new();
    let plain = vec![instance(folder, None, &mut programs)?];
    let proven = (0..4).map(|_| instance(folder, Some(&ca), &mut programs)).collect::<Result<Vec<_>>>()?;
    let kinds: [(&str, &[u16], Option<&str>); 5] = [
        ("one instance, plain HTTP", &plain, None),
        ("one instance, mutual TLS", &proven[..1], None),
        ("four instances, mutual TLS, `round_robin`", &proven, Some("round_robin")),
        ("four instances, mutual TLS, `least_connections`", &proven, Some("least_connections")),
        ("four instances, mutual TLS, `consistent_hash`", &proven, Some("consistent_hash")),
    ];
    let mut ways = Vec::new();
    for (number, (name, ports, policy)) in kinds.into_iter().enumerate() {
        let registry = folder.join(format!("mesh-{number}.toml"));
        fs::write(&registry, written(ports, number > 0, policy))?;
        let (port, admin) = (free_port(), free_port());
        let mut run = command(&required("WEFT_BIN")?);
        run.args(["gateway", "--log", "error", "--listen", &format!("127.0.0.1:{port}")]);
        run.args(["--admin", &format!("127.0.0.1:{admin}"), "--registry", &format!("static:{}", registry.display())]);
        run.args(["--identity", &format!("dev:{}", ca.display())]).arg("--state").arg(folder.join("gateway"));
        let mut program = Program::start(run, None)?;
        program.listening(port)?;
        let program = Arc::new(program);
        let tool = Work::Echo.tool().map(|(_, there)| there);
        let spot = Spot::new(Work::Echo, port, Work::Echo.path(), tool, vec![program.clone()])?;
        programs.push(program);
        ways.push(Way { name, spot, rounds: Vec::new() });
    }
    // The lists are asked for once the gateway runs.
    std::thread::sleep(Duration::from_secs(2));
    Ok((ways, programs))
}

fn instance(folder: &Path, ca: Option<&Path>, programs: &mut Vec<Arc<Program>>) -> Result<u16> {
    let port = free_port();
    let mut run = command(&required("WEFT_BIN")?);
    run.args(["serve", "echo", "--log", "error", "--listen", &format!("127.0.0.1:{port}")]);
    if let Some(ca) = ca {
        run.args(["--identity", &format!("dev:{}", ca.display())]);
    }
    run.arg("--state").arg(folder.join(format!("server-{port}")));
    let mut program = Program::start(run, None)?;
    program.listening(port)?;
    programs.push(Arc::new(program));
    Ok(port)
}

/// A registry as a file.
fn written(ports: &[u16], proven: bool, policy: Option<&str>) -> String {
    let instance = |port: &u16| {
        let identity = if proven { "identity = \"spiffe://weft.local/svc/echo\"\n" } else { "" };
        let policy = policy.map(|policy| format!("policy = \"{policy}\"\n")).unwrap_or_default();
        format!(
            "[[instance]]\nservice = \"echo\"\naddress = \"127.0.0.1:{port}\"\nera = \"dual\"\nsessions = false\n{identity}{policy}"
        )
    };
    ports.iter().map(instance).collect::<Vec<_>>().join("\n")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn print(ways: &[Way], rounds: usize, length: Duration) {
    println!("# What the mesh costs\n");
    println!(
        "`cargo xtask bench mesh`, all on loopback, gateway and servers as processes of their own: for each row {rounds} rounds of\n\
         {:.1} s, the rows taken in turn; medians. The work is the tool `echo` in the stateless era; throughput and CPU (of the\n\
         gateway alone) with {CONNECTIONS} connections, p50 with one. Ratios are to the first row, round by round.\n",
        length.as_secs_f64()
    );
    println!("| behind the gateway | calls/s | ratio | CPU s per 1,000 calls | p50, one connection | added p50 |");
    println!("|---|--:|--:|--:|--:|--:|");
    for way in ways {
        let of = |figure: &dyn Fn(&Round) -> f64| median(way.rounds.iter().map(figure).collect());
        let beside = |figure: Beside<'_>| {
            median(way.rounds.iter().zip(&ways[0].rounds).map(|(own, first)| figure(own, first)).collect())
        };
        let ratio = beside(&|own, first| own.0.rate() / first.0.rate());
        let added = beside(&|own, first| (own.1.at(500) - first.1.at(500)) * 1e6);
        println!(
            "| {} | {:.0} | {ratio:.2} | {:.3} | {:.0} µs | {added:+.0} µs |",
            way.name,
            of(&|round| round.0.rate()),
            of(&|round| round.0.cpu_per_thousand()),
            of(&|round| round.1.at(500)) * 1e6,
        );
    }
}
