//! Host with the listener's port, as ELB writes it unless it is told to leave Host alone.

use std::net::SocketAddr;

use crate::l7::http1::{Forwarding, push_display, push_field};

/// Appends Host: the scheme's own port is taken away, another port is added where none is.
pub(super) fn write(out: &mut Vec<u8>, host: &str, forwarding: Forwarding<'_>) {
    let (name, port) = split(host);
    let default = default_port(forwarding.scheme);
    let shown = match port {
        Some(port) => Some(port),
        None => Some(forwarding.local.port()),
    };
    match shown.filter(|port| *port != default) {
        None => push_field(out, "Host", name.as_bytes()),
        Some(port) => {
            out.extend_from_slice(b"Host: ");
            out.extend_from_slice(name.as_bytes());
            push_display(out, format_args!(":{port}\r\n"));
        }
    }
}

/// Appends the address that the client used, for HTTP/1.0 clients that send no Host.
pub(super) fn write_own(out: &mut Vec<u8>, forwarding: Forwarding<'_>) {
    let local: SocketAddr = forwarding.local;
    push_display(out, format_args!("Host: {local}\r\n"));
}

/// The name, and the port if there is one; the codec has checked both.
fn split(host: &str) -> (&str, Option<u16>) {
    let colon = match host.rfind(']') {
        Some(end) => host
            .get(end + 1..)
            .and_then(|rest| rest.find(':'))
            .map(|at| end + 1 + at),
        None => host.find(':'),
    };
    match colon.and_then(|at| host.split_at_checked(at)) {
        Some((name, port)) => (name, port.get(1..).and_then(|port| port.parse().ok())),
        None => (host, None),
    }
}

fn default_port(scheme: &str) -> u16 {
    match scheme {
        "https" => 443,
        _ => 80,
    }
}
