//! The table of metric names, from the names the code itself uses.

use std::fmt::Write;

use weft_telemetry::names::{ALL, Kind, Metric};

use super::banner;

/// `docs/reference/metrics.md`.
pub(crate) fn page() -> String {
    let mut text = banner("`libs/telemetry/src/names.rs`");
    text.push_str("# Metrics\n\nWhat a Weft process shows Prometheus at `/metrics` of its administration address.\n\n");
    text.push_str("| name | kind | unit | labels | says |\n|---|---|---|---|---|\n");
    for metric in ALL {
        text.push_str(&row(metric));
    }
    text
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| `{}` | {kind} | {} | {} | {} |",
        metric.name,
        metric.unit,
        labels.join(" "),
        metric.help.replace('|', "\\|")
    );
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_row() {
        let page = page();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), ALL.len());
    }

    #[test]
    fn a_bar_in_a_help_text_does_not_end_the_cell() {
        let metric = Metric { name: "weft_x", kind: Kind::Gauge, unit: "", labels: &["a", "b"], help: "this | that" };
        assert_eq!(row(&metric), "| `weft_x` | gauge |  | `a` `b` | this \\| that |\n");
    }
}
