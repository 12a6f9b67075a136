//! Every default and range, in one place: a column for each profile.
//!
//! `local` suits services on one machine; `aws` is what ELB and Route 53 document (their names in
//! the comments), so that a file tried here behaves the same there. Read by the resolvers; the
//! reference page of the documentation is written from this table.

use std::time::Duration;

use crate::scalar::Bytes;
use crate::tree::Limit;
use crate::{Profile, Trace};

/// The numbers of one profile.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// `[runtime] workers`: 0 = one per usable CPU.
    pub(crate) workers: Limit<u64>,
    /// `[runtime] grace`.
    pub(crate) grace: Limit<Duration>,
    /// `[runtime] shutdown-delay`.
    pub(crate) shutdown_delay: Limit<Duration>,
    /// `[runtime] health-memory`: 0 = off.
    pub(crate) health_memory: Limit<Duration>,
    /// `[runtime] max-probes`.
    pub(crate) max_probes: Limit<u64>,
    /// `max-connections`: 0 = only the file-descriptor budget.
    pub(crate) max_connections: Limit<u64>,
    /// `idle-timeout` of an `http` listener (ALB `idle_timeout.timeout_seconds`).
    pub(crate) http_idle_timeout: Limit<Duration>,
    /// `client-keep-alive` (ALB `client_keep_alive.seconds`).
    pub(crate) client_keep_alive: Limit<Duration>,
    /// `max-requests` (ALB: 10,000 over HTTP/2, fixed).
    pub(crate) max_requests: Limit<u64>,
    /// `idle-timeout` of a `tcp` listener (NLB `tcp.idle_timeout.seconds`).
    pub(crate) tcp_idle_timeout: Limit<Duration>,
    /// `udp-idle-timeout` (NLB: 120 s, fixed).
    pub(crate) udp_idle_timeout: Limit<Duration>,
    /// `udp-unreplied-timeout`; NLB keeps no such difference.
    pub(crate) udp_unreplied_timeout: Limit<Duration>,
    /// `udp-responses`: 0 = flows do not end by answers.
    pub(crate) udp_responses: Limit<u64>,
    /// `max-flows-per-source`: 0 = no limit of its own.
    pub(crate) max_flows_per_source: Limit<u64>,
    /// `tls-handshake-timeout` (ALB: 10 s on its side to targets).
    pub(crate) handshake_timeout: Limit<Duration>,
    /// `backlog`.
    pub(crate) backlog: Limit<u64>,
    /// `max-connections-per-source`: 0 = no limit of its own.
    pub(crate) max_connections_per_source: Limit<u64>,
    /// `max-in-flight`: 0 = any number.
    pub(crate) max_in_flight: Limit<u64>,
    /// `queue-timeout`.
    pub(crate) queue_timeout: Limit<Duration>,
    /// `proxy-protocol-timeout`.
    pub(crate) proxy_protocol_timeout: Limit<Duration>,
    /// `header-timeout`.
    pub(crate) header_timeout: Limit<Duration>,
    /// `max-header-bytes` (ALB: 64 KB for all headers).
    pub(crate) max_header_bytes: Limit<Bytes>,
    /// `max-request-body`: 0 = any size.
    pub(crate) max_request_body: Limit<Bytes>,
    /// `preserve-host-header` (ALB: off).
    pub(crate) preserve_host_header: bool,
    /// `trace` (ALB always writes its own field).
    pub(crate) trace: Trace,
    /// What rules may hold.
    pub(crate) rules: RuleLimits,
    /// `weight` of a target.
    pub(crate) target_weight: Limit<u64>,
    /// `deregistration-delay` (ELB `deregistration_delay.timeout_seconds`).
    pub(crate) deregistration_delay: Limit<Duration>,
    /// `hold`: how long a request waits for a target; ELB has no such thing.
    pub(crate) hold: Limit<Duration>,
    /// `connect-timeout` (ALB: 10 s, fixed).
    pub(crate) connect_timeout: Limit<Duration>,
    /// `response-timeout` (ALB: the idle timeout).
    pub(crate) response_timeout: Limit<Duration>,
    /// `connection-termination` (NLB `deregistration_delay.connection_termination.enabled`).
    pub(crate) connection_termination: bool,
    /// `count` of a threshold; 0 = off.
    pub(crate) healthy_count: Limit<u64>,
    /// `percentage` of a threshold; 0 = off.
    pub(crate) healthy_percentage: Limit<u64>,
    /// `slow-start`; 0 = off.
    pub(crate) slow_start: Limit<Duration>,
    /// The shortest `slow-start` there is besides 0.
    pub(crate) shortest_slow_start: Duration,
    /// What ELB does not take is refused, and cookies have AWS's names.
    pub(crate) as_elb: bool,
    /// What `passive-health` holds.
    pub(crate) passive: PassiveLimits,
    /// `interval` of a target health check (`HealthCheckIntervalSeconds`).
    pub(crate) interval: Limit<Duration>,
    /// `fast-interval` of a target health check; its default is `interval`.
    pub(crate) fast_interval: Limit<Duration>,
    /// `timeout` of a target health check that is HTTP in an `http` group.
    pub(crate) timeout: Limit<Duration>,
    /// Its default for an HTTP check of a `tcp` group (NLB).
    pub(crate) timeout_http_of_tcp: Duration,
    /// Its default for a TCP check, and for an HTTPS check of a `tcp` group (NLB).
    pub(crate) timeout_tcp: Duration,
    /// `healthy-threshold` (`HealthyThresholdCount`).
    pub(crate) healthy_threshold: Limit<u64>,
    /// `unhealthy-threshold` (`UnhealthyThresholdCount`).
    pub(crate) unhealthy_threshold: Limit<u64>,
    /// `interval` of a standalone check (Route 53 `RequestInterval`: 10 or 30 s).
    pub(crate) standalone_interval: Limit<Duration>,
    /// `failure-threshold` of a standalone check (Route 53 `FailureThreshold`).
    pub(crate) failure_threshold: Limit<u64>,
    /// `[dns] ttl`, and `ttl` of a record (RFC 2181 section 8); `aws`: ELB's 60 s.
    pub(crate) ttl: Limit<Duration>,
    /// `[dns] tcp-idle-timeout` (RFC 7766 section 6.2.3).
    pub(crate) dns_tcp_idle_timeout: Limit<Duration>,
    /// `[dns] tcp-max-connections`.
    pub(crate) dns_tcp_max_connections: Limit<u64>,
    /// `weight` of a set (Route 53 `Weight`).
    pub(crate) set_weight: Limit<u64>,
    /// `max-answers` of a multivalue record (Route 53: 8, fixed).
    pub(crate) max_answers: Limit<u64>,
}

