//! `mutual-authentication`: clients that show certificates, as ELB has it.
//!
//! Reads the files that are named, so that whoever starts with a trust store nobody can be verified
//! by learns it then.

use std::sync::Arc;

use crate::section::Section;
use crate::tree::{Choice, Reader};
use crate::{
    ClientCertificates, ClientVerification, Diagnostic, ListenerProtocol, read_client_trust,
};

const KEY: &str = "mutual-authentication";
/// What only `verify` has.
const OF_VERIFY: [&str; 4] = ["trust-store", "crl", "advertise-ca-names", "ignore-expiry"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    Passthrough,
    Verify,
}

/// Reads the key of a listener at which TLS ends.
pub(super) fn read(outer: &mut Reader<'_>, protocol: ListenerProtocol) -> ClientCertificates {
    let Some(table) = outer.table(KEY) else {
        return ClientCertificates::Off;
    };
    let title = format!("`{KEY}` of {}", outer.title());
    let mut reader = Reader::new(outer.scope(), table, Section::MutualAuthentication, title);
    let help = "add `mode = \"verify\"` and `trust-store = \"clients-ca.pem\"`";
    reader.missing(
        "mode",
        "it would not be known what to do with certificates",
        help,
    );
    let words = [
        ("off", Mode::Off),
        ("passthrough", Mode::Passthrough),
        ("verify", Mode::Verify),
    ];
    let Choice::Is(mode) = reader.choice("mode", &words) else {
        for key in OF_VERIFY {
            reader.take(key);
        }
        reader.finish();
        return ClientCertificates::Off;
    };
    if mode.value == Mode::Verify {
        let verification = verification(&mut reader);
        reader.finish();
        return verification.map_or(ClientCertificates::Off, ClientCertificates::Verify);
    }
    for key in OF_VERIFY {
        let why = "certificates are verified with mode `verify` only";
        reader.misplaced_once(key, why, "write `mode = \"verify\"`, or remove it");
    }
    if mode.value == Mode::Passthrough && !protocol.is_http() {
        let message = format!("`{KEY}` of {} cannot be `passthrough`", outer.title());
        reader.scope().report(
            Diagnostic::error("mutual-authentication", mode.span, message)
                .consequence("certificates are passed on in header fields, and targets of a tls listener get none: nobody would look at them")
                .help("write `mode = \"verify\"`, or make the listener `https`"),
        );
    }
    reader.finish();
    match mode.value {
        Mode::Passthrough => ClientCertificates::Passthrough,
        _ => ClientCertificates::Off,
    }
}

fn verification(reader: &mut Reader<'_>) -> Option<ClientVerification> {
    reader.missing(
        "trust-store",
        "no client could be verified",
        "add `trust-store = \"clients-ca.pem\"`: the authorities that sign clients' certificates",
    );
    let store = reader.text("trust-store");
    let lists = reader.texts("crl");
    let advertise = reader.flag("advertise-ca-names");
    let ignore_expiry = reader.flag("ignore-expiry");
    let store = store?;
    let scope = reader.scope();
    let paths = lists.iter().map(|list| scope.path(list.value, list.span));
    let trust = read_client_trust(
        scope.path(store.value, store.span),
        paths.collect(),
        store.span,
    );
    match trust {
        Ok(trust) => Some(ClientVerification {
            trust: Arc::new(trust),
            advertise_ca_names: advertise.is_some_and(|flag| flag.value),
            ignore_expiry: ignore_expiry.is_some_and(|flag| flag.value),
        }),
        Err(fault) => {
            let list = fault.list.and_then(|index| lists.get(index));
            let span = list.map_or(store.span, |list| list.span);
            reader.scope().report(
                Diagnostic::error("bad-trust-store", span, fault.what)
                    .consequence("clients would be refused, or let in though they are revoked")
                    .help(fault.help),
            );
            None
        }
    }
}
