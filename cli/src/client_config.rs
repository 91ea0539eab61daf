//! `weft client-config`: a gateway and how to prove who one is → what one MCP client reads, printed or put into its file.
//!
//! Standard output has the file and nothing else, so that it can be redirected; what else there is to know goes to standard
//! error. Keys are never written: each client is told in its own words where it finds them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

mod client;
mod entry;
mod file;
mod json;
mod probe;
#[cfg(test)]
mod tests;
mod yaml;

use client::Client;
use entry::{Entry, Key};

/// What `weft client-config` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The client that is to connect.
    #[arg(value_enum)]
    client: Client,
    /// The gateway; a path in it is the endpoint.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", env = "WEFT_URL")]
    url: String,
    /// The endpoint: /mcp for all services, /mcp/SERVICE for one, /mcp/v/NAME for a part.
    #[arg(long, value_name = "PATH", default_value = "/mcp")]
    endpoint: String,
    /// What the client calls the gateway.
    #[arg(long, default_value = "weft")]
    name: String,
    /// The variable that holds the key; the client reads it, and only its name is written.
    #[arg(long, value_name = "VARIABLE", conflicts_with_all = ["key_file", "key_input"])]
    key_env: Option<String>,
    /// The file that holds the key; `weft stdio` reads it, so this implies --stdio.
    #[arg(long, value_name = "FILE", conflicts_with = "key_input")]
    key_file: Option<PathBuf>,
    /// Let the client ask for the key and keep it (VS Code).
    #[arg(long)]
    key_input: bool,
    /// Connect through `weft stdio`, a program that the client starts. Claude Desktop knows no other way.
    #[arg(long)]
    stdio: bool,
    /// The `weft` that the client starts [default: this one].
    #[arg(long, value_name = "PATH")]
    command: Option<PathBuf>,
    /// Put it into the client's file, beside what is there already, instead of printing it.
    #[arg(long)]
    write: bool,
    /// The file, if it is not where the client usually has it.
    #[arg(long, value_name = "FILE", requires = "write")]
    file: Option<PathBuf>,
    /// Ask the endpoint for its tools first; do nothing if it does not answer.
    #[arg(long)]
    check: bool,
}

/// Prints, or writes.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let client = arguments.client;
    let entry = entry(arguments)?;
    if arguments.check {
        let tools = probe::tools(&entry).with_context(|| format!("{} was not written for", word(client)))?;
        eprintln!("{} answers: {tools} tools", entry.url);
    }
    let path = arguments.file.clone().or_else(|| client.path(&entry.name));
    if !arguments.write {
        if let Some(path) = &path {
            eprintln!("for {}:", path.display());
        }
        print!("{}", client.document("", &entry)?);
        notes(client, &entry);
        return Ok(());
    }
    let path = path.with_context(|| format!("{} has no usual place for it; say --file FILE", word(client)))?;
    let old = file::read(&path)?;
    let new = client.document(&old, &entry).with_context(|| {
        format!("{} was left as it is: put in by hand what `weft client-config` prints without --write", path.display())
    })?;
    if new == old {
        eprintln!("{} has it already", path.display());
    } else {
        file::replace(&path, &new)?;
        eprintln!("wrote {}", path.display());
    }
    notes(client, &entry);
    Ok(())
}

fn entry(arguments: &Arguments) -> Result<Entry> {
    let client = arguments.client;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == '-' && client != Client::Litellm);
    if arguments.name.is_empty() || arguments.name.len() > 64 || !arguments.name.chars().all(plain) {
        bail!("--name {:?}: use 1 to 64 letters, digits, _ and - (no - for LiteLLM)", arguments.name);
    }
    let key = match (&arguments.key_env, &arguments.key_file) {
        (Some(variable), _) => {
            let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if variable.is_empty() || variable.starts_with(|c: char| c.is_ascii_digit()) || !variable.chars().all(known)
            {
                bail!("--key-env takes the name of a variable, never the key itself");
            }
            Key::Env(variable.clone())
        }
        (None, Some(file)) => Key::File(std::path::absolute(file)?),
        (None, None) if arguments.key_input => Key::Input,
        (None, None) => Key::None,
    };
    if key == Key::Input && client != Client::Vscode {
        bail!("{} cannot ask for a key; use --key-env or --key-file", word(client));
    }
    let stdio = arguments.stdio || client == Client::ClaudeDesktop || matches!(key, Key::File(_));
    let bridge = match (stdio, &arguments.command) {
        (false, _) => None,
        (true, Some(command)) => Some(command.clone()),
        (true, None) => Some(std::env::current_exe().context("cannot tell where this program is; say --command PATH")?),
    };
    let url = url(&arguments.url, &arguments.endpoint)?;
    Ok(Entry { name: arguments.name.clone(), url, key, bridge })
}

/// The address of the endpoint.
fn url(base: &str, endpoint: &str) -> Result<String> {
    let parsed: reqwest::Url = base.parse().with_context(|| format!("--url {base} is no address"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.query().is_some() || parsed.fragment().is_some() {
        bail!("--url {base}: write http://HOST:PORT or https://HOST");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        bail!("--url must not hold a password; use --key-env or --key-file");
    }
    if parsed.path() != "/" {
        return Ok(base.to_owned());
    }
    if !endpoint.starts_with('/') {
        bail!("--endpoint {endpoint}: begin it with /, for example /mcp/v/lean");
    }
    Ok(format!("{}{endpoint}", base.trim_end_matches('/')))
}

/// What the file cannot say.
fn notes(client: Client, entry: &Entry) {
    if client == Client::ClaudeCode && entry.bridge.is_none() {
        eprintln!("or run:  {}", entry.claude_mcp_add());
    }
    match (&entry.key, client) {
        (Key::Env(variable), Client::Continue) => {
            eprintln!("put {variable}=… into ~/.continue/.env or the environment of Continue");
        }
        (Key::Env(variable), _) => eprintln!("{variable} must be in the environment in which the client is started"),
        _ => {}
    }
    if client == Client::ClaudeDesktop {
        eprintln!("restart Claude Desktop to make it read its file");
    }
}

/// The client as the command line calls it.
fn word(client: Client) -> String {
    client.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