/// What rules may hold. Structure and lengths are ELB's in both profiles; `aws` keeps to its quotas
/// and its idea of a host name too.
#[derive(Debug)]
pub(crate) struct RuleLimits {
    /// Rules of a listener (ELB: 100 for a load balancer).
    pub(crate) per_listener: usize,
    /// Values of one condition.
    pub(crate) values_per_condition: usize,
    /// Values of all conditions of a rule.
    pub(crate) values_per_rule: usize,
    /// `*` and `?` in all values of a rule.
    pub(crate) wildcards_per_rule: usize,
    /// Hosts need a dot with letters alone after the last one.
    pub(crate) strict_hosts: bool,
}

/// What `passive-health` may hold; the same in both profiles, as ELB has nothing like it. The
/// defaults are Envoy's but where the comment says otherwise.
#[derive(Debug)]
pub(crate) struct PassiveLimits {
    /// `consecutive-failures`; 0 = off.
    pub(crate) consecutive_failures: Limit<u64>,
    /// `failure-percentage`; 0 = off.
    pub(crate) failure_percentage: Limit<u64>,
    /// `success-rate-deviation` in thousandths; 0 = off.
    pub(crate) success_rate_deviation: u32,
    /// `minimum-requests`; Envoy has 100 where success rates are compared.
    pub(crate) minimum_requests: Limit<u64>,
    /// `minimum-targets`.
    pub(crate) minimum_targets: Limit<u64>,
    /// `max-ejected-percentage`; Envoy's 10 never lets go of two of four.
    pub(crate) max_ejected_percentage: Limit<u64>,
    /// `interval`.
    pub(crate) interval: Limit<Duration>,
    /// `base-ejection-time`.
    pub(crate) base_ejection_time: Limit<Duration>,
    /// `max-ejection-time`.
    pub(crate) max_ejection_time: Limit<Duration>,
    /// `ejection-jitter`; Envoy has none unless asked.
    pub(crate) ejection_jitter: Limit<Duration>,
}

