//! Measures the stores and prints a page: `measure` for all of it, `measure quick` for a small load of each, or
//! `measure STORE SETTING POINTS DIMENSIONS QUERIES` for one line. STORE is `embedded`, `pgvector`, `chroma` or `qdrant`, SETTING what the
//! index keeps of a vector (`default`, `scalar` or `binary`), or `size` for the embedded store without a graph.

use std::time::Duration;

use weft_kit::Reference;
use weft_vectorstore::{
    RemoteSettings, StoreSettings,
    measure::{Codes, Load, Measured, measure, measure_at},
};

/// Store, setting, points, dimensions and queries of a line.
type Line<'a> = (&'a str, &'a str, usize, usize, usize);

/// What the whole page measures.
const ALL: [Line<'static>; 9] = [
    ("embedded", "default", 20_000, 384, 500),
    ("embedded", "binary", 20_000, 384, 500),
    ("pgvector", "default", 20_000, 384, 500),
    ("pgvector", "scalar", 20_000, 384, 500),
    ("pgvector", "binary", 20_000, 384, 500),
    ("chroma", "default", 20_000, 384, 500),
    ("embedded", "default", 100_000, 384, 1_000),
    ("embedded", "binary", 100_000, 384, 1_000),
    ("embedded", "default", 1_000_000, 128, 200),
];

/// The same with a load that takes less than two minutes.
const QUICK: [Line<'static>; 6] = [
    ("embedded", "default", 4_000, 384, 100),
    ("embedded", "binary", 4_000, 384, 100),
    ("pgvector", "default", 4_000, 384, 100),
    ("pgvector", "scalar", 4_000, 384, 100),
    ("pgvector", "binary", 4_000, 384, 100),
    ("chroma", "default", 4_000, 384, 100),
];

#[tokio::main]
async fn main() -> Result<(), anyhow::Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let one;
    let lines: &[Line<'_>] = match words.as_slice() {
        [] => &ALL,
        ["quick" | "--quick"] => &QUICK,
        [store, setting, points, dimensions, queries] => {
            one = [(*store, *setting, points.parse()?, dimensions.parse()?, queries.parse()?)];
            &one
        }
        _ => anyhow::bail!("give nothing, `quick`, or STORE SETTING POINTS DIMENSIONS QUERIES"),
    };
    println!("# Vector search, measured\n");
    println!(
        "Points in a thousand clusters, batches of 256, ten nearest by cosine, m 16, ef_construction 128, ef 100; recall"
    );
    println!(
        "against comparing every vector outside of the store. One process, one query at a time, everything on one machine; the"
    );
    println!(
        "servers of others run beside it. The setting is `quantisation`: the default is codes of eight bits in the embedded store and whole"
    );
    println!(
        "vectors in the others, scalar is `halfvec` in pgvector, binary is one bit of each number, ranked again.\n"
    );
    println!(
        "| store | setting | points | dimensions | written in | graph ready after | recall@10 | p50 | p99 | exact p50 | on disk |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for own in lines {
        line(*own).await?;
    }
    Ok(())
}

async fn line((store, setting, points, dimensions, queries): Line<'_>) -> Result<(), anyhow::Error> {
    let codes = match setting {
        "default" | "size" => Codes::Default,
        "scalar" => Codes::Scalar,
        "binary" => Codes::Binary,
        other => anyhow::bail!("{other} is no setting; give default, scalar, binary or size"),
    };
    let load = Load { points, dimensions, queries, batch: 256, graph: setting != "size", codes };
    let folder = tempfile::tempdir()?;
    let remote = |url: String| {
        let (name, url) = (store.to_owned(), Reference::Text(url));
        RemoteSettings { name, read_only: false, url, api_key: None, space: None, pool: 4, timeout_ms: 600_000 }
    };
    let measured = match store {
        "embedded" => measure(folder.path(), load).await?,
        "pgvector" => {
            let Some(server) = weft_testkit::postgres() else { return Ok(()) };
            server.run_in("postgres", "CREATE EXTENSION IF NOT EXISTS vector");
            measure_at(&StoreSettings::Pgvector(remote(server.url("postgres"))), folder.path(), load).await?
        }
        "chroma" => {
            let Some(server) = weft_testkit::chroma() else { return Ok(()) };
            measure_at(&StoreSettings::Chroma(remote(server.url.clone())), folder.path(), load).await?
        }
        "qdrant" => {
            let url = std::env::var("WEFT_QDRANT_URL")?;
            measure_at(&StoreSettings::Qdrant(remote(url)), folder.path(), load).await?
        }
        other => anyhow::bail!("{other} is no store that can be measured"),
    };
    let Measured { written, built, recall, p50, p99, exact_p50, bytes } = measured;
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let asked = [format!("{recall:.4}"), ms(p50), ms(p99), ms(exact_p50)];
    let asked = if queries == 0 { ["", "", "", ""].map(str::to_owned) } else { asked };
    let disk = if bytes == 0 { String::new() } else { format!("{} MiB", bytes >> 20) };
    // Other stores say nothing of when their index is ready: it is, when a write returns.
    let built = if store == "embedded" { seconds(built) } else { String::new() };
    let (written, asked) = (seconds(written), asked.join(" | "));
    println!("| {store} | {setting} | {points} | {dimensions} | {written} | {built} | {asked} | {disk} |");
    Ok(())
}
