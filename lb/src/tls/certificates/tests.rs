use rcgen::{CertificateParams, KeyPair};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;

use super::*;

const NOW: i64 = 1_000_000;

/// A certificate for `names`; what is written in it is as given, whatever its bytes say.
fn certificate(names: &[&str], key: KeyKind, valid: (i64, i64)) -> Arc<Certificate> {
    let algorithm = match key {
        KeyKind::Ecdsa => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
    };
    let pair = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::new(Vec::new()).unwrap();
    Arc::new(Certificate {
        cert: "cert.pem".into(),
        key: "key.pem".into(),
        span: conf::Span::default(),
        chain: vec![params.self_signed(&pair).unwrap().der().clone()],
        private_key: PrivateKeyDer::try_from(pair.serialize_der()).unwrap(),
        facts: CertificateFacts {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            not_before: valid.0,
            not_after: valid.1,
            key,
            key_bits: 256,
        },
        stamps: Default::default(),
    })
}

/// The place of what a client is shown.
fn shown(certificates: &Certificates, name: Option<&str>, schemes: &[SignatureScheme]) -> usize {
    let can_verify = |entry: &Entry| entry.key.key.choose_scheme(schemes).is_some();
    let chosen = certificates.choose(name, can_verify, NOW).unwrap();
    let same = |entry: &Entry| std::ptr::eq(entry, chosen);
    certificates.entries.iter().position(same).unwrap()
}

const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
const RSA: SignatureScheme = SignatureScheme::RSA_PSS_SHA256;
const VALID: (i64, i64) = (0, NOW + 10);

#[test]
fn the_name_decides_then_the_key_then_the_time() {
    let all = [
        certificate(&["default.test"], KeyKind::Rsa, VALID),
        certificate(&["app.test", "*.app.test"], KeyKind::Rsa, VALID),
        certificate(&["app.test"], KeyKind::Ecdsa, VALID),
        certificate(&["app.test"], KeyKind::Ecdsa, (0, NOW - 1)),
        certificate(&["one.app.test"], KeyKind::Ecdsa, (0, NOW - 1)),
        certificate(&["app.test"], KeyKind::Ecdsa, (0, NOW + 20)),
    ];
    let certificates = Certificates::new(&all).unwrap();
    let both = [RSA, ECDSA];
    for (name, schemes, expected) in [
        (None, &both[..], 0),
        (Some("other.test"), &both, 0),
        // Two valid ECDSA ones: the one that is valid longest.
        (Some("app.test"), &both, 5),
        (Some("APP.Test"), &both, 5),
        (Some("app.test"), &[RSA][..], 1),
        (Some("x.app.test"), &both, 1),
        // A wildcard stands for one label.
        (Some("y.x.app.test"), &both, 0),
        // Expired, but there is no other of that name: an exact name hides the wildcard.
        (Some("one.app.test"), &both, 4),
        // Nothing of that name that the client could verify: the default, as ELB.
        (Some("one.app.test"), &[RSA][..], 0),
    ] {
        assert_eq!(
            shown(&certificates, name, schemes),
            expected,
            "{name:?} {schemes:?}"
        );
    }
}

#[test]
fn before_tls_13_a_curve_the_client_does_not_name_is_not_used() {
    let facts = |key, key_bits| CertificateFacts {
        key,
        key_bits,
        ..certificate(&["a.test"], KeyKind::Ecdsa, VALID)
            .facts
            .clone()
    };
    let (p256, p384) = (NamedGroup::secp256r1, NamedGroup::secp384r1);
    let old = [CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
    let new = [old[0], CipherSuite::TLS13_AES_128_GCM_SHA256];
    let named = [NamedGroup::X25519, p256];
    assert_eq!(curves(&old, Some(&named)), Some(&named[..]));
    assert_eq!(curves(&new, Some(&named)), None);
    assert_eq!(curves(&old, None), None);
    assert!(is_on(&facts(KeyKind::Ecdsa, 256), &named));
    assert!(!is_on(&facts(KeyKind::Ecdsa, 384), &named));
    assert!(is_on(&facts(KeyKind::Ecdsa, 384), &[p384]));
    assert!(is_on(&facts(KeyKind::Rsa, 2048), &named));
}
