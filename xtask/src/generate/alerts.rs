//! What Prometheus wakes somebody for: one table → its rules, for Compose and for the chart, and the page that says what to do.
//!
//! Every rule asks only for metrics of `libs/telemetry/src/names.rs`, which a test checks here, and runs on a live Prometheus in
//! `tests/it/dashboard.rs`. The thresholds are for a mesh of which nothing is known; whoever knows theirs copies the file.

use std::fmt::Write;

use super::banner;

mod table;

use table::{ALERTS, Alert};

/// `infra/compose/prometheus/alerts.yaml` and `helm/weft/files/alerts.yaml`: the rules as Prometheus reads them.
pub(super) fn rules() -> String {
    let mut text =
        "# Written by `cargo xtask gen` from xtask/src/generate/alerts/table.rs. Change that, not this.\n".to_owned();
    text.push_str("groups:\n  - name: weft\n    rules:\n");
    for alert in ALERTS {
        text.push_str(&rule(alert));
    }
    text
}

fn rule(alert: &Alert) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "      - alert: {}", alert.name);
    let _ = writeln!(text, "        expr: {}", quoted(alert.expr));
    let _ = writeln!(text, "        for: {}", alert.lasts);
    let _ = writeln!(text, "        labels:\n          severity: {}", alert.severity.word());
    let _ = writeln!(text, "        annotations:\n          summary: {}", quoted(alert.summary));
    let _ = writeln!(text, "          description: {}", quoted(alert.todo));
    text
}

/// A text on one line of YAML, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `docs/reference/alerts.md`.
pub(super) fn page() -> String {
    let mut text = banner("`xtask/src/generate/alerts/table.rs`");
    text.push_str("# Alerts\n\nThe rules of [alerts.yaml](../../infra/compose/prometheus/alerts.yaml), and what to do when one fires. ");
    text.push_str("*critical*: calls fail now. *warning*: look at it today.\n\n");
    text.push_str("| alert | | fires after | when |\n|---|---|---|---|\n");
    for Alert { name, severity, lasts, summary, .. } in ALERTS {
        let _ = writeln!(
            text,
            "| [{name}](#{}) | {} | {lasts} | {} |",
            name.to_lowercase(),
            severity.word(),
            plain(summary)
        );
    }
    for Alert { name, expr, todo, .. } in ALERTS {
        let _ = write!(text, "\n## {name}\n\n{}\n\n```promql\n{expr}\n```\n", plain(todo));
    }
    text
}

/// A text without the braces in which Prometheus puts values: `{{ $labels.service }}` is `<service>`.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{ ") {
        let (value, after) = after.split_once(" }}").unwrap_or((after, ""));
        out.push_str(before);
        let value = value.trim_start_matches("$labels.");
        let _ = write!(out, "`<{}>`", if value.starts_with("$value") { "value" } else { value });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use weft_telemetry::names::{ALL, Kind};

    use super::*;

    /// The metrics that an expression asks for.
    fn asked(expr: &str) -> Vec<&str> {
        let words = expr.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        words
            .filter(|word| {
                word.starts_with("weft_") || word.starts_with("mcp_server") || word.starts_with("mcp_client")
            })
            .collect()
    }

    #[test]
    fn a_rule_asks_only_for_metrics_and_labels_that_exist() {
        for alert in ALERTS {
            let names = asked(alert.expr);
            assert!(!names.is_empty(), "{}", alert.name);
            for name in names {
                let bare = name.strip_suffix("_bucket").unwrap_or(name);
                let metric =
                    ALL.iter().find(|metric| metric.name == bare).unwrap_or_else(|| panic!("{}: {name}", alert.name));
                assert_eq!(bare != name, metric.kind == Kind::Histogram, "{}: {name}", alert.name);
                let counted = metric.kind == Kind::Counter;
                assert!(!counted || alert.expr.contains("rate(") || alert.expr.contains("increase("), "{}", alert.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_texts_say_what_and_what_to_do() {
        let names: HashSet<_> = ALERTS.iter().map(|alert| alert.name).collect();
        assert_eq!(names.len(), ALERTS.len());
        for Alert { name, summary, todo, .. } in ALERTS {
            assert!(name.starts_with("Weft") && summary.ends_with('.') && todo.ends_with('.'), "{name}");
            assert!(!plain(summary).contains('|'), "{name}: a bar ends a cell of the table");
        }
    }

    #[test]
    fn a_quote_in_a_text_does_not_end_it_and_braces_are_for_prometheus_alone() {
        assert_eq!(quoted("it's {{ $labels.x }}"), "'it''s {{ $labels.x }}'");
        assert_eq!(plain("{{ $labels.service }} took {{ $value | humanize }} s."), "`<service>` took `<value>` s.");
    }
}
