//! What the demonstration says: what runs where, and what to try.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::services::Services;
use crate::run::Started;

/// The program as it was called, for commands to copy.
pub(super) fn program() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| "pointsman".to_owned())
}

/// What runs where and what to try.
pub(super) fn invitation(services: &Services, started: &Started, file: &Path) -> String {
    let mut text = String::from("\nPointsman demonstration. Ctrl-C ends it.\n\nSample services:\n");
    for service in &services.all {
        let (name, http, tcp, pid) = (&service.name, service.http, service.tcp, service.pid);
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {name:<6} http {http}   tcp {tcp}   pid {pid}");
    }
    text.push_str("\nTry, in another terminal:\n");
    for (command, meaning) in suggestions(services, started) {
        let _ = writeln!(text, "  {command:<58} # {meaning}");
    }
    let _ = writeln!(
        text,
        "\nThe page: http://{}/\nThe configuration: {} (edit it, then `{} reload{}`)\n",
        started.admin.tcp,
        file.display(),
        program(),
        admin_flag(started),
    );
    text
}

fn suggestions(services: &Services, started: &Started) -> Vec<(String, &'static str)> {
    let listener = |name: &str| {
        let found = started
            .listeners
            .iter()
            .find(|(listener, _, _)| listener == name);
        found.and_then(|(_, _, bound)| bound.first().copied())
    };
    let mut lines = Vec::new();
    if let Some(web) = listener("web") {
        lines.push((format!("curl http://{web}/"), "HTTP: the three take turns"));
    }
    if let Some(echo) = listener("echo").and_then(conf::Address::socket_addr) {
        let (ip, port) = (echo.ip(), echo.port());
        lines.push((format!("nc {ip} {port}"), "TCP: one greets you and echoes"));
    }
    if let Some(dns) = started.dns.first() {
        lines.extend(dns_suggestions(*dns));
    }
    let admin = started.admin.tcp;
    let (program, flag) = (program(), admin_flag(started));
    lines.push((format!("curl http://{admin}/metrics"), "Prometheus metrics"));
    lines.push((format!("{program} status{flag}"), "everything at a glance"));
    if let Some(first) = services.all.first() {
        let target = first.http;
        let about = "no new work for it; its address leaves DNS";
        lines.push((format!("{program} drain app {target}{flag}"), about));
        lines.push((format!("{program} undrain app {target}{flag}"), "and back"));
        let about = "it dies; no request fails, its names fail over";
        lines.push((format!("kill {}", first.pid), about));
    }
    lines
}

fn dns_suggestions(dns: SocketAddr) -> [(String, &'static str); 4] {
    let dig = |name| {
        let (ip, port) = (dns.ip(), dns.port());
        format!("dig +short @{ip} -p {port} {name}.example.test")
    };
    [
        (dig("app"), "DNS: the healthy targets' addresses"),
        (dig("www"), "DNS: the listener's address"),
        (dig("split"), "DNS: weighted, nine to one"),
        (dig("api"), "DNS: failover, service one first"),
    ]
}

/// ` --admin URL` when commands would not find this process by themselves.
fn admin_flag(started: &Started) -> String {
    match started.admin.tcp.port() {
        9901 => String::new(),
        _ => format!(" --admin http://{}", started.admin.tcp),
    }
}