impl Numbers {
    /// The column of a profile.
    pub(crate) fn of(profile: Profile) -> &'static Self {
        match profile {
            Profile::Local => &LOCAL,
            Profile::Aws => &AWS,
        }
    }
}

const ELB: &str = "ELB would refuse the value, and `defaults = \"aws\"` keeps to its ranges";
const ROUTE53: &str =
    "Route 53 would refuse the value, and `defaults = \"aws\"` keeps to its ranges";
const WAIT: &str = "shorter makes good connections fail, longer keeps dead ones";
const FLOW: &str = "shorter loses late answers, longer keeps the sockets of clients that are gone";
const PROBE: &str =
    "more often loads the targets for nothing, more seldom finds their death too late";
const STREAK: &str =
    "with none every result would flip the state; with more no state would ever change";

const EJECTION: &str = "shorter flaps, longer keeps targets away that have long been mended";

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

const HOUR: Duration = s(3600);
const WEEK: Duration = s(7 * 86_400);

const PASSIVE: PassiveLimits = PassiveLimits {
    consecutive_failures: limit(
        5,
        0,
        10_000,
        "no target fails so often before somebody looks",
    ),
    failure_percentage: limit(85, 0, 100, "there is no such share of the requests"),
    success_rate_deviation: 1900,
    minimum_requests: limit(
        50,
        1,
        1_000_000_000,
        "a share of no requests says nothing, and nobody gets so many within `interval`",
    ),
    minimum_targets: limit(5, 3, 10_000, "of two success rates neither is the outlier"),
    max_ejected_percentage: limit(
        50,
        1,
        100,
        "one target may be ejected in any case, and there are no more than all",
    ),
    interval: limit(s(10), ms(100), HOUR, EJECTION),
    base_ejection_time: limit(s(30), ms(100), HOUR, EJECTION),
    max_ejection_time: limit(s(300), ms(100), s(86_400), EJECTION),
    ejection_jitter: limit(s(2), s(0), HOUR, EJECTION),
};

