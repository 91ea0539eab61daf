//! The command line of the repository's own tasks: `cargo xtask test | tidy | gen | bench | image`. Each task lives in the module
//! of its name; this file only reads the flags and turns a failure into one line and an exit code.

mod bench;
mod binaries;
mod command;
mod generate;
mod image;
mod repo;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::repo::Repo;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the Weft repository", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need and run every check, stage by stage
    Test(TestFlags),
    /// Check the house rules: dependency direction, sizes, words, links, generated files
    Tidy,
    /// Write the generated reference pages
    Gen(GenFlags),
    /// Build for release, measure, and write docs/reference/performance.md
    Bench(BenchFlags),
    /// Build container images, with labels and a bill of materials, and print their sizes
    Image(image::ImageFlags),
}

#[derive(Args)]
struct TestFlags {
    /// Run only these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these stages out
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    skip: Vec<String>,
    /// Go on after a failed stage
    #[arg(long)]
    keep_going: bool,
}

#[derive(Args)]
struct GenFlags {
    /// Write nothing; fail when a page is not what would be written
    #[arg(long)]
    check: bool,
}

#[derive(Args)]
struct BenchFlags {
    /// Print the results and leave the performance page as it is
    #[arg(long)]
    no_write: bool,
    /// What to measure instead of calls: mesh, start, vectors, memory or search; and what that program itself is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WHAT")]
    args: Vec<String>,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when the task found nothing wrong.
fn run(task: Task) -> Result<bool> {
    let repo = Repo::find()?;
    match task {
        Task::Test(flags) => test::run(&repo, &flags.only, &flags.skip, flags.keep_going),
        Task::Tidy => tidy::run(&repo),
        Task::Gen(flags) => generate::run(&repo, flags.check),
        Task::Bench(flags) => bench::run(&repo, &flags.args, !flags.no_write).map(|()| true),
        Task::Image(flags) => image::run(&repo, &flags).map(|()| true),
    }
}
