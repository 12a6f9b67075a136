//! Exchanges and connections as ALB logs them: 33 and 15 fields in ALB's order and quoting, one line
//! each.
//!
//! Names of listener, group and certificate file stand where ALB has ARNs. Times are seconds with three places, -1
//! when no target was sent the request. What clients sent is escaped as ALB does, so that no field
//! can end early.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::connection::ConnectionRecord;
use super::record::ExchangeRecord;
use super::time::write_seconds;
use crate::sockets::is_nowhere;

/// Longest text of one field, in bytes; the rest is cut.
const MAX_TEXT: usize = 4096;

/// Writes an exchange's line.
pub(super) fn write(out: &mut Vec<u8>, record: &ExchangeRecord<'_>) {
    let tls = record.tls;
    word(out, kind(record));
    time(out, record.time + record.duration);
    word(out, record.listener);
    match is_nowhere(record.client) {
        true => word(out, ""),
        false => push(out, format_args!("{} ", record.client)),
    }
    word(out, record.target.unwrap_or_default());
    times(out, record);
    status(out, Some(record.status));
    status(out, record.target_status);
    push(
        out,
        format_args!("{} {} ", record.bytes_in, record.bytes_out),
    );
    request(out, record);
    quoted(out, record.user_agent);
    word(out, tls.map_or("", |tls| tls.cipher));
    word(out, tls.map_or("", |tls| tls.version));
    word(out, record.target_group);
    quoted(out, record.trace_id);
    quoted(out, tls.map_or(&[][..], |tls| tls.server_name));
    quoted(out, tls.map_or("", |tls| tls.certificate).as_bytes());
    word(out, priority(record.rule));
    time(out, record.time);
    actions(out, record);
    quoted(out, record.location);
    quoted(
        out,
        record
            .reason
            .or(record.termination)
            .unwrap_or_default()
            .as_bytes(),
    );
    quoted(out, record.target.unwrap_or_default().as_bytes());
    match record.target_status {
        Some(status) => push(out, format_args!("\"{status}\" ")),
        None => quoted(out, b""),
    }
    let (tier, reason) = record.desync.map_or(("", ""), |verdict| {
        (verdict.tier.as_str(), verdict.reason.as_str())
    });
    quoted(out, tier.as_bytes());
    quoted(out, reason.as_bytes());
    push(out, format_args!("{} ", record.connection));
    quoted(out, record.rewritten_host);
    quoted(out, record.rewritten_path);
    quoted(out, transform(record).as_bytes());
    end(out);
}

/// Writes a connection's line.
pub(super) fn write_connection(out: &mut Vec<u8>, record: &ConnectionRecord<'_>) {
    let tls = record.tls.unwrap_or_default();
    let client = tls.client.as_ref();
    let (peer, local) = (record.client, record.local);
    time(out, record.time);
    let at_unix = is_nowhere(peer);
    match at_unix {
        true => out.extend_from_slice(b"- - - "),
        false => {
            let ip = peer.ip().to_canonical();
            push(out, format_args!("{ip} {} {} ", peer.port(), local.port()));
        }
    }
    word(out, protocol(tls.version));
    word(out, tls.cipher);
    match tls.handshake {
        Some(latency) => seconds(out, latency),
        None => word(out, ""),
    }
    quoted(out, client.map_or("", |client| client.subject).as_bytes());
    word(out, client.map_or("", |client| client.validity));
    word(out, client.map_or("", |client| client.serial));
    match (record.tls.is_some(), tls.failure) {
        (false, _) => word(out, ""),
        (true, None) => word(out, "Success"),
        (true, Some((reason, _))) => push(out, format_args!("Failed:{} ", reason.as_alb())),
    }
    push(out, format_args!("{} ", record.trace));
    word(out, tls.named_group);
    word(out, record.listener);
    match at_unix {
        true => word(out, ""),
        false => push(out, format_args!("{} ", local.ip().to_canonical())),
    }
    end(out);
}

/// The version as the connection log has it; the access log has its own way.
fn protocol(version: &str) -> &str {
    match version {
        "tlsv13" => "TLSv1.3",
        "tlsv12" => "TLSv1.2",
        _ => "",
    }
}

/// A line's end, in place of the blank after the last field.
fn end(out: &mut Vec<u8>) {
    out.pop();
    out.push(b'\n');
}

