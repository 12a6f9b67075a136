//! Families of TLS that ends at listeners.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{MetricFamily, MetricType};

use super::{counter, family, gauge};
use crate::metrics::{Registry, TlsCounters, names};
use crate::snapshot::Snapshot;
use crate::tls::HandshakeReason;

/// Handshakes, failures, and when each certificate expires.
pub(super) fn handshakes(registry: &Registry, snapshot: &Snapshot) -> Vec<MetricFamily> {
    let mut done = Vec::new();
    let mut failed = Vec::new();
    for (name, counters) in &registry.listeners {
        let listener = ("listener", &**name);
        for (place, (protocol, session)) in TlsCounters::KINDS.into_iter().enumerate() {
            let count = counters.sum(|c| c.tls.handshakes(place));
            if count > 0 {
                let labels = [listener, ("protocol", protocol), ("session", session)];
                done.push(counter(&labels, count));
            }
        }
        for reason in HandshakeReason::ALL {
            let count = counters.sum(|c| c.tls.failed(reason));
            if count > 0 {
                failed.push(counter(&[listener, ("reason", reason.as_str())], count));
            }
        }
    }
    let mut expiry = Vec::new();
    for listener in snapshot.listeners() {
        let certificates = listener.tls.iter().flat_map(|tls| tls.shelf.certificates());
        for certificate in certificates {
            let file = certificate.cert.display().to_string();
            let labels = [("listener", &*listener.name), ("certificate", &file)];
            expiry.push(gauge(&labels, certificate.facts.not_after as f64));
        }
    }
    let help_expiry = "When the certificate expires, in seconds since 1970.";
    let help_refreshes = "Changed certificate files that were read again.";
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let refreshes = &registry.refreshes;
    let refreshes = vec![
        counter(&[("result", "ok")], read(&refreshes.taken)),
        counter(&[("result", "refused")], read(&refreshes.refused)),
    ];
    let counters = MetricType::COUNTER;
    vec![
        family(
            names::TLS_HANDSHAKES,
            "TLS handshakes done.",
            counters,
            done,
        ),
        family(
            names::TLS_FAILURES,
            "TLS handshakes that failed.",
            counters,
            failed,
        ),
        family(names::TLS_EXPIRY, help_expiry, MetricType::GAUGE, expiry),
        family(names::TLS_REFRESHES, help_refreshes, counters, refreshes),
    ]
}
