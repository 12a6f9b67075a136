//! Addresses: where this process listens, and where targets do.
//!
//! Called by the resolvers of listeners, groups, checks, admin and DNS. Knows which addresses can
//! be bound and which can be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::scalar::{AddressFault, clipped, parse_address};
use crate::tree::{Reader, Scope};
use crate::{Address, Diagnostic, Spanned, Target, UnixName};

const UNIX_FORM: &str =
    "write its whole path: \"unix:/run/app.sock\"; or an abstract name: \"unix:@app\"";
const NOT_OPENED: &str = "no socket could be opened there";
const NOT_CONNECTED: &str = "every connect would fail, so it would never be healthy";
const FORM: &str = "write an IP address and a port: \"127.0.0.1:8080\" or \"[::1]:8080\"";

/// Unix sockets of a `bind` key.
pub(super) struct UnixNames {
    pub(super) names: Vec<Spanned<UnixName>>,
    /// False when bad ones were left out.
    pub(super) is_whole: bool,
}

/// Addresses of a listener's `bind` key, and Unix sockets. Bad ones are reported and left out.
pub(super) fn listener_binds(reader: &mut Reader<'_>) -> (Vec<Spanned<SocketAddr>>, UnixNames) {
    let texts = reader.texts("bind").into_iter();
    let is_unix =
        |text: &Spanned<&str>| matches!(parse_address(text.value), Err(AddressFault::UnixPath));
    let (unix, ip): (Vec<_>, Vec<_>) = texts.partition(is_unix);
    let scope = reader.scope();
    let ip = ip.into_iter().filter_map(|text| bind(text, scope));
    let written = unix.len();
    let unix = unix.into_iter().filter_map(|text| unix_bind(text, scope));
    let names: Vec<_> = unix.collect();
    let is_whole = names.len() == written;
    (ip.collect(), UnixNames { names, is_whole })
}

fn unix_bind(text: Spanned<&str>, scope: &Scope<'_>) -> Option<Spanned<UnixName>> {
    let address = unix_address(text, NOT_OPENED, scope)?;
    Some(Spanned::new(address.unix()?, text.span))
}

fn unix_address(text: Spanned<&str>, consequence: &str, scope: &Scope<'_>) -> Option<Address> {
    let read = text.value.parse::<Address>();
    if let Err(fault) = &read {
        let message = format!("`{}` is not a Unix socket: {fault}", clipped(text.value));
        scope.report(
            Diagnostic::error("bad-address", text.span, message)
                .consequence(consequence)
                .help(UNIX_FORM),
        );
    }
    read.ok()
}

/// Addresses of a `bind` key: one or a list. Bad ones are reported and left out.
pub(super) fn binds(reader: &mut Reader<'_>, key: &str) -> Vec<Spanned<SocketAddr>> {
    reader
        .texts(key)
        .into_iter()
        .filter_map(|text| bind(text, reader.scope()))
        .collect()
}

fn bind(text: Spanned<&str>, scope: &Scope<'_>) -> Option<Spanned<SocketAddr>> {
    let refuse = |message: String, help: String| {
        scope.report(
            Diagnostic::error("bad-address", text.span, message)
                .consequence(NOT_OPENED)
                .help(help),
        );
        None
    };
    let address = match parse_address(text.value) {
        Ok(address) => address,
        Err(fault) => {
            let message = format!("`{}` is not an address to listen on", text.value);
            return refuse(message, form(&fault, true));
        }
    };
    let message = format!("`{address}` is not an address of a machine");
    match address.ip() {
        ip if ip.is_multicast() || ip == Ipv4Addr::BROADCAST => refuse(message, FORM.to_owned()),
        ip if ip != ip.to_canonical() => {
            let plain = SocketAddr::new(ip.to_canonical(), address.port());
            let message = format!("`{address}` is an IPv4 address in IPv6 form");
            refuse(
                message,
                format!("write \"{plain}\": IPv6 sockets here take IPv6 only"),
            )
        }
        _ => Some(Spanned::new(address, text.span)),
    }
}

fn form(fault: &AddressFault, of_this_process: bool) -> String {
    match fault {
        AddressFault::NoPort(ip) => format!("add a port: \"{}\"", SocketAddr::new(*ip, 8080)),
        AddressFault::NoAddress(port) if of_this_process => {
            format!(
                "write \"127.0.0.1:{port}\" for this machine only, \"0.0.0.0:{port}\" and \"[::]:{port}\" for all"
            )
        }
        AddressFault::NoAddress(port) => {
            format!("write \"127.0.0.1:{port}\" if it is on this machine")
        }
        AddressFault::UnixPath | AddressFault::HostName | AddressFault::Malformed => {
            FORM.to_owned()
        }
    }
}

