//! Flows as AWS logs them: VPC flow log records of version 2, NLB's access log for TLS.
//!
//! A VPC flow log has a record for each direction: here one for what the client sent to the
//! listener and one for what it was sent. What has no counterpart (the account, the load balancer's
//! ARN) is `-`; the interface is the listener's name. Bytes are those of the flow, without headers.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::flow::{FlowKind, FlowRecord, SkippedRecord, TlsRecord};
use super::time::write_seconds;
use crate::sockets::is_nowhere;

/// Longest text that a client chose, in bytes (a server name has 255 at most).
const MAX_TEXT: usize = 256;

/// Writes a flow's lines.
pub(super) fn write(out: &mut Vec<u8>, record: &FlowRecord<'_>) {
    match &record.tls {
        Some(tls) => nlb(out, record, tls),
        None => vpc(out, record),
    }
}

fn vpc(out: &mut Vec<u8>, record: &FlowRecord<'_>) {
    let (inward, outward) = record.packets.unzip();
    let (client, local) = (record.client, record.local);
    vpc_line(out, record, (client, local), (inward, record.bytes_in));
    // No record for a direction in which nothing went.
    if !record.is_refused() && (outward != Some(0) || record.bytes_out > 0) {
        vpc_line(out, record, (local, client), (outward, record.bytes_out));
    }
}

fn vpc_line(
    out: &mut Vec<u8>,
    record: &FlowRecord<'_>,
    (from, to): (SocketAddr, SocketAddr),
    (packets, bytes): (Option<u64>, u64),
) {
    let start = seconds(record.time);
    let end = seconds(record.time + record.duration);
    // IANA protocol numbers.
    let protocol = if record.kind.is_stream() { 6 } else { 17 };
    let action = if record.is_refused() {
        "REJECT"
    } else {
        "ACCEPT"
    };
    let packets = packets.map_or("-".to_owned(), |packets| packets.to_string());
    let (source, destination) = (from.ip().to_canonical(), to.ip().to_canonical());
    let (source_port, destination_port) = (from.port(), to.port());
    let ends = match is_nowhere(record.client) {
        true => "- - - -".to_owned(),
        false => format!("{source} {destination} {source_port} {destination_port}"),
    };
    let listener = record.listener;
    // Writing to a vector cannot fail.
    let _ = writeln!(
        out,
        "2 - {listener} {ends} {protocol} {packets} {bytes} {start} {end} {action} OK"
    );
}

/// What was left out, in the record that VPC flow logs have for that.
pub(super) fn write_skipped(out: &mut Vec<u8>, record: &SkippedRecord<'_>) {
    let start = seconds(record.time);
    let end = seconds(record.time + record.duration);
    let listener = record.listener;
    // Writing to a vector cannot fail.
    let _ = writeln!(out, "2 - {listener} - - - - - - - {start} {end} - SKIPDATA");
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// NLB's 22 fields.
fn nlb(out: &mut Vec<u8>, record: &FlowRecord<'_>, tls: &TlsRecord<'_>) {
    debug_assert!(record.kind == FlowKind::Tls, "only TLS flows have TLS");
    out.extend_from_slice(b"tls 2.0 ");
    write_seconds(out, record.time + record.duration);
    let millis = record.duration.as_millis();
    let handshake = tls
        .handshake
        .map_or("-".to_owned(), |t| t.as_millis().to_string());
    // Writing to a vector cannot fail.
    let ends = match is_nowhere(record.client) {
        true => "- -".to_owned(),
        false => format!("{} {}", record.client, record.local),
    };
    let _ = write!(
        out,
        " - {} {ends} {millis} {handshake} {} {}",
        record.listener, record.bytes_in, record.bytes_out
    );
    let texts = [
        tls.alert.as_bytes(),
        tls.certificate.as_bytes(),
        // The serial number is reserved; NLB writes `-` too.
        b"",
        tls.cipher.as_bytes(),
        tls.version.as_bytes(),
        tls.named_group.as_bytes(),
        tls.server_name,
        tls.alpn,
        tls.target_alpn,
    ];
    for text in texts {
        out.push(b' ');
        write_text(out, text);
    }
    out.push(b' ');
    if tls.client_alpn.is_empty() {
        out.push(b'-');
    } else {
        out.push(b'"');
        write_text(out, tls.client_alpn);
        out.push(b'"');
    }
    out.push(b' ');
    write_seconds(out, record.time);
    out.push(b'\n');
}

/// A field; what would end it or the line becomes `_`.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        out.push(b'-');
    }
    let shown = text.iter().take(MAX_TEXT);
    out.extend(shown.map(|byte| match byte {
        b'!' | b'#'..=b'~' => *byte,
        _ => b'_',
    }));
}
