//! Certificates that clients show: what targets are told of them stays a list of header fields.

use std::path::Path;

use lb::ClientIdentity;

use super::{Body, outcome};

const WORDS: &[&[u8]] = &[
    b"\x06\x03\x55\x04\x03\x0c",
    b"\x06\x03\x55\x04\x0a\x1e\x04\xd8\x00\x00\x41",
    b"\x30\x82",
    b"\x17\x0d491231235959Z",
    b"\r\nX-Evil: yes\r\n",
    b"\x02\x01\x00",
];

pub(super) fn body() -> Body {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/tests/cases");
    let store = cases.join("mutual-authentication/ca.pem");
    let trust = conf::read_client_trust(store, Vec::new(), conf::Span::default());
    let seeds = trust.map(|trust| {
        let certificates = trust.certificates.iter();
        certificates.map(|one| one.as_ref().to_vec()).collect()
    });
    Body {
        name: "client-certificate",
        seeds: seeds.unwrap_or_else(|fault| panic!("{fault:?}")),
        words: WORDS,
        run: Box::new(|input| outcome([true, false].map(|verified| told(input, verified)))),
    }
}

/// How many fields there are.
fn told(input: &[u8], verified: bool) -> Option<usize> {
    let identity = ClientIdentity::new(&[input.to_vec().into()], verified)?;
    let fields = identity.fields();
    let text = String::from_utf8_lossy(fields);
    assert!(text.ends_with("\r\n"), "the last line ends");
    let whole = text.trim_end_matches("\r\n");
    for line in whole.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        assert!(name.starts_with("X-Amzn-Mtls-Clientcert"), "{name:?}");
        let clean = |byte: u8| matches!(byte, 0x20..=0x7e);
        assert!(value.bytes().all(clean), "{value:?}");
    }
    Some(whole.split("\r\n").count())
}
