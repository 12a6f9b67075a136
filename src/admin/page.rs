//! `/`: one plain page that shows everything at a glance and renews itself every second.
//!
//! Made on the server from the same reports as the API; no script, no outside file, readable on a
//! phone. Everything that came from a file or the network is escaped, and the content policy allows
//! nothing but the page's own style.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::api::Status;
use super::api::controls::{self, ControlReport, ControlState, RuleReport};
use super::api::groups::{self, GroupReport};
use super::api::listeners::{self, ListenerReport};
use super::api::targets::{self, TargetReport};
use super::api::zones::{self, RecordReport, ZoneReport};
use super::state::{Admin, Shared, View};
use crate::moment;
use crate::run::Phase;

const STYLE: &str = include_str!("page.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
/// Rows of one table; a page is for people, the API has the rest.
const MAX_ROWS: usize = 200;

/// The handler.
pub(super) async fn show(State(admin): State<Shared>) -> Response {
    let view = admin.view();
    let (controls, rules) = controls::reports(&admin, &view).await;
    let controls = control_section(&controls, &rules);
    let page = render(&admin, &view, &controls);
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, Html(page)).into_response()
}

fn render(admin: &Admin, view: &View, controls: &str) -> String {
    let groups = groups::reports(admin, view);
    let mut body = heading(admin, view);
    body.push_str(&listener_table(&listeners::reports(admin, view, &groups)));
    for (report, group) in groups.iter().zip(&view.config.target_groups) {
        body.push_str(&group_section(
            report,
            &targets::reports(admin, view, group),
        ));
    }
    body.push_str(controls);
    for zone in &view.zones {
        let records = zone.records.iter().take(MAX_ROWS);
        let records = zones::record_reports(admin, view, records);
        body.push_str(&zone_section(&zones::report(admin, view, zone), &records));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"1\">\
         <title>Pointsman</title><style>{STYLE}</style></head><body>\n{body}</body></html>\n"
    )
}

fn heading(admin: &Admin, view: &View) -> String {
    let phase = match *admin.phase.borrow() {
        Phase::Serving if admin.is_ready() => badge(Status::Ok, "serving"),
        Phase::Serving => badge(Status::Warning, "first probes are running"),
        Phase::Stopping => badge(Status::Warning, "shutting down"),
    };
    format!(
        "<header><h1>Pointsman</h1> {phase}<p>generation {} of <code>{}</code>, up {}, {} workers, version {}</p></header>\n",
        view.generation,
        escape(&admin.file.display().to_string()),
        moment::seconds(admin.started.elapsed().as_secs()),
        admin.workers,
        env!("CARGO_PKG_VERSION"),
    )
}

fn listener_table(listeners: &[ListenerReport]) -> String {
    let columns = [
        "listener",
        "protocol",
        "address",
        "default action",
        "connections",
        "status",
    ];
    let rows = listeners.iter().map(|listener| {
        let addresses: Vec<String> = listener.bind.iter().map(ToString::to_string).collect();
        [
            escape(&listener.name),
            listener.protocol.to_owned(),
            addresses.join("<br>"),
            escape(&listener.default_action),
            listener.connections.to_string(),
            verdict(listener.status, &listener.reasons),
        ]
    });
    let rules: String = listeners.iter().map(rule_table).collect();
    format!(
        "<section><h2>Listeners</h2>{}{rules}</section>\n",
        table(&columns, rows)
    )
}

fn rule_table(listener: &ListenerReport) -> String {
    if listener.rules.is_empty() {
        return String::new();
    }
    let rows = listener.rules.iter().map(|rule| {
        [
            rule.priority.to_string(),
            escape(&rule.conditions.join(", ")),
            escape(&rule.action),
        ]
    });
    format!(
        "<h3>Rules of {}</h3>{}",
        escape(&listener.name),
        table(&["priority", "conditions", "action"], rows)
    )
}

