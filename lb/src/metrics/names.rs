//! The names of this crate's metrics: scripts and dashboards rely on them.

pub(super) const REQUESTS: &str = "pointsman_requests_total";
pub(super) const REQUEST_DURATION: &str = "pointsman_request_duration_seconds";
pub(super) const CONNECTIONS_ACTIVE: &str = "pointsman_connections_active";
pub(super) const CONNECTIONS: &str = "pointsman_connections_total";
pub(super) const BYTES: &str = "pointsman_bytes_total";
pub(super) const FLOWS_ACTIVE: &str = "pointsman_flows_active";
pub(super) const FLOWS: &str = "pointsman_flows_total";
pub(super) const FLOW_RESETS: &str = "pointsman_flow_resets_total";
pub(super) const FLOWS_REJECTED: &str = "pointsman_flows_rejected_total";
pub(super) const PORT_ALLOCATION_ERRORS: &str = "pointsman_port_allocation_errors_total";
pub(super) const UDP_FLOWS_ACTIVE: &str = "pointsman_udp_flows_active";
pub(super) const UDP_FLOWS: &str = "pointsman_udp_flows_total";
pub(super) const UDP_FLOWS_ENDED: &str = "pointsman_udp_flows_ended_total";
pub(super) const UDP_DATAGRAMS: &str = "pointsman_udp_datagrams_total";
pub(super) const UDP_DROPPED: &str = "pointsman_udp_datagrams_dropped_total";
pub(super) const TLS_HANDSHAKES: &str = "pointsman_tls_handshakes_total";
pub(super) const TLS_FAILURES: &str = "pointsman_tls_handshake_failures_total";
pub(super) const TLS_EXPIRY: &str = "pointsman_tls_certificate_expiry_timestamp_seconds";
pub(super) const TLS_REFRESHES: &str = "pointsman_tls_certificate_reloads_total";
pub(super) const TARGET_IN_FLIGHT: &str = "pointsman_target_in_flight";
pub(super) const TARGET_SELECTED: &str = "pointsman_target_selected_total";
pub(super) const RETRIES: &str = "pointsman_retries_total";
pub(super) const REJECTED: &str = "pointsman_rejected_total";
pub(super) const ACCEPT_PAUSES: &str = "pointsman_accept_pauses_total";
pub(super) const LOG_DROPPED: &str = "pointsman_access_log_dropped_total";
pub(super) const SPLICE_PIPES: &str = "pointsman_splice_pipes";
