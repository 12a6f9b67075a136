//! `proxy-protocol-out` of a group, by ELB's name too, and what its headers tell.

use crate::tree::{Choice, Reader};
use crate::{Diagnostic, GroupProtocol, ProxyOptions, ProxyOut, ProxyProtocol};

/// The key of groups and of their health checks.
pub(super) const OUT: &str = "proxy-protocol-out";

/// ELB's name for version 2.
const V2: &str = "proxy-protocol-v2";

/// HAProxy's name for what version 2 headers tell.
const OPTIONS: &str = "proxy-v2-options";

/// Reads the keys of a group; `protocol` is `None` when it could not be read.
pub(super) fn out(reader: &mut Reader<'_>, protocol: Option<GroupProtocol>) -> ProxyOut {
    if let Some(protocol) = protocol.filter(|protocol| protocol.is_quic()) {
        let why = format!(
            "targets of a {} group get datagrams as they came, which is all that QUIC understands",
            protocol.as_str()
        );
        let help = "remove it, or use protocol `udp` or `tcp`, whose flows begin with a header";
        for key in [OUT, V2, OPTIONS] {
            reader.misplaced(key, &why, help);
        }
        return ProxyOut::default();
    }
    let version = version(reader);
    if let Some(protocol) = protocol.filter(|protocol| protocol.takes_datagrams())
        && version == ProxyProtocol::V1
        && let Some(span) = reader.key_span(OUT)
    {
        let message = format!("`{OUT}` of {} cannot be `v1`", reader.title());
        let problem = Diagnostic::error("bad-value", span, message)
            .consequence(format!(
                "version 1 knows TCP alone, and flows of a {} group are of datagrams",
                protocol.as_str()
            ))
            .help("write \"v2\"");
        reader.scope().report(problem);
    }
    let options = options(reader, version);
    ProxyOut { version, options }
}

fn version(reader: &mut Reader<'_>) -> ProxyProtocol {
    let version = match reader.choice(OUT, &ProxyProtocol::WORDS) {
        Choice::Is(found) => Some(found.value),
        _ => None,
    };
    let elb = reader.flag(V2);
    let by_elb = elb.map(|flag| match flag.value {
        true => ProxyProtocol::V2,
        false => ProxyProtocol::Off,
    });
    if let (Some(version), Some(other), Some(span)) = (version, by_elb, reader.key_span(V2))
        && version != other
    {
        let message = format!("`{V2}` and `{OUT}` of {} disagree", reader.title());
        let mut problem = Diagnostic::error("contradiction", span, message)
            .consequence("it would not be known what connections to the targets begin with")
            .help(format!(
                "remove `{V2}`: it is ELB's name for `{OUT} = \"v2\"`"
            ));
        if let Some(span) = reader.key_span(OUT) {
            problem = problem.related(span, "this says otherwise");
        }
        reader.scope().report(problem);
    }
    version.or(by_elb).unwrap_or_default()
}

fn options(reader: &mut Reader<'_>, version: ProxyProtocol) -> ProxyOptions {
    if version != ProxyProtocol::V2 && reader.has(OPTIONS) {
        let why = "only version 2 headers have room for more than addresses";
        let help = format!("remove it, or set `{OUT} = \"v2\"`");
        reader.misplaced(OPTIONS, why, &help);
    }
    let mut options = ProxyOptions::default();
    for word in reader.texts(OPTIONS) {
        match word.value {
            "authority" => options.authority = true,
            "unique-id" => options.unique_id = true,
            "crc32c" => options.crc32c = true,
            "ssl" => options.ssl = true,
            "cert-cn" => options.cert_cn = true,
            "ssl-cipher" => options.ssl_cipher = true,
            other => reader.bad_value(
                word.span,
                format!("`{OPTIONS}` of {} does not know `{other}`", reader.title()),
                "use `authority`, `unique-id`, `crc32c`, `ssl`, `cert-cn` and `ssl-cipher`; TLVs that came with the client's own header are passed on without being asked for",
            ),
        }
    }
    options
}
