//! `weft certs`: the development authority in a directory, for meshes on one machine.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use weft_identity::DevCa;

/// What `weft certs` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a development authority; one that is there already stays.
    Init {
        /// Where its certificate and key are kept; give the same to `--identity dev:DIR`.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Makes the authority and prints its certificate.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let What::Init { dir } = &arguments.what;
    let authority = DevCa::open_or_create(dir)?;
    print!("{}", authority.certificate_pem());
    eprintln!("The development authority is in {}; use it with --identity dev:{}", dir.display(), dir.display());
    Ok(())
}
