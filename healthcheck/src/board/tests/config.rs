//! Small configurations for the board's tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use conf::*;

/// The loopback target on a port.
pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Builds one configuration.
pub(super) struct ConfigText {
    span: Span,
    config: Config,
}

impl ConfigText {
    /// One tcp group (interval 5 s, thresholds 2, delay 30 s) behind one listener.
    pub(super) fn group(name: &str, ports: &[u16]) -> Self {
        Self::empty().and_group(name, ports)
    }

    /// One standalone tcp check (interval 10 s).
    pub(super) fn check(name: &str, port: u16, failure_threshold: u32) -> Self {
        let mut this = Self::empty();
        this.config.health_checks.push(HealthCheck {
            name: name.to_owned(),
            span: this.span,
            kind: HealthCheckKind::Endpoint(Endpoint {
                destination: Destination::Address(address(port)),
                http: None,
                interval: Duration::from_secs(10),
                failure_threshold,
                measure_latency: false,
            }),
            disabled: false,
            inverted: false,
        });
        this
    }

    /// Another such group.
    pub(super) fn and_group(mut self, name: &str, ports: &[u16]) -> Self {
        let index = GroupIdx(self.config.target_groups.len());
        let targets = ports.iter().map(|&port| target(self.span, port)).collect();
        self.config.target_groups.push(TargetGroup {
            name: name.to_owned(),
            span: self.span,
            protocol: GroupProtocol::Tcp,
            algorithm: Algorithm::RoundRobin,
            sticky_by_source: false,
            cookie: None,
            connection_id: None,
            targets,
            sources: conf::TargetSources::default(),
            deregistration_delay: Duration::from_secs(30),
            hold: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(60),
            tls: None,
            max_in_flight: 0,
            request_hash: None,
            retries: conf::Retries::default(),
            queue_timeout: Duration::ZERO,
            preserve_client_ip: false,
            proxy_out: conf::ProxyOut::default(),
            connection_termination: true,
            unhealthy_flows: conf::UnhealthyFlows::End,
            unhealthy_state_routing: one(),
            dns_failover: one(),
            passive_health: None,
            slow_start: Duration::ZERO,
            anomaly_mitigation: false,
            only_zone: None,
            health_check: TargetHealthCheck {
                proxy_protocol_out: conf::ProxyProtocol::Off,
                kind: TargetHealthCheckKind::Tcp(conf::TcpCheck::default()),
                port: None,
                interval: Duration::from_secs(5),
                fast_interval: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
                healthy_threshold: 2,
                unhealthy_threshold: 2,
            },
        });
        let listener = listener(self.span, name, index);
        self.config.listeners.push(listener);
        self
    }

    /// No listener uses the groups.
    pub(super) fn without_listener(mut self) -> Self {
        self.config.listeners.clear();
        self
    }

    /// Failed probes that make the targets unhealthy.
    pub(super) fn unhealthy_threshold(mut self, probes: u32) -> Self {
        for group in &mut self.config.target_groups {
            group.health_check.unhealthy_threshold = probes;
        }
        self
    }

    /// From one probe's start to the next one's.
    pub(super) fn interval(mut self, interval: Duration) -> Self {
        for group in &mut self.config.target_groups {
            group.health_check.interval = interval;
            group.health_check.fast_interval = interval;
        }
        self
    }

    /// The same while a state is in doubt.
    pub(super) fn fast_interval(mut self, interval: Duration) -> Self {
        for group in &mut self.config.target_groups {
            group.health_check.fast_interval = interval;
        }
        self
    }

    /// What traffic may do.
    pub(super) fn passive(mut self, passive: PassiveHealth) -> Self {
        for group in &mut self.config.target_groups {
            group.passive_health = Some(passive);
        }
        self
    }

    /// Who fails more than the others gets less.
    pub(super) fn anomaly_mitigation(mut self) -> Self {
        for group in &mut self.config.target_groups {
            group.algorithm = Algorithm::WeightedRandom;
            group.anomaly_mitigation = true;
        }
        self
    }

