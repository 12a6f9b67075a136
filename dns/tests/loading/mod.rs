//! What tests of zone loading share: a configuration around zones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use conf::{
    AccessLog, Admin, Config, Diagnostic, Dns, Logs, Profile, Runtime, Severity, Sources, Span,
    Spanned, Zone,
};
use dns::Zones;

/// A configuration that holds zones and nothing else.
pub fn config(zones: Vec<Zone>, span: Span) -> Config {
    Config {
        profile: Profile::Local,
        state_dir: PathBuf::from("state"),
        admin: Admin {
            bind: Spanned::new("127.0.0.1:0".parse().unwrap(), span),
            socket: PathBuf::from("state/admin.sock"),
            hosts: Vec::new(),
        },
        runtime: Runtime {
            workers: 0,
            grace: Duration::ZERO,
            shutdown_delay: Duration::ZERO,
            health_memory: Duration::ZERO,
            max_probes: 64,
            availability_zone: String::new(),
            ticket_key_file: None,
            span: None,
        },
        logs: Logs {
            format: conf::LogFormat::Json,
            sample: 1,
            flow: None,
            flow_format: conf::LogFormat::Json,
            connection: conf::AccessLog::Off,
            connection_format: conf::LogFormat::Json,
            access: AccessLog::Off,
            health: AccessLog::Off,
            past_requests: 0,
        },
        listeners: Vec::new(),
        target_groups: Vec::new(),
        health_checks: Vec::new(),
        routing_controls: Vec::new(),
        safety_rules: Vec::new(),
        regions: Vec::new(),
        networks: Vec::new(),
        latencies: Vec::new(),
        tsig_keys: Vec::new(),
        cidr_collections: Vec::new(),
        dns: Some(Dns {
            forward_rules: Vec::new(),
            binds: vec![
                Spanned::new("127.0.0.1:5300".parse().unwrap(), span),
                Spanned::new("0.0.0.0:5301".parse().unwrap(), span),
            ],
            span: None,
            ttl: 10,
            tcp_idle_timeout: Duration::from_secs(10),
            tcp_max_connections: 10,
            home: None,
            geo_database: conf::GeoDatabase::BuiltIn,
            asn_database: None,
            ecs: Vec::new(),
            service: conf::DnsService::default(),
            zones,
        }),
    }
}

/// A zone `name` read from `path`.
pub fn zone_of_file(name: &str, path: &Path, span: Span) -> Zone {
    Zone {
        id: name.to_owned(),
        name: Spanned::new(name.to_owned(), span),
        name_from_file: false,
        file: Some(Spanned::new(path.to_owned(), span)),
        networks: Vec::new(),
        fallthrough: conf::Fallthrough::None,
        transfer: conf::Transfer {
            serial: conf::Serial::File,
            ..conf::Transfer::default()
        },
        records: Vec::new(),
        span,
    }
}

/// Zones of a configuration file that consists of `zones`.
pub fn load(zones: impl FnOnce(Span) -> Vec<Zone>) -> (Zones, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let file = sources.add("pointsman.toml", "[[zone]]\n");
    let span = Span::new(file, 0..8);
    let config = config(zones(span), span);
    let (zones, diagnostics) = dns::load_zones(&config, &mut sources);
    (zones, diagnostics, sources)
}

/// True when the configuration would be refused.
pub fn is_refused(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}
