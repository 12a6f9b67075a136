//! Probes of every protocol against scripted services on loopback: through the configuration, a
//! running board and its details, as users meet them.
#![expect(
    clippy::unwrap_used,
    reason = "a test: what is not as it must be ends it"
)]

mod agent;
mod exec;
mod grpc;
mod harness;
mod hostile;
mod http;
mod http2;
mod metric;
mod prometheus;
mod standalone;
mod table;
mod tls;
mod udp;
