//! The Grafana dashboard, from the names the code itself uses: an overview that was thought about, and below it a panel for
//! every metric there is, so that a new one needs nobody to draw it.

use serde_json::{Value, json};
use weft_telemetry::names::{self, ALL, Kind, Metric};

/// What one panel shows.
struct Panel {
    title: String,
    description: &'static str,
    unit: &'static str,
    /// Query and legend.
    queries: Vec<(String, String)>,
}

/// The rows below the overview: title and what the names in them begin with. The first that fits takes a metric.
const ROWS: [(&str, &[&str]); 9] = [
    ("MCP", &["mcp_"]),
    ("Gateway", &["weft_gateway_"]),
    ("Servers", &["weft_service_"]),
    ("database", &["weft_database_"]),
    ("vectorstore", &["weft_vectorstore_"]),
    ("memory", &["weft_memory_"]),
    ("search", &["weft_search_"]),
    ("aiml", &["weft_aiml_"]),
    ("Processes", &["weft_"]),
];

/// Grafana's name for the Prometheus that its user chooses at the top: no two Grafanas call theirs the same.
const CHOSEN: &str = "${datasource}";

/// `infra/compose/grafana/dashboards/weft.json`, and the same for the chart.
pub(super) fn page() -> String {
    let mut drawn = Canvas::default();
    drawn.panels(&traffic());
    drawn.panels(&state());
    for (index, (title, _)) in ROWS.iter().enumerate() {
        let own: Vec<Panel> = ALL.iter().filter(|metric| row_of(metric) == Some(index)).map(of_metric).collect();
        drawn.row(title, &own);
    }
    let dashboard = json!({
        "uid": "weft-overview",
        "title": "Weft",
        "description": "Written by `cargo xtask gen` from libs/telemetry/src/names.rs. Change that, not this.",
        "tags": ["weft"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "refresh": "10s",
        "time": { "from": "now-1h", "to": "now" },
        "editable": true,
        "templating": { "list": [
            { "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1 },
        ] },
        "annotations": { "list": [] },
        "panels": drawn.drawn,
    });
    format!("{dashboard:#}\n")
}

fn row_of(metric: &Metric) -> Option<usize> {
    ROWS.iter().position(|(_, begins)| begins.iter().any(|begin| metric.name.starts_with(begin)))
}

fn panel(title: &str, description: &'static str, unit: &'static str, queries: Vec<(String, &str)>) -> Panel {
    let queries = queries.into_iter().map(|(query, legend)| (query, legend.to_owned())).collect();
    Panel { title: title.to_owned(), description, unit, queries }
}

fn rate(metric: &Metric, by: &str) -> String {
    format!("sum by ({by}) (rate({}[$__rate_interval]))", metric.name)
}

/// What the calls look like.
fn traffic() -> Vec<Panel> {
    let seconds = names::MCP_OPERATION_DURATION.name;
    let slow = |share: &str| {
        format!(
            "histogram_quantile({share}, sum by (le, service) (rate({seconds}_bucket{{at=\"gateway\"}}[$__rate_interval])))"
        )
    };
    let failed = format!(
        "sum by (service) (rate({calls}{{outcome!=\"ok\"}}[$__rate_interval])) / sum by (service) (rate({calls}[$__rate_interval]))",
        calls = names::GATEWAY_CALLS.name
    );
    vec![
        panel(
            "Calls",
            names::GATEWAY_CALLS.help,
            "reqps",
            vec![(rate(&names::GATEWAY_CALLS, "service"), "{{service}}")],
        ),
        panel(
            "Share of calls that failed",
            "Refusals and failures of servers and tools.",
            "percentunit",
            vec![(failed, "{{service}}")],
        ),
        panel(
            "Latency at the gateway, median",
            names::MCP_OPERATION_DURATION.help,
            "s",
            vec![(slow("0.5"), "{{service}}")],
        ),
        panel(
            "Latency at the gateway, 99th percentile",
            names::MCP_OPERATION_DURATION.help,
            "s",
            vec![(slow("0.99"), "{{service}}")],
        ),
        panel(
            "Retries and hedges",
            names::GATEWAY_RETRIES.help,
            "reqps",
            vec![
                (rate(&names::GATEWAY_RETRIES, "service"), "retries {{service}}"),
                (rate(&names::GATEWAY_HEDGES, "service"), "hedges {{service}}"),
            ],
        ),
    ]
}

/// What there is.
fn state() -> Vec<Panel> {
    let sum = |metric: &Metric| format!("sum({})", metric.name);
    vec![
        panel(
            "Instances",
            names::GATEWAY_INSTANCES.help,
            "short",
            vec![(format!("max by (service, state) ({})", names::GATEWAY_INSTANCES.name), "{{service}} {{state}}")],
        ),
        panel(
            "In flight",
            names::GATEWAY_IN_FLIGHT.help,
            "short",
            vec![
                (sum(&names::GATEWAY_IN_FLIGHT), "calls"),
                (sum(&names::GATEWAY_STREAMS), "streams"),
                (sum(&names::GATEWAY_HELD), "held"),
            ],
        ),
        panel(
            "Up",
            "Processes that Prometheus reaches.",
            "short",
            // Whatever has shown Weft's metrics lately, under whatever job it is scraped.
            vec![(
                format!(
                    "sum by (job, part) (up and on (job, instance) last_over_time({}[1d]))",
                    names::PROCESS_START_TIME.name
                ),
                "{{job}} {{part}}",
            )],
        ),
    ]
}

/// The panel that any metric gets.
fn of_metric(metric: &Metric) -> Panel {
    let legend: Vec<String> = metric.labels.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    let legend = if legend.is_empty() { metric.name.to_owned() } else { legend.join(" ") };
    let by = if metric.labels.is_empty() { String::new() } else { format!(" by ({})", metric.labels.join(", ")) };
    let (unit, queries) = match metric.kind {
        Kind::Counter => ("cps", vec![(format!("sum{by} (rate({}[$__rate_interval]))", metric.name), legend)]),
        Kind::Gauge => (unit(metric), vec![(format!("sum{by} ({})", metric.name), legend)]),
        Kind::Histogram => (unit(metric), quantiles(metric)),
    };
    Panel { title: title(metric), description: metric.help, unit, queries }
}

/// By two labels at most: more lines than that nobody can read.
fn quantiles(metric: &Metric) -> Vec<(String, String)> {
    let by: Vec<&str> = metric.labels.iter().copied().take(2).collect();
    let legend: Vec<String> = by.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    let labels: String = by.iter().map(|label| format!(", {label}")).collect();
    let query = |share: &str| {
        format!("histogram_quantile({share}, sum by (le{labels}) (rate({}_bucket[$__rate_interval])))", metric.name)
    };
    [("0.5", "median"), ("0.99", "99 %")]
        .into_iter()
        .map(|(share, word)| (query(share), format!("{word} {}", legend.join(" "))))
        .collect()
}

fn unit(metric: &Metric) -> &'static str {
    match metric.unit {
        "seconds" => "s",
        "seconds since the epoch" => "dateTimeFromNow",
        "bytes" => "bytes",
        _ => "short",
    }
}

/// `weft_gateway_tls_failures_total` → `tls failures`.
fn title(metric: &Metric) -> String {
    let begin = [
        "weft_gateway_",
        "weft_service_",
        "weft_database_",
        "weft_vectorstore_",
        "weft_memory_",
        "weft_search_",
        "weft_aiml_",
        "weft_",
    ];
    let name = begin.iter().find_map(|begin| metric.name.strip_prefix(begin)).unwrap_or(metric.name);
    let name = ["_total", "_seconds", "_bytes"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    name.replace('_', " ")
}

/// Panels in their places, three beside each other.
#[derive(Default)]
struct Canvas {
    drawn: Vec<Value>,
    /// The first free line.
    below: usize,
}

const WIDE: usize = 8;
const HIGH: usize = 8;

impl Canvas {
    fn row(&mut self, title: &str, panels: &[Panel]) {
        let place = json!({ "x": 0, "y": self.below, "w": 24, "h": 1 });
        let id = self.drawn.len() + 1;
        self.drawn.push(
            json!({ "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": place, "panels": [] }),
        );
        self.below += 1;
        self.panels(panels);
    }

    fn panels(&mut self, panels: &[Panel]) {
        for (index, panel) in panels.iter().enumerate() {
            let (x, y) = (index % 3 * WIDE, self.below + index / 3 * HIGH);
            let id = self.drawn.len() + 1;
            self.drawn.push(draw(panel, id, &json!({ "x": x, "y": y, "w": WIDE, "h": HIGH })));
        }
        self.below += panels.len().div_ceil(3) * HIGH;
    }
}

fn draw(panel: &Panel, id: usize, place: &Value) -> Value {
    let source = json!({ "type": "prometheus", "uid": CHOSEN });
    let target = |(index, (query, legend)): (usize, &(String, String))| {
        let letter = char::from(b'A' + u8::try_from(index).unwrap_or_default());
        json!({ "refId": letter, "expr": query, "legendFormat": legend, "datasource": source })
    };
    let targets: Vec<Value> = panel.queries.iter().enumerate().map(target).collect();
    json!({
        "id": id,
        "title": panel.title,
        "description": panel.description,
        "type": "timeseries",
        "datasource": source,
        "gridPos": place,
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "options": {
            "legend": { "displayMode": "list", "placement": "bottom" },
            "tooltip": { "mode": "multi" },
        },
        "targets": targets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_drawn_and_only_metrics_that_exist() {
        let page = page();
        for metric in ALL {
            assert!(row_of(metric).is_some() && page.contains(metric.name), "{}", metric.name);
        }
        let dashboard: Value = serde_json::from_str(&page).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        assert_eq!(panels.len(), traffic().len() + state().len() + ROWS.len() + ALL.len());
        let ids: std::collections::HashSet<_> = panels.iter().map(|panel| panel["id"].to_string()).collect();
        assert_eq!(ids.len(), panels.len());
    }

    #[test]
    fn a_dashboard_finds_any_prometheus_and_whatever_job_it_scrapes_with() {
        let dashboard: Value = serde_json::from_str(&page()).unwrap();
        assert_eq!(dashboard["templating"]["list"][0]["name"], "datasource");
        let panels = dashboard["panels"].as_array().unwrap().iter();
        for panel in panels.filter(|panel| panel["type"] != "row") {
            assert_eq!(panel["datasource"]["uid"], CHOSEN, "{panel}");
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                assert!(target["datasource"]["uid"] == CHOSEN && !query.contains("job="), "{query}");
            }
        }
    }

    #[test]
    fn a_title_is_the_name_without_what_is_said_elsewhere() {
        assert_eq!(title(&names::GATEWAY_TLS_FAILURES), "tls failures");
        assert_eq!(title(&names::MCP_OPERATION_DURATION), "mcp server operation duration");
    }
}