fn kind(record: &ExchangeRecord<'_>) -> &'static str {
    let is_tls = record.tls.is_some();
    match (record.target_status == Some(101), record.protocol, is_tls) {
        (true, _, true) => "wss",
        (true, _, false) => "ws",
        (false, "h2", true) if record.is_grpc => "grpcs",
        (false, "h2", _) => "h2",
        (false, _, true) => "https",
        (false, _, false) => "http",
    }
}

/// Until the request was sent, until the answer began, until the end.
fn times(out: &mut Vec<u8>, record: &ExchangeRecord<'_>) {
    let Some(sent) = record.sent else {
        return out.extend_from_slice(b"-1 -1 -1 ");
    };
    seconds(out, sent);
    match record.first_byte {
        Some(first_byte) => {
            seconds(out, first_byte);
            seconds(out, record.duration.saturating_sub(sent + first_byte));
        }
        None => out.extend_from_slice(b"-1 -1 "),
    }
}

fn seconds(out: &mut Vec<u8>, time: Duration) {
    push(
        out,
        format_args!("{}.{:03} ", time.as_secs(), time.subsec_millis()),
    );
}

/// `2018-07-02T22:23:00.186641Z`
fn time(out: &mut Vec<u8>, time: SystemTime) {
    write_seconds(out, time);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    push(out, format_args!(".{:06}Z ", since.subsec_micros()));
}

/// The status; 000 when the client got none.
fn status(out: &mut Vec<u8>, status: Option<u16>) {
    match status {
        Some(status) => push(out, format_args!("{status:03} ")),
        None => out.extend_from_slice(b"- "),
    }
}

/// `"GET http://host:port/path HTTP/1.1"`
fn request(out: &mut Vec<u8>, record: &ExchangeRecord<'_>) {
    let scheme = if record.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let version = match record.protocol {
        "h2" => "HTTP/2.0",
        "http/1.0" => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    out.push(b'"');
    if record.method.is_empty() {
        // The request line could not be read.
        push(out, format_args!("- {scheme}://-:{}- -\" ", record.port));
        return;
    }
    escape(out, record.method);
    push(out, format_args!(" {scheme}://"));
    escape(out, record.host);
    let has_port = match record.host.iter().rposition(|byte| *byte == b']') {
        Some(end) => record.host.len() > end + 1,
        None => record.host.contains(&b':'),
    };
    if !has_port {
        push(out, format_args!(":{}", record.port));
    }
    escape(out, record.path);
    push(out, format_args!(" {version}\" "));
}

/// 0 is the default action, -1 that no rule was looked at.
fn priority(rule: Option<&str>) -> &str {
    match rule {
        Some("default") => "0",
        Some(priority) => priority,
        None => "-1",
    }
}

/// In the order in which they were done.
fn actions(out: &mut Vec<u8>, record: &ExchangeRecord<'_>) {
    let reason = record.reason.unwrap_or_default();
    let action = record.action.unwrap_or_default();
    match (record.asks_for_token, action) {
        (true, _) if reason.starts_with("jwt-") => quoted(out, b"jwt-validation"),
        (true, "") | (false, _) => quoted(out, action.as_bytes()),
        (true, action) => push(out, format_args!("\"jwt-validation,{action}\" ")),
    }
}

fn transform(record: &ExchangeRecord<'_>) -> &'static str {
    let is_rewritten = !record.rewritten_host.is_empty() || !record.rewritten_path.is_empty();
    match (is_rewritten, record.reason) {
        (_, Some("rewrite-failed")) => "TransformReplaceError",
        (true, _) => "TransformSuccess",
        (false, _) => "",
    }
}

/// A word of ours and a blank.
fn word(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(if text.is_empty() { "-" } else { text }.as_bytes());
    out.push(b' ');
}

/// A text in quotes and a blank.
fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    match text.is_empty() {
        true => out.push(b'-'),
        false => escape(out, text),
    }
    out.extend_from_slice(b"\" ");
}

/// What would end a field or a line, and what is no visible ASCII, as `\xHH`.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text.iter().take(MAX_TEXT) {
        match byte {
            b'"' | b'\\' => push(out, format_args!("\\x{byte:02X}")),
            b' '..=b'~' => out.push(*byte),
            _ => push(out, format_args!("\\x{byte:02X}")),
        }
    }
}

/// Writing to a vector cannot fail.
fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}
