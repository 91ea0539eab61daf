//! The console: the state of the mesh as one page, made on the server, without scripts, readable on a phone.

use std::fmt::Write as _;

use crate::{
    settings::Settings,
    status::{InstanceStatus, ServiceStatus, Status},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700}\
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1.5rem}\
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:baseline;border-bottom:1px solid var(--line);padding-bottom:.75rem}\
.facts{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}\
.fact{background:var(--soft);border-radius:.5rem;padding:.5rem .9rem}.fact b{display:block;font-size:1.25rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line)}\
th{font-weight:600}td.n{font-variant-numeric:tabular-nums}.wide{overflow-x:auto}th,td:first-child,td code{white-space:nowrap}td:last-child{overflow-wrap:anywhere}\
code{background:var(--soft);border-radius:.25rem;padding:.1rem .3rem;overflow-wrap:anywhere}\
.tag{border-radius:1rem;padding:.05rem .6rem;font-size:.85rem;border:1px solid currentColor}\
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}\
.tools{display:flex;flex-wrap:wrap;gap:.35rem;margin:.5rem 0;padding:0;list-style:none}";

/// The page.
pub(crate) fn page(status: &Status, settings: &Settings) -> String {
    let mut page = String::with_capacity(16 << 10);
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"5\"><title>Weft</title><style>{STYLE}</style>\
         <header><h1>Weft</h1><span>{}</span><span>version {}</span><span>up {}</span>{}</header>",
        escape(&settings.name),
        status.version,
        duration(status.uptime_seconds),
        if status.registry_stale { tag("warn", "registry away: last known set") } else { String::new() },
    );
    let tools: usize = status.services.iter().map(|service| service.tools.len()).sum();
    let facts = [
        ("services", status.services.len()),
        ("tools", tools),
        ("calls in flight", status.calls_in_flight),
        ("open streams", status.streams),
        ("sessions", status.sessions),
    ];
    page.push_str("<div class=\"facts\">");
    for (name, value) in facts {
        let _ = write!(page, "<div class=\"fact\"><b>{value}</b>{name}</div>");
    }
    page.push_str("</div>");
    if status.services.is_empty() {
        page.push_str("<p>No service has joined yet.</p>");
    }
    for service in &status.services {
        section(&mut page, service);
    }
    if !status.refused.is_empty() {
        page.push_str(
            "<h2>Names that are not shown to clients</h2><div class=\"wide\"><table><tr><th>service<th>name<th>why",
        );
        for refused in &status.refused {
            let (service, name, why) = (escape(&refused.service), escape(&refused.name), escape(&refused.why));
            let _ = write!(page, "<tr><td>{service}<td><code>{name}</code><td>{why}");
        }
        page.push_str("</table></div>");
    }
    page.push_str("<p><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/status\">status as JSON</a></p></html>");
    page
}

fn section(page: &mut String, service: &ServiceStatus) {
    let alive = service.instances.iter().any(|instance| instance.healthy);
    let state = match (alive, service.stale) {
        (true, false) => tag("good", "available"),
        (true, true) => tag("warn", "list is old"),
        (false, _) => tag("bad", "no instance"),
    };
    let _ = write!(page, "<h2>{} {state}</h2><div class=\"wide\"><table>", escape(&service.service));
    page.push_str("<tr><th>instance<th>address<th>version<th>health<th>breaker<th>in flight<th>latency<th>connections<th>identity");
    for instance in &service.instances {
        row(page, instance);
    }
    page.push_str("</table></div><ul class=\"tools\">");
    for tool in &service.tools {
        let kind = if tool.read_only { " title=\"read only\"" } else { " class=\"warn\" title=\"writes\"" };
        let _ = write!(page, "<li><code{kind}>{}</code>", escape(&tool.name));
    }
    page.push_str("</ul>");
}

fn row(page: &mut String, instance: &InstanceStatus) {
    let health = if instance.healthy { tag("good", "healthy") } else { tag("bad", "unhealthy") };
    let breaker = match instance.breaker {
        "admits" => tag("good", "admits"),
        "blocks" => tag("bad", "blocks"),
        other => tag("warn", other),
    };
    let identity = instance.identity.as_deref().map_or_else(|| "plain HTTP".to_owned(), escape);
    let _ = write!(
        page,
        "<tr><td>{}<td><code>{}</code><td>{}<td>{health}<td>{breaker}<td class=\"n\">{}<td class=\"n\">{:.2} ms<td class=\"n\">{}<td>{identity}",
        escape(&instance.id),
        escape(&instance.address),
        escape(&instance.version),
        instance.in_flight,
        instance.latency_ms,
        instance.connections,
    );
}

fn tag(class: &str, text: &str) -> String {
    format!("<span class=\"tag {class}\">{}</span>", escape(text))
}

/// Names come from servers: nothing of them may become markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_never_become_markup() {
        let status = Status {
            version: "0",
            uptime_seconds: 61,
            registry_stale: false,
            calls_in_flight: 0,
            streams: 0,
            sessions: 0,
            services: vec![ServiceStatus {
                service: "x".into(),
                stale: false,
                tools: vec![crate::status::ToolStatus {
                    name: "<script>alert(1)</script>".into(),
                    read_only: true,
                    idempotent: true,
                }],
                instances: Vec::new(),
            }],
            refused: Vec::new(),
        };
        let page = page(&status, &Settings::default());
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
        assert!(page.contains("no instance") && page.contains("1 min"));
    }
}
