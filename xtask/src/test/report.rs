//! Turns the stages' ends into the closing table and its last line. Kept apart because it is pure, and because that last
//! line is read by machines.

use std::fmt::Write;
use std::time::Duration;

/// How a stage ended.
pub(crate) enum Outcome {
    Passed,
    /// Why it did not run.
    Skipped(String),
    /// What failed, with the command.
    Failed(String),
}

/// What `cargo test` counted, summed over a stage's test binaries.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// Adds the closing line of one test binary; any other line changes nothing.
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some(rest) = line.trim_start().strip_prefix("test result: ") else { return };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) stage: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) time: Duration,
    /// `None` for a stage that runs no tests.
    pub(crate) tests: Option<Counts>,
}

impl Row {
    /// A stage that did not start.
    pub(crate) fn idle(stage: &'static str, outcome: Outcome) -> Self {
        Self { stage, outcome, time: Duration::ZERO, tests: None }
    }
}

/// The table, and below it `N passed, N failed, N skipped` alone on the last line, counting stages.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut text = String::from("\nstage   result      time  notes\n");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for row in rows {
        let (word, note) = match &row.outcome {
            Outcome::Passed => ("passed", ""),
            Outcome::Skipped(why) => ("skipped", why.as_str()),
            Outcome::Failed(why) => ("FAILED", why.as_str()),
        };
        match row.outcome {
            Outcome::Passed => passed += 1,
            Outcome::Skipped(_) => skipped += 1,
            Outcome::Failed(_) => failed += 1,
        }
        let tests = row.tests.map_or_else(String::new, |counts| {
            format!("{} tests passed, {} failed, {} ignored", counts.passed, counts.failed, counts.ignored)
        });
        let gap = if tests.is_empty() || note.is_empty() { "" } else { "; " };
        let line = format!("{:<7} {word:<7} {:>7.1} s  {tests}{gap}{note}", row.stage, row.time.as_secs_f64());
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "\n{passed} passed, {failed} failed, {skipped} skipped");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_several_test_binaries_add_up() {
        let mut counts = Counts::default();
        counts
            .add_line("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.05s");
        counts.add_line(
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        counts.add_line("test it::reads_a_file ... ok");
        assert_eq!(counts, Counts { passed: 14, failed: 1, ignored: 1 });
    }

    #[test]
    fn the_last_line_counts_the_stages_and_stands_alone() {
        let rows = [
            Row { stage: "fmt", outcome: Outcome::Passed, time: Duration::from_millis(1_250), tests: None },
            Row {
                stage: "unit",
                outcome: Outcome::Failed("`cargo test` ended with 101".to_owned()),
                time: Duration::from_secs(9),
                tests: Some(Counts { passed: 3, failed: 1, ignored: 0 }),
            },
            Row::idle("e2e", Outcome::Skipped("after a failure".to_owned())),
        ];
        let text = render(&rows);
        assert!(text.contains("fmt     passed      1.2 s\n"), "{text}");
        assert!(text.contains("3 tests passed, 1 failed, 0 ignored; `cargo test` ended with 101\n"), "{text}");
        assert!(text.ends_with("\n\n1 passed, 1 failed, 1 skipped\n"), "{text}");
    }
}
