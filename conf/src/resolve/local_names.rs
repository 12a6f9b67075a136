//! The names that the local CA signs for: those under which a listener is reached.
//!
//! `localhost`, the hosts that its rules ask for, and records that are aliases of it. Called once the
//! whole configuration is resolved.

use crate::{AliasTarget, Condition, Config, Listener, ListenerIdx, Pattern, SetData};

/// Names in one certificate: it is sent in each handshake.
const MAX_NAMES: usize = 100;

/// Fills the names in for every listener that the local CA signs for.
pub(super) fn fill(config: &mut Config) {
    let names = config
        .listeners
        .iter()
        .enumerate()
        .map(|(index, listener)| {
            let signed = listener
                .tls
                .as_ref()
                .is_some_and(|tls| tls.local_ca.is_some());
            signed.then(|| names(config, ListenerIdx(index), listener))
        });
    let names: Vec<_> = names.collect();
    for (listener, names) in config.listeners.iter_mut().zip(names) {
        if let (Some(tls), Some(names)) = (&mut listener.tls, names) {
            tls.local_ca = Some(names);
        }
    }
}

fn names(config: &Config, index: ListenerIdx, listener: &Listener) -> Vec<String> {
    let mut found = vec!["localhost".to_owned(), "*.localhost".to_owned()];
    let mut add = |name: &str| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if is_signable(&name) && !found.contains(&name) && found.len() < MAX_NAMES {
            found.push(name);
        }
    };
    for condition in listener.rules.iter().flat_map(|rule| &rule.conditions) {
        let Condition::Host(patterns) = condition else {
            continue;
        };
        for pattern in patterns {
            if let Pattern::Wildcard(text) = pattern {
                add(text);
            }
        }
    }
    for zone in config.dns.iter().flat_map(|dns| &dns.zones) {
        let origin = zone.name.value.trim_end_matches('.');
        for record in &zone.records {
            let leads_here = record.sets.iter().any(|set| match &set.data {
                SetData::Alias(alias) => alias.target == AliasTarget::Listener(index),
                _ => false,
            });
            let name = record.name.value.as_str();
            match name {
                _ if !leads_here => {}
                "@" => add(origin),
                _ if name.ends_with('.') => add(name),
                _ => add(&format!("{name}.{origin}")),
            }
        }
    }
    found
}

/// True for a name, or a wildcard for its first label, that a certificate can be for.
fn is_signable(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    !rest.is_empty() && rest.len() <= 253 && rest.split('.').all(is_label)
}