    /// Targets are in zone `a` or, from `port` on, in zone `b`; this process is in `a` and uses
    /// only that.
    pub(super) fn zone_from(mut self, port: u16) -> Self {
        for group in &mut self.config.target_groups {
            group.only_zone = Some("a".to_owned());
            for target in &mut group.targets {
                let zone = if target.address.port() < Some(port) {
                    "a"
                } else {
                    "b"
                };
                target.availability_zone = zone.to_owned();
            }
        }
        self
    }

    /// How long shares grow.
    pub(super) fn slow_start(mut self, slow_start: Duration) -> Self {
        for group in &mut self.config.target_groups {
            group.slow_start = slow_start;
        }
        self
    }

    /// The targets are probed at another port.
    pub(super) fn probed_at(mut self, port: u16) -> Self {
        for group in &mut self.config.target_groups {
            group.health_check.port = Some(port);
        }
        self
    }

    /// Every target's weight is its port, which tells identities apart in the table.
    pub(super) fn weights_by_port(mut self) -> Self {
        let groups = self.config.target_groups.iter_mut();
        for target in groups.flat_map(|group| &mut group.targets) {
            target.weight = target.address.port().unwrap();
        }
        self
    }

    /// The groups' deregistration delay.
    pub(super) fn delay(mut self, delay: Duration) -> Self {
        for group in &mut self.config.target_groups {
            group.deregistration_delay = delay;
        }
        self
    }

    /// How long flows of unhealthy targets go on.
    pub(super) fn draining(mut self, interval: Duration) -> Self {
        for group in &mut self.config.target_groups {
            group.unhealthy_flows = conf::UnhealthyFlows::EndAfter(interval);
        }
        self
    }

    /// The finished configuration.
    pub(super) fn build(self) -> Arc<Config> {
        Arc::new(self.config)
    }

    pub(super) fn empty() -> Self {
        let file = Sources::default().add(PathBuf::from("test.toml"), String::new());
        let span = Span::new(file, 0..0);
        let config = Config {
            profile: Profile::Local,
            state_dir: PathBuf::from("state"),
            admin: Admin {
                bind: Spanned::new(address(0), span),
                socket: PathBuf::from("admin.sock"),
                hosts: Vec::new(),
            },
            runtime: Runtime {
                workers: 1,
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
            dns: None,
        };
        Self { span, config }
    }
}

fn one() -> MinimumHealthy {
    MinimumHealthy {
        count: 1,
        percentage: 0,
    }
}

fn target(span: Span, port: u16) -> Target {
    Target {
        address: address(port).into(),
        span,
        weight: 1,
        availability_zone: String::new(),
        server_id: Box::default(),
        backup: false,
        max_in_flight: 0,
    }
}

fn listener(span: Span, name: &str, group: GroupIdx) -> Listener {
    Listener {
        name: name.to_owned(),
        span,
        unix: conf::UnixBinds::default(),
        binds: vec![Spanned::new(address(0), span)],
        protocol: ListenerProtocol::Tcp,
        advertise: Vec::new(),
        rules: Vec::new(),
        limits: Vec::new(),
        gate: conf::Gate::default(),
        default_action: Action::forward_to(group),
        max_connections: 0,
        backlog: 4096,
        max_connections_per_source: 0,
        proxy_in: conf::ProxyIn {
            mode: conf::ProxyInMode::Off,
            trusted: Vec::new(),
            timeout: Duration::ZERO,
        },
        idle_timeout: Duration::from_secs(60),
        header_timeout: Duration::from_secs(60),
        filter: Vec::new(),
        max_header_bytes: 65536,
        http2: true,
        client_keep_alive: Duration::from_secs(3600),
        http1_requests: u32::MAX,
        http2_requests: 10_000,
        max_request_body: 0,
        desync: conf::Desync::default(),
        header_edits: conf::HeaderEdits::default(),
        min_rate: 0,
        min_rate_window: Duration::from_secs(10),
        request_timeout: Duration::ZERO,
        error_pages: Vec::new(),
        tls: None,
        udp: conf::UdpSettings {
            idle_timeout: Duration::from_secs(120),
            unreplied_timeout: Duration::from_secs(10),
            responses: 0,
            max_flows_per_source: 0,
        },
    }
}
