//! `weft keys`: makes, lists and revokes the keys of callers in a file that running gateways follow.

use std::{
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::json;
use weft_gateway::keys::{Entry, FILE, KeyFile, New, Role};

use crate::state;

/// What `weft keys` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    place: Place,
}

/// Where the file is.
#[derive(Debug, Args)]
struct Place {
    /// The file of keys; the same as `auth.keys` of the gateway [default: keys.json in the state directory].
    #[arg(long, value_name = "FILE", env = "WEFT_GATEWAY_AUTH__KEYS", global = true)]
    keys: Option<PathBuf>,
    /// The state directory of `weft up` or `weft gateway` [default: the XDG state directory].
    #[arg(long, value_name = "DIR", env = "WEFT_STATE", global = true)]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key, and show it this once.
    Create {
        /// Who it is for: letters, digits and . _ - @
        #[arg(long)]
        name: String,
        /// What its caller may do: reader (what changes nothing), writer (everything) or admin (also the administration address).
        #[arg(long)]
        role: Role,
        /// Days after which it ends by itself.
        #[arg(long, value_name = "DAYS")]
        expires: Option<u32>,
        /// Whose data it works on: the namespace that servers keep apart.
        #[arg(long)]
        tenant: Option<String>,
        /// Print the key and nothing else.
        #[arg(long, short)]
        quiet: bool,
    },
    /// Show the keys: names, roles and ids, never a key.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// End a key. Running gateways refuse it within a second, and end what its caller has open.
    Revoke {
        /// Its name or id.
        #[arg(value_name = "NAME|ID")]
        which: String,
    },
}

/// Does it.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let file = arguments.place.file()?;
    match arguments.what {
        What::Create { name, role, expires, tenant, quiet } => {
            let life = expires.map(|days| Duration::from_secs(u64::from(days) * 86_400));
            let (entry, key) = file.create(New { name, role, tenant, life })?;
            println!("{key}");
            if !quiet {
                eprintln!(
                    "\nThis is the key of {} ({}). It is shown this once; only its hash is kept.",
                    entry.name,
                    role.name()
                );
                eprintln!("Clients send it as a header:  Authorization: Bearer KEY");
            }
        }
        What::List { json: false } => print!("{}", table(&file.list()?)),
        What::List { json: true } => println!("{}", serde_json::to_string_pretty(&as_json(&file.list()?))?),
        What::Revoke { which } => {
            let entry = file.revoke(&which)?;
            eprintln!("The key {} ({}) is revoked.", entry.name, entry.id);
        }
    }
    Ok(())
}

impl Place {
    fn file(&self) -> Result<KeyFile> {
        if let Some(path) = &self.keys {
            return Ok(KeyFile::at(path));
        }
        let state = self.state.clone().map_or_else(state::usual, Ok).context("or name the file with --keys FILE")?;
        Ok(KeyFile::at(state.join(FILE)))
    }
}

fn state_of(key: &Entry) -> &'static str {
    match key {
        _ if key.revoked.is_some() => "revoked",
        _ if key.is_over() => "expired",
        _ => "in use",
    }
}

fn table(keys: &[Entry]) -> String {
    if keys.is_empty() {
        return "There are no keys; make one with `weft keys create --name NAME --role reader|writer|admin`.\n"
            .to_owned();
    }
    let row = |cells: [&str; 7]| {
        let [id, name, role, tenant, state, created, expires] = cells;
        format!("{id:<8}  {name:<20}  {role:<6}  {tenant:<12}  {state:<7}  {created:<10}  {expires}\n")
    };
    let mut out = row(["id", "name", "role", "tenant", "state", "created", "expires"]);
    for key in keys {
        let (tenant, expires) = (key.tenant.as_deref().unwrap_or("-"), key.expires.map_or("-".to_owned(), day));
        out += &row([&key.id, &key.name, key.role.name(), tenant, state_of(key), &day(key.created), &expires]);
    }
    out
}

fn as_json(keys: &[Entry]) -> serde_json::Value {
    let one = |key: &Entry| {
        json!({ "id": key.id, "name": key.name, "role": key.role, "tenant": key.tenant, "state": state_of(key),
            "created": key.created, "expires": key.expires, "revoked": key.revoked })
    };
    keys.iter().map(one).collect()
}

/// The day of a moment, in seconds since 1970, in UTC.
fn day(at: u64) -> String {
    let date = time::OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(at)).date();
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_everything_but_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join(FILE));
        assert!(table(&file.list().unwrap()).contains("weft keys create"));
        let new =
            New { name: "ann".into(), role: Role::Reader, tenant: Some("acme".into()), life: Some(Duration::ZERO) };
        let (entry, key) = file.create(new).unwrap();
        let text = table(&file.list().unwrap()) + &as_json(&file.list().unwrap()).to_string();
        for part in [entry.id.as_str(), "ann", "reader", "acme", "expired"] {
            assert!(text.contains(part), "{text}");
        }
        // The id is random letters, which may spell any word.
        let fixed = text.replace(&entry.id, "");
        assert!(!text.contains(key.rsplit('_').next().unwrap()) && !fixed.contains("hash"), "{text}");
        assert_eq!((day(0), day(1_790_000_000)), ("1970-01-01".to_owned(), "2026-09-21".to_owned()));
    }
}
