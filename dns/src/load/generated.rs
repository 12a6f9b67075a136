//! SOA, NS and name-server addresses that a zone without a file does not have to give.
//!
//! A zone with a file is served as it is written: without an SOA record it is refused (as BIND,
//! NSD and Knot do), without NS records it is served with a warning (as NSD does).

use std::collections::BTreeSet;
use std::net::IpAddr;

use conf::{Diagnostic, Dns, RecordType, Span, Zone};

use super::{ParsedRecord, RoutedRecord};
use crate::name::{Name, NameError};
use crate::zonefile::Problems;
use crate::zonefile::problems::NOT_LOADED;

/// Refresh, retry and expire as a secondary would use them, in seconds.
const TIMERS: [u32; 3] = [7_200, 900, 1_209_600];
/// How long a negative answer may be cached, in seconds: names come and go on one machine.
const NEGATIVE_TTL: u32 = 10;

/// Adds what is missing at the apex, or reports it.
pub(super) fn complete(
    records: &mut Vec<ParsedRecord>,
    routed: &[RoutedRecord],
    origin: &Name,
    zone: &Zone,
    dns: &Dns,
    serial: u32,
    problems: &mut Problems,
) {
    let at_apex = |rtype: RecordType| {
        let mut found = records
            .iter()
            .filter(|record| record.rtype == rtype && record.owner == *origin);
        found.next().is_some()
    };
    let (has_soa, has_ns) = (at_apex(RecordType::SOA), at_apex(RecordType::NS));
    if let Some(file) = &zone.file {
        if !has_soa {
            refuse_without_soa(origin, file.span, problems);
        }
        if !has_ns {
            warn_without_ns(origin, file.span, problems);
        }
        return;
    }
    let maker = Maker {
        origin,
        ttl: dns.ttl,
        span: zone.span,
    };
    match maker.make(has_soa, has_ns, serial, dns, records, routed) {
        Ok(made) => records.extend(made),
        Err(why) => problems.push(Diagnostic::error(
            "zone-name",
            zone.name.span,
            format!("no name server can be named below {origin}: {why}"),
        )),
    }
}

fn refuse_without_soa(origin: &Name, span: Span, problems: &mut Problems) {
    // A record that could not be read may have been the one; its own error is enough.
    if problems.has_errors() {
        return;
    }
    problems.push(
        Diagnostic::error(
            "no-soa",
            span,
            format!("the zone {origin} has no SOA record"),
        )
        .consequence(NOT_LOADED)
        .help(format!(
            "begin the file with: @ SOA ns.{origin} hostmaster.{origin} 1 7200 900 1209600 300"
        )),
    );
}

fn warn_without_ns(origin: &Name, span: Span, problems: &mut Problems) {
    if problems.has_errors() {
        return;
    }
    problems.push(
        Diagnostic::warning("no-ns", span, format!("the zone {origin} has no NS record"))
            .consequence("it is served without one; BIND would refuse it")
            .help(format!("add: @ NS ns.{origin}")),
    );
}

struct Maker<'a> {
    origin: &'a Name,
    ttl: u32,
    span: Span,
}

impl Maker<'_> {
    fn make(
        &self,
        has_soa: bool,
        has_ns: bool,
        serial: u32,
        dns: &Dns,
        records: &[ParsedRecord],
        routed: &[RoutedRecord],
    ) -> Result<Vec<ParsedRecord>, NameError> {
        let server = self.origin.prepend(b"ns")?;
        let mut made = Vec::new();
        if !has_soa {
            let primary = self.first_ns(records)?.unwrap_or_else(|| server.clone());
            made.push(self.record(self.origin, RecordType::SOA, self.soa(&primary, serial)?));
        }
        if !has_ns {
            let data = server.as_wire().to_vec();
            made.push(self.record(self.origin, RecordType::NS, data));
            made.extend(self.addresses(&server, dns, records, routed));
        }
        Ok(made)
    }

    /// The target of the first NS record that the config file gives.
    fn first_ns(&self, records: &[ParsedRecord]) -> Result<Option<Name>, NameError> {
        let mut servers = records
            .iter()
            .filter(|record| record.rtype == RecordType::NS && record.owner == *self.origin);
        servers
            .next()
            .map(|record| Name::from_wire(&record.rdata))
            .transpose()
    }

    fn soa(&self, primary: &Name, serial: u32) -> Result<Vec<u8>, NameError> {
        let mailbox = self.origin.prepend(b"hostmaster")?;
        let mut data = [primary.as_wire(), mailbox.as_wire()].concat();
        let [refresh, retry, expire] = TIMERS;
        for number in [serial, refresh, retry, expire, NEGATIVE_TTL] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        Ok(data)
    }

    /// The addresses this server is bound to, under the generated name server's name, where
    /// nothing else stands there.
    fn addresses(
        &self,
        server: &Name,
        dns: &Dns,
        records: &[ParsedRecord],
        routed: &[RoutedRecord],
    ) -> Vec<ParsedRecord> {
        let taken = records.iter().any(|record| record.owner == *server)
            || routed.iter().any(|record| record.owner == *server);
        if taken {
            return Vec::new();
        }
        let bound: BTreeSet<IpAddr> = dns.binds.iter().map(|bind| bind.ip()).collect();
        let usable = bound.into_iter().filter(|ip| !ip.is_unspecified());
        usable
            .map(|ip| match ip {
                IpAddr::V4(v4) => self.record(server, RecordType::A, v4.octets().to_vec()),
                IpAddr::V6(v6) => self.record(server, RecordType::AAAA, v6.octets().to_vec()),
            })
            .collect()
    }

    fn record(&self, owner: &Name, rtype: RecordType, rdata: Vec<u8>) -> ParsedRecord {
        ParsedRecord {
            owner: owner.clone(),
            rtype,
            ttl: self.ttl,
            rdata: rdata.into_boxed_slice(),
            span: self.span,
        }
    }
}