/// An address over IP to connect to. Names are for targets and `domain-name`, Unix sockets for
/// targets.
pub(super) fn destination(text: Spanned<&str>, scope: &Scope<'_>) -> Option<SocketAddr> {
    let address = match parse_address(text.value) {
        Ok(address) => address,
        Err(fault) => {
            scope.report(unreachable(text, &fault));
            return None;
        }
    };
    let fault = Target::unusable(address);
    let Some(fault) = fault else {
        return Some(address);
    };
    let help = if address.ip().is_unspecified() {
        "write the address the service is reached at, such as 127.0.0.1"
    } else {
        FORM
    };
    scope.report(bad(
        text,
        &format!("`{}` cannot be connected to: {fault}", text.value),
        help,
    ));
    None
}

/// A Unix socket to connect to.
pub(super) fn unix(text: Spanned<&str>, scope: &Scope<'_>) -> Option<Address> {
    unix_address(text, NOT_CONNECTED, scope)
}

fn unreachable(text: Spanned<&str>, fault: &AddressFault) -> Diagnostic {
    let shown = text.value;
    match fault {
        AddressFault::HostName => Diagnostic::error(
            "not-in-this-version",
            text.span,
            format!("the host name in `{shown}` is not served here by this version"),
        )
        .consequence("the name would not be looked up, so nothing would be reached")
        .help("write the IP address; targets and `domain-name` of a health check may be names"),
        AddressFault::UnixPath => Diagnostic::error(
            "bad-address",
            text.span,
            format!("`{shown}` is a Unix socket, which is not asked for this"),
        )
        .consequence("the socket would not be connected to")
        .help("write an IP address and a port; targets and listeners may be Unix sockets"),
        fault => bad(
            text,
            &format!("`{shown}` is not an address to connect to"),
            &form(fault, false),
        ),
    }
}

fn bad(text: Spanned<&str>, message: &str, help: &str) -> Diagnostic {
    Diagnostic::error("bad-address", text.span, message)
        .consequence(NOT_CONNECTED)
        .help(help)
}

/// IP addresses of an `advertise` key, each once.
pub(super) fn advertised(reader: &mut Reader<'_>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for text in reader.texts("advertise") {
        match text.value.parse::<IpAddr>() {
            Ok(ip) if is_host(ip) => {
                if !found.contains(&ip) {
                    found.push(ip);
                }
            }
            _ => reader.scope().report(
                Diagnostic::error(
                    "bad-address",
                    text.span,
                    format!("`{}` cannot be advertised", text.value),
                )
                .consequence("DNS would answer with an address nobody can connect to")
                .help("write IP addresses of this machine, without ports"),
            ),
        }
    }
    found
}

fn is_host(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && ip != Ipv4Addr::BROADCAST
}

/// A path to ask for: from `/`, without characters that would break the request line.
pub(super) fn request_path(reader: &mut Reader<'_>) -> String {
    let Some(path) = reader.text("path") else {
        return "/".to_owned();
    };
    // RFC 3986 section 3.3: HTTP/2 libraries refuse the others.
    let symbol = |b: u8| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b);
    let good = path.value.bytes().all(symbol);
    if !path.value.starts_with('/') || !good || path.value.len() > 1024 {
        reader.bad_value(
            path.span,
            format!("`{}` is not a path to ask for", clipped(path.value)),
            "start with `/`, percent-encode blanks and other special characters, keep to 1024 characters",
        );
    }
    path.value.to_owned()
}

/// A Host header.
pub(super) fn host_header(reader: &mut Reader<'_>) -> Option<String> {
    let host = reader.text("host")?;
    if !is_host_field(host.value) {
        reader.bad_value(
            host.span,
            format!("`{}` cannot be a Host header", clipped(host.value)),
            "write a host name or an address, with `:port` if need be; IPv6 addresses in brackets",
        );
        return None;
    }
    Some(host.value.to_owned())
}

/// `host`, `host:port`, `[address]` or `[address]:port` (RFC 9110 section 7.2).
fn is_host_field(text: &str) -> bool {
    let symbol = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let (good, rest) = match text.strip_prefix('[') {
        Some(text) => match text.split_once(']') {
            Some((address, rest)) => (address.parse::<Ipv6Addr>().is_ok(), rest),
            None => return false,
        },
        None => {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (!name.is_empty() && name.bytes().all(symbol), rest)
        }
    };
    let is_port = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    good && text.len() <= 255 && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}
