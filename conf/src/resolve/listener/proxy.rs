//! `proxy-protocol-in` of a listener, and whose headers it believes.

use std::net::SocketAddr;

use crate::resolve::defaults::Numbers;
use crate::resolve::{Sources, private};
use crate::tree::{Choice, Reader};
use crate::{Diagnostic, ListenerProtocol, ProxyIn, ProxyInMode, Spanned};

const IN: &str = "proxy-protocol-in";
const TRUSTED: &str = "trusted-proxies";
const TIMEOUT: &str = "proxy-protocol-timeout";

/// Reads the keys; `protocol` is `None` when it could not be read.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<ListenerProtocol>,
    binds: &[Spanned<SocketAddr>],
    sources: Sources<'_>,
    numbers: &Numbers,
) -> ProxyIn {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.takes_streams()) {
        let why = format!(
            "headers are read from connections, which a {} listener has none of",
            protocol.as_str()
        );
        for key in [IN, TRUSTED, TIMEOUT] {
            reader.misplaced(key, &why, "remove it");
        }
    }
    let choice = reader.choice(IN, &ProxyInMode::WORDS);
    // With a word that could not be read nothing can be said of the other keys.
    let is_known = matches!(choice, Choice::Absent | Choice::Is(_));
    let mode = choice.value_or(ProxyInMode::Off);
    // Of requests, who passes them on is believed in X-Forwarded-For without a PROXY header too.
    let reads_requests = protocol.is_none_or(ListenerProtocol::is_http);
    let unused = is_known && mode == ProxyInMode::Off && !reads_requests;
    if unused && !reader.is_empty_or_absent(TRUSTED) {
        let why = "senders are believed by their PROXY headers, and none is read";
        let help = format!("add `{IN} = \"required\"` or `\"optional\"`, or remove it");
        reader.misplaced(TRUSTED, why, &help);
    }
    let proxy_in = ProxyIn {
        mode,
        trusted: private::networks(reader, TRUSTED, sources.networks),
        timeout: reader.duration_or(TIMEOUT, &numbers.proxy_protocol_timeout),
    };
    if mode != ProxyInMode::Off && reader.is_empty_or_absent(TRUSTED) {
        believes_anybody(reader, binds);
    }
    proxy_in
}

/// Headers that anybody may send are a way to pass for anybody.
fn believes_anybody(reader: &Reader<'_>, binds: &[Spanned<SocketAddr>]) {
    let span = reader.key_span(IN).unwrap_or(reader.span());
    if let Some(bind) = binds.iter().find(|bind| !bind.value.ip().is_loopback()) {
        let message = format!("{} believes PROXY headers of everybody", reader.title());
        let warning = Diagnostic::warning("believes-everybody", span, message)
            .consequence("whoever reaches it can pass for any client address")
            .help(format!("name the proxies: `{TRUSTED} = [\"10.0.0.0/8\"]`"))
            .related(bind.span, "not a loopback address");
        reader.scope().report(warning);
    }
}
