//! A security policy as rustls understands it: exactly its protocols, suites and key exchange.

use std::sync::Arc;

use conf::TlsPolicy;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS, default_provider};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

/// The provider with nothing but what `policy` names, in the policy's order.
pub(super) fn provider(policy: &TlsPolicy) -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    provider.cipher_suites = policy
        .suites
        .iter()
        .filter_map(|number| suite(*number))
        .collect();
    provider.kx_groups = policy
        .groups
        .iter()
        .filter_map(|number| group(*number))
        .collect();
    Arc::new(provider)
}

/// The protocol versions of `policy`.
pub(super) fn versions(policy: &TlsPolicy) -> Vec<&'static SupportedProtocolVersion> {
    let all = [
        (policy.takes_tls13(), &TLS13),
        (policy.takes_tls12(), &TLS12),
    ];
    let taken = all.into_iter().filter(|(takes, _)| *takes);
    taken.map(|(_, version)| version).collect()
}

fn suite(number: u16) -> Option<SupportedCipherSuite> {
    let same = |suite: &&SupportedCipherSuite| u16::from(suite.suite()) == number;
    ALL_CIPHER_SUITES.iter().find(same).copied()
}

fn group(number: u16) -> Option<&'static dyn SupportedKxGroup> {
    let same = |group: &&&dyn SupportedKxGroup| u16::from(group.name()) == number;
    ALL_KX_GROUPS.iter().find(same).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_every_policy_is_known() {
        for policy in conf::tls_policies() {
            let provider = provider(policy);
            assert_eq!(
                provider.cipher_suites.len(),
                policy.suites.len(),
                "{}",
                policy.name
            );
            assert_eq!(
                provider.kx_groups.len(),
                policy.groups.len(),
                "{}",
                policy.name
            );
        }
    }
}
