//! What targets are told, of certificates made here.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};
use rustls::pki_types::CertificateDer;

use super::*;

fn certificate(parts: Vec<(DnType, &str)>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind, value);
    }
    params.serial_number = Some(SerialNumber::from(vec![0xfe, 0x01]));
    params.not_before = rcgen::date_time_ymd(2024, 2, 29);
    params.not_after = rcgen::date_time_ymd(2050, 1, 1);
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    made.der().clone()
}

fn fields(identity: &ClientIdentity) -> Vec<(String, String)> {
    let text = std::str::from_utf8(&identity.fields).unwrap();
    let lines = text.strip_suffix("\r\n").unwrap().split("\r\n");
    let pairs = lines.map(|line| line.split_once(": ").unwrap());
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn a_verified_client_is_told_of_as_elb_does() {
    let parts = vec![
        (DnType::CountryName, "DE"),
        (DnType::OrganizationName, "Müller, Söhne; \"GmbH\""),
        (DnType::CommonName, "#1 client\r\nX-Evil: yes "),
    ];
    let identity = ClientIdentity::new(&[certificate(parts)], true).unwrap();
    let name =
        "CN=\\#1 client\\0D\\0AX-Evil: yes\\ ,O=M\\C3\\BCller\\, S\\C3\\B6hne\\; \\\"GmbH\\\",C=DE";
    assert_eq!(&*identity.subject, name);
    let found = fields(&identity);
    let expected = [
        ("X-Amzn-Mtls-Clientcert-Serial-Number", "FE01"),
        ("X-Amzn-Mtls-Clientcert-Issuer", name),
        ("X-Amzn-Mtls-Clientcert-Subject", name),
        (
            "X-Amzn-Mtls-Clientcert-Validity",
            "NotBefore=2024-02-29T00:00:00Z;NotAfter=2050-01-01T00:00:00Z",
        ),
    ];
    for ((name, value), (wanted, text)) in found.iter().zip(expected) {
        assert_eq!((name.as_str(), value.as_str()), (wanted, text));
    }
    let (name, leaf) = found.last().unwrap();
    assert_eq!(name, "X-Amzn-Mtls-Clientcert-Leaf");
    assert!(
        leaf.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII"),
        "{leaf}"
    );
    assert!(
        leaf.ends_with("%0A-----END%20CERTIFICATE-----%0A"),
        "{leaf}"
    );
}

#[test]
fn what_is_passed_through_is_the_whole_chain() {
    let chain = ["one", "two"].map(|name| certificate(vec![(DnType::CommonName, name)]));
    let identity = ClientIdentity::new(&chain, false).unwrap();
    let [(name, value)] = &fields(&identity)[..] else {
        panic!("more than one field");
    };
    assert_eq!(name, "X-Amzn-Mtls-Clientcert");
    assert_eq!(value.matches("BEGIN%20CERTIFICATE").count(), 2);
    use rustls::pki_types::pem::PemObject;
    let text = value.replace("%20", " ").replace("%0A", "\n");
    let back: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    assert_eq!(back.unwrap(), chain);
}

#[test]
fn what_is_no_certificate_is_nobody() {
    let rubbish = [CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])];
    assert_eq!(ClientIdentity::new(&rubbish, false), None);
    assert_eq!(ClientIdentity::new(&[], true), None);
}
