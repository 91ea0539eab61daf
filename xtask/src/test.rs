//! `cargo xtask test`: the stages in their order, the choice among them, and what becomes of each. The stages themselves
//! are in `test/stages.rs`; the closing table is in `test/report.rs`.

mod report;
mod stages;

use std::time::Instant;

use anyhow::{Result, bail};

use self::report::{Outcome, Row};
use self::stages::{STAGES, Session, Stage};
use crate::repo::Repo;

/// Runs the chosen stages; true when none failed.
pub(crate) fn run(repo: &Repo, only: &[String], skip: &[String], keep_going: bool) -> Result<bool> {
    let chosen = choose(only, skip)?;
    let mut session = Session::new(repo, !skip.iter().any(|name| name == "tools"));
    let mut rows = Vec::new();
    let mut failed = false;
    for stage in &STAGES {
        let outcome = if !chosen.contains(&stage.name) {
            Outcome::Skipped("not asked for".to_owned())
        } else if failed && !keep_going {
            Outcome::Skipped("after a failure".to_owned())
        } else {
            rows.push(perform(stage, &mut session));
            failed |= matches!(rows.last(), Some(Row { outcome: Outcome::Failed(_), .. }));
            continue;
        };
        rows.push(Row::idle(stage.name, outcome));
    }
    print!("{}", report::render(&rows));
    Ok(!failed)
}

fn perform(stage: &Stage, session: &mut Session<'_>) -> Row {
    println!("\n=== {}: {}", stage.name, stage.about);
    let start = Instant::now();
    let result = (stage.run)(session);
    let time = start.elapsed();
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    match &outcome {
        Outcome::Passed => println!("--- {}: passed in {:.1} s", stage.name, time.as_secs_f64()),
        Outcome::Skipped(why) => println!("--- {}: skipped: {why}", stage.name),
        Outcome::Failed(why) => println!("--- {}: FAILED in {:.1} s: {why}", stage.name, time.as_secs_f64()),
    }
    Row { stage: stage.name, outcome, time, tests: session.take_counts() }
}

/// The names of the stages to run.
fn choose(only: &[String], skip: &[String]) -> Result<Vec<&'static str>> {
    let names: Vec<&'static str> = STAGES.iter().map(|stage| stage.name).collect();
    if let Some(unknown) = only.iter().chain(skip).find(|name| !names.contains(&name.as_str())) {
        bail!("no stage is called {unknown:?}: the stages are {}", names.join(", "));
    }
    let wanted = |name: &str| (only.is_empty() || only.iter().any(|o| o == name)) && !skip.iter().any(|s| s == name);
    let chosen: Vec<_> = names.into_iter().filter(|name| wanted(name)).collect();
    if chosen.is_empty() {
        bail!("--only and --skip leave no stage to run");
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn without_flags_every_stage_runs_in_order() {
        let order = ["tidy", "fmt", "clippy", "tools", "unit", "build", "e2e", "chart", "images", "docs", "deny"];
        assert_eq!(choose(&[], &[]).unwrap(), order);
    }

    #[test]
    fn only_and_skip_narrow_the_choice_and_keep_the_order() {
        assert_eq!(choose(&names(&["unit", "tidy", "fmt"]), &names(&["fmt"])).unwrap(), ["tidy", "unit"]);
    }

    #[test]
    fn an_unknown_stage_is_named_with_the_known_ones() {
        let error = choose(&names(&["units"]), &[]).unwrap_err().to_string();
        assert!(error.contains("\"units\"") && error.contains("tidy, fmt"), "{error}");
    }

    #[test]
    fn an_empty_choice_is_refused() {
        assert!(choose(&names(&["unit"]), &names(&["unit"])).is_err());
    }
}