fn group_section(group: &GroupReport, targets: &[TargetReport]) -> String {
    let columns = [
        "target",
        "state",
        "why",
        "for",
        "weight",
        "in flight",
        "selected",
    ];
    let rows = targets.iter().map(|target| {
        let reason = target.reason.unwrap_or_default();
        [
            target.address.to_string(),
            badge(target.status, target.state),
            format!("<b>{reason}</b> {}", escape(&target.description)),
            moment::seconds(target.for_seconds),
            target.weight.to_string(),
            target.in_flight.to_string(),
            target.selected.to_string(),
        ]
    });
    let check = &group.health_check;
    let path = check
        .path
        .as_deref()
        .map(|path| format!(" {}", escape(path)))
        .unwrap_or_default();
    format!(
        "<section><h2>{} {}</h2><p>{}, {}, {} of {} targets healthy; probed by {}{path} every {}</p>{}</section>\n",
        escape(&group.name),
        verdict(group.status, &group.reasons),
        group.protocol,
        group.algorithm,
        group.healthy,
        group.registered,
        check.protocol,
        check.interval,
        table(&columns, rows),
    )
}

fn control_section(controls: &[ControlReport], rules: &[RuleReport]) -> String {
    if controls.is_empty() {
        return String::new();
    }
    let rows = controls.iter().map(|control| {
        let state = match control.state {
            ControlState::On => badge(Status::Ok, "on"),
            ControlState::Off => badge(Status::Warning, "off"),
        };
        [
            escape(&control.name),
            state,
            escape(&control.since),
            escape(&control.safety_rules.join(", ")),
            escape(&control.used_by.join(", ")),
        ]
    });
    let columns = ["control", "state", "since", "guarded by", "used by"];
    let controls = table(&columns, rows);
    let rows = rules.iter().map(|rule| {
        let met = match rule.met {
            true => badge(Status::Ok, "met"),
            false => badge(Status::Warning, "not met"),
        };
        [escape(&rule.name), met, escape(&rule.description)]
    });
    let rules = match rules.is_empty() {
        true => String::new(),
        false => table(&["safety rule", "met", "asks"], rows),
    };
    format!("<section><h2>Routing controls</h2>{controls}{rules}</section>\n")
}

fn zone_section(zone: &ZoneReport, records: &[RecordReport]) -> String {
    let columns = ["name", "type", "policy", "ttl", "answers now"];
    let more = match zone.records.saturating_sub(records.len()) {
        0 => String::new(),
        more => format!(", and {more} more names: the API lists them all"),
    };
    let rows = records.iter().map(|record| {
        let answers: Vec<String> = record.answers.iter().map(|answer| escape(answer)).collect();
        [
            escape(&record.name),
            escape(&record.r#type),
            record.policy.to_owned(),
            record.ttl.to_string(),
            answers.join("<br>"),
        ]
    });
    format!(
        "<section><h2>{} {}</h2><p>serial {}{}</p>{}</section>\n",
        escape(&zone.name),
        verdict(zone.status, &zone.reasons),
        zone.serial,
        more,
        table(&columns, rows),
    )
}

/// A table; cells are markup already. On a narrow screen each cell shows its column's name.
fn table<const N: usize>(
    columns: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut text = String::from("<table><thead><tr>");
    for column in columns {
        // Writing into a String cannot fail.
        let _ = write!(text, "<th>{column}</th>");
    }
    text.push_str("</tr></thead><tbody>\n");
    let mut rows = rows.into_iter();
    for row in rows.by_ref().take(MAX_ROWS) {
        text.push_str("<tr>");
        for (column, cell) in columns.iter().zip(row) {
            let _ = write!(text, "<td data-column=\"{column}\">{cell}</td>");
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table>");
    let more = rows.count();
    if more > 0 {
        let _ = write!(text, "<p>and {more} more: the API lists them all</p>");
    }
    text
}

fn verdict(status: Status, reasons: &[String]) -> String {
    let reasons: Vec<String> = reasons.iter().map(|reason| escape(reason)).collect();
    format!(
        "{} <small>{}</small>",
        badge(status, status.as_str()),
        reasons.join("; ")
    )
}

fn badge(status: Status, text: &str) -> String {
    format!(
        "<span class=\"{}\">{}</span>",
        status.as_str(),
        escape(text)
    )
}

/// Text as HTML text or attribute value.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_texts_stays_text() {
        assert_eq!(
            escape("<script>\"a\" & 'b'</script>"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;"
        );
        let shown = verdict(Status::Error, &["<img src=x>".to_owned()]);
        assert!(!shown.contains("<img"), "{shown}");
    }

    #[test]
    fn long_tables_end_with_how_many_are_left() {
        let rows = (0..MAX_ROWS + 3).map(|n| [n.to_string()]);
        let text = table(&["n"], rows);
        assert_eq!(text.matches("<td").count(), MAX_ROWS);
        assert!(text.ends_with("<p>and 3 more: the API lists them all</p>"));
    }
}