const fn limit<T>(default: T, min: T, max: T, why: &'static str) -> Limit<T>
where
    T: Copy,
{
    Limit {
        default,
        min,
        max,
        why,
    }
}

const LOCAL: Numbers = Numbers {
    workers: limit(0, 0, 1024, "more threads than CPUs only take turns"),
    grace: limit(s(30), s(0), HOUR, "shutdown would seem to hang"),
    shutdown_delay: limit(s(0), s(0), HOUR, "shutdown would seem to hang"),
    health_memory: limit(
        s(600),
        s(0),
        s(86_400),
        "after so long a time nothing is as it was",
    ),
    max_probes: limit(1024, 1, 65_536, "each running probe holds a socket"),
    max_connections: limit(0, 0, 10_000_000, "no process may hold so many sockets"),
    http_idle_timeout: limit(s(60), ms(100), WEEK, WAIT),
    client_keep_alive: limit(
        HOUR,
        s(1),
        WEEK,
        "connections that live longer are never spread anew",
    ),
    max_requests: limit(
        10_000,
        1,
        1_000_000_000,
        "a connection brings one request at least, and is spread anew at last",
    ),
    tcp_idle_timeout: limit(s(350), ms(100), WEEK, WAIT),
    udp_idle_timeout: limit(s(120), ms(100), WEEK, FLOW),
    udp_unreplied_timeout: limit(s(10), ms(100), HOUR, FLOW),
    udp_responses: limit(
        0,
        0,
        1_000_000,
        "so many answers are a conversation: leave its end to `udp-idle-timeout`",
    ),
    max_flows_per_source: limit(0, 0, 1_000_000, "no process may hold so many sockets"),
    handshake_timeout: limit(s(10), ms(100), HOUR, WAIT),
    backlog: limit(
        4096,
        1,
        65_535,
        "the kernel keeps no more, and with none clients would be turned away",
    ),
    max_connections_per_source: limit(0, 0, 1_000_000, "no process may hold so many sockets"),
    max_in_flight: limit(0, 0, 1_000_000, "no process may hold so many sockets"),
    queue_timeout: limit(
        s(5),
        s(0),
        s(300),
        "clients give up before the wait is over",
    ),
    proxy_protocol_timeout: limit(s(5), ms(100), s(300), WAIT),
    header_timeout: limit(s(10), ms(100), HOUR, WAIT),
    max_header_bytes: limit(
        Bytes(64 << 10),
        Bytes(1 << 10),
        Bytes(1 << 20),
        "less refuses ordinary browsers, more lets a client fill the memory",
    ),
    max_request_body: limit(
        Bytes(0),
        Bytes(0),
        Bytes(1 << 50),
        "nobody sends so much in one request",
    ),
    preserve_host_header: true,
    trace: Trace::Off,
    rules: RuleLimits {
        per_listener: 1000,
        values_per_condition: 100,
        values_per_rule: 100,
        wildcards_per_rule: 100,
        strict_hosts: false,
    },
    target_weight: limit(
        1,
        0,
        1000,
        "weights are shares; larger ones make the turns too long",
    ),
    deregistration_delay: limit(
        s(30),
        s(0),
        HOUR,
        "deregistered targets would stay for too long",
    ),
    hold: limit(
        s(5),
        s(0),
        s(300),
        "clients give up before the wait is over",
    ),
    connect_timeout: limit(s(2), ms(100), s(300), WAIT),
    response_timeout: limit(s(60), ms(100), WEEK, WAIT),
    connection_termination: true,
    healthy_count: limit(1, 0, 10_000, "no group has so many targets"),
    healthy_percentage: limit(
        0,
        0,
        100,
        "there is no such share of the registered targets",
    ),
    slow_start: limit(
        s(0),
        s(0),
        HOUR,
        "a target would have less than its share for longer than anything takes to warm up",
    ),
    shortest_slow_start: ms(0),
    as_elb: false,
    passive: PASSIVE,
    interval: limit(s(5), ms(100), HOUR, PROBE),
    fast_interval: limit(s(5), ms(100), HOUR, PROBE),
    timeout: limit(s(2), ms(100), HOUR, PROBE),
    timeout_http_of_tcp: s(2),
    timeout_tcp: s(2),
    healthy_threshold: limit(2, 1, 100, STREAK),
    unhealthy_threshold: limit(2, 1, 100, STREAK),
    standalone_interval: limit(s(5), ms(100), HOUR, PROBE),
    failure_threshold: limit(2, 1, 100, STREAK),
    ttl: limit(
        s(10),
        s(0),
        s(2_147_483_647),
        "DNS carries TTLs of 31 bits (RFC 2181 section 8)",
    ),
    dns_tcp_idle_timeout: limit(s(10), ms(100), HOUR, WAIT),
    dns_tcp_max_connections: limit(1000, 1, 1_000_000, "no process may hold so many sockets"),
    set_weight: limit(0, 0, 255, "Route 53 weights have 8 bits"),
    max_answers: limit(8, 1, 64, "more addresses than a client will ever try"),
};

const AWS: Numbers = Numbers {
    http_idle_timeout: limit(s(60), s(1), s(4000), ELB),
    client_keep_alive: limit(HOUR, s(60), WEEK, ELB),
    tcp_idle_timeout: limit(s(350), s(60), s(6000), ELB),
    udp_idle_timeout: limit(s(120), s(120), s(120), ELB),
    deregistration_delay: limit(s(300), s(0), HOUR, ELB),
    hold: limit(s(0), s(0), s(300), LOCAL.hold.why),
    connect_timeout: limit(s(10), ms(100), s(300), WAIT),
    response_timeout: limit(s(60), s(1), s(4000), ELB),
    connection_termination: false,
    slow_start: limit(s(0), s(0), s(900), ELB),
    shortest_slow_start: s(30),
    preserve_host_header: false,
    trace: Trace::Amzn,
    as_elb: true,
    rules: RuleLimits {
        per_listener: 100,
        values_per_condition: 3,
        values_per_rule: 5,
        wildcards_per_rule: 5,
        strict_hosts: true,
    },
    interval: limit(s(30), s(5), s(300), ELB),
    timeout: limit(s(5), s(2), s(120), ELB),
    timeout_http_of_tcp: s(6),
    timeout_tcp: s(10),
    healthy_threshold: limit(5, 2, 10, ELB),
    unhealthy_threshold: limit(2, 2, 10, ELB),
    standalone_interval: limit(s(30), s(10), s(30), ROUTE53),
    failure_threshold: limit(3, 1, 10, ROUTE53),
    max_answers: limit(8, 8, 8, ROUTE53),
    ttl: limit(s(60), s(0), s(2_147_483_647), LOCAL.ttl.why),
    ..LOCAL
};
