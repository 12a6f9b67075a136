use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use proptest::prelude::*;

use super::*;

/// Type and data as [`show`] writes it.
const EXAMPLES: &[(&str, &str)] = &[
    ("A", "192.0.2.1"),
    ("AAAA", "2001:db8::1"),
    ("NS", "ns.example.test."),
    ("CNAME", "a.example.test."),
    ("DNAME", "a.example.test."),
    ("PTR", "a.example.test."),
    ("MB", "a.example.test."),
    (
        "SOA",
        "ns.example.test. hostmaster.example.test. 1 7200 900 1209600 300",
    ),
    ("HINFO", "\"PC\" \"Linux\""),
    ("MINFO", "a.test. b.test."),
    ("RP", "a.test. b.test."),
    ("MX", "10 mail.example.test."),
    ("AFSDB", "1 a.test."),
    ("RT", "1 a.test."),
    ("KX", "1 a.test."),
    ("LP", "1 a.test."),
    ("PX", "1 a.test. b.test."),
    ("TXT", "\"a b\" \"\" \"\\\"quoted\\\\\" \"\\000\\255\""),
    ("TXT", "\"a b\" \"c;d\" \"\""),
    ("SPF", "\"v=spf1 -all\""),
    ("X25", "\"311061700956\""),
    ("ISDN", "\"150862028003217\" \"004\""),
    (
        "LOC",
        "51 30 12.748 N 0 7 39.611 W 0.00m 1.00m 10000.00m 10.00m",
    ),
    ("SRV", "1 2 5060 sip.example.test."),
    ("NAPTR", "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" ."),
    ("CERT", "1 0 8 AQID"),
    ("APL", "1:192.0.2.0/24 !2:2001:db8::/32 1:0.0.0.0/0"),
    ("DS", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    ("CDS", "0 0 0 00"),
    ("SSHFP", "4 1 123456789ABCDEF67890123456789ABCDEF67890"),
    ("IPSECKEY", "10 1 2 192.0.2.38 AQNRU3mG"),
    ("IPSECKEY", "10 3 2 gateway.test. AQNRU3mG"),
    ("IPSECKEY", "10 0 2 . AQNRU3mG"),
    (
        "RRSIG",
        "A 13 2 300 20300101000000 20200229235959 1 example.test. AQID",
    ),
    ("NSEC", "b.test. A MX RRSIG NSEC TYPE1234"),
    ("DNSKEY", "257 3 13 AQID"),
    ("CDNSKEY", "257 3 13 AQID"),
    ("DHCID", "AQID"),
    ("OPENPGPKEY", "AQID"),
    (
        "NSEC3",
        "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG",
    ),
    ("NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR"),
    ("NSEC3PARAM", "1 0 12 AABBCCDD"),
    (
        "TLSA",
        "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971",
    ),
    ("SMIMEA", "3 0 0 AABB"),
    ("CSYNC", "66 3 A NS AAAA"),
    ("ZONEMD", "2018031500 1 1 FEBE3D4CE2EC2FFA"),
    ("SVCB", "0 a.test."),
    (
        "SVCB",
        "16 a.test. mandatory=alpn,port alpn=\"h2,f\\\\\\\\oo\\\\,bar\" port=8443 key667=\"hello\\210qoo\"",
    ),
    ("HTTPS", "1 a.test. mandatory=alpn alpn=\"h2,h3\" port=8443"),
    (
        "HTTPS",
        "1 . no-default-alpn ipv4hint=192.0.2.1,192.0.2.2 ech=AQID ipv6hint=2001:db8::1 dohpath=\"/q{?dns}\" ohttp",
    ),
    ("NID", "10 0014:4fff:ff20:ee64"),
    ("L32", "10 10.1.2.0"),
    ("L64", "10 2001:0db8:1140:1000"),
    ("EUI48", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2a"),
    ("URI", "10 1 \"https://a.test/\""),
    ("CAA", "0 issue \"ca.example; policy=ev\""),
    ("AVC", "\"app-name:WOLFGANG\""),
    ("TYPE65280", "\\# 3 ABCDEF"),
    ("TYPE65280", "\\# 0"),
];

fn wire(rtype: &str, text: &str) -> Result<Box<[u8]>, RdataError> {
    let origin = Name::parse("example.test.", None).unwrap();
    parse(type_by_name(rtype).unwrap(), text.as_bytes(), &origin).map(|(data, _)| data)
}

fn error(rtype: &str, text: &str) -> String {
    wire(rtype, text).unwrap_err().message
}

#[test]
fn every_type_survives_text_and_wire() {
    for &(rtype, text) in EXAMPLES {
        let number = type_by_name(rtype).unwrap();
        let data = wire(rtype, text).unwrap_or_else(|error| panic!("{rtype} {text}: {error:?}"));
        assert!(is_valid(number, &data), "{rtype} {text}");
        assert_eq!(show(number, &data), text, "{rtype}");
        let generic = super::generic::show(&data);
        assert_eq!(wire(rtype, &generic).unwrap(), data, "{rtype} {generic}");
    }
}

#[test]
fn every_type_of_the_table_has_an_example() {
    for number in 0..=u16::MAX {
        let rtype = RecordType(number);
        let alike = [RecordType::MG, RecordType::MR, RecordType::DLV];
        if schema(rtype).is_some() && !alike.contains(&rtype) {
            let found = EXAMPLES
                .iter()
                .any(|&(name, _)| type_by_name(name) == Some(rtype));
            assert!(found, "{rtype}");
        }
    }
}

#[test]
fn hickory_makes_the_same_bytes() {
    let mut compared = 0;
    let mut different = Vec::new();
    for &(rtype, text) in EXAMPLES {
        let number = type_by_name(rtype).unwrap();
        // hickory 0.26 does not read decimal escapes as RFC 1035 section 5.1 has them.
        let escaped = text
            .as_bytes()
            .windows(2)
            .any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit());
        let theirs = hickory_proto::rr::RecordType::from(number.0);
        let Ok(parsed) = RData::try_from_str(theirs, text) else {
            continue;
        };
        if escaped {
            continue;
        }
        compared += 1;
        let mut bytes = Vec::new();
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        parsed.emit(&mut encoder).unwrap();
        if *wire(rtype, text).unwrap() != *bytes {
            different.push(format!("{rtype} {text}: {bytes:?}"));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert!(compared >= 18, "{compared}");
}

#[test]
fn names_are_found() {
    let found = |rtype: &str, text: &str| -> Vec<(String, bool)> {
        let data = wire(rtype, text).unwrap();
        names(type_by_name(rtype).unwrap(), &data)
            .into_iter()
            .map(|field| {
                let name = Name::from_wire(&data[field.start..field.end]).unwrap();
                (name.to_string(), field.compressible)
            })
            .collect()
    };
    let name = |text: &str, compressible: bool| (text.to_owned(), compressible);
    assert_eq!(found("NS", "a"), [name("a.example.test.", true)]);
    assert_eq!(
        found("SOA", "a. b. 1 2 3 4 5"),
        [name("a.", true), name("b.", true)]
    );
    assert_eq!(found("MX", "1 a.b."), [name("a.b.", true)]);
    assert_eq!(found("SRV", "1 2 3 a."), [name("a.", false)]);
    assert_eq!(found("NAPTR", "1 2 x y z a."), [name("a.", false)]);
    assert_eq!(found("HTTPS", "1 a. port=1"), [name("a.", false)]);
    assert_eq!(found("DNAME", "a."), [name("a.", false)]);
    assert_eq!(found("TXT", "a."), []);
    assert_eq!(found("TYPE999", "\\# 1 00"), []);
    assert_eq!(names(RecordType::MX, b"\0"), []);
}

#[test]
fn errors_name_the_token_and_what_was_expected() {
    assert_eq!(error("A", "1.2.3"), "`1.2.3` is not an IPv4 address");
    assert_eq!(
        error("A", ""),
        "the data ends early: an IPv4 address is missing"
    );
    assert_eq!(error("A", "192.0.2.1 x"), "`x` is more than A data has");
    assert_eq!(error("MX", "a b"), "`a` is not a number");
    assert_eq!(
        error("MX", "70000 b"),
        "`70000` is not in the range 0-65535"
    );
    assert_eq!(
        error("DS", "1 13 2 abc"),
        "`abc` is not the end of a whole number of bytes in hex"
    );
    assert_eq!(
        error("CNAME", "a..b"),
        "`a..b` is not a domain name: a label is empty (two dots in a row, or a dot at the start)"
    );
    assert_eq!(
        error("TYPE999", "1"),
        "the data of TYPE999 records can be read in RFC 3597 form only"
    );
    assert_eq!(error("TXT", "\"a"), "this quoted string does not end");
    let comment = wire("TXT", "v=DKIM1; p=x").unwrap_err();
    assert_eq!(comment.range, 7..12);
    assert!(comment.help.is_some());
    assert_eq!(
        wire("TXT", "\"a;b\"").unwrap(),
        wire("TXT", "a\\;b").unwrap()
    );
    let long = format!("\\# 70000 {}", "00".repeat(70_000));
    assert_eq!(
        error("TYPE999", &long),
        "the data takes 70000 bytes and may take 65535"
    );
}

#[test]
fn timestamps_are_dates_of_the_calendar() {
    let stamp = |text: &str| {
        let text = format!("A 13 2 300 {text} 0 1 . AQID");
        let data = wire("RRSIG", &text).unwrap();
        u32::from_be_bytes(data[8..12].try_into().unwrap())
    };
    assert_eq!(stamp("19700101000000"), 0);
    assert_eq!(stamp("20000229000001"), 951_782_401);
    assert_eq!(stamp("20380119031408"), 1 << 31);
    assert_eq!(stamp("951782401"), 951_782_401);
    for seconds in [
        0,
        951_782_399,
        951_782_400,
        951_868_800,
        4_102_444_799,
        u32::MAX,
    ] {
        assert_eq!(stamp(&number::show_timestamp(seconds)), seconds);
    }
}

fn any_type() -> impl Strategy<Value = RecordType> {
    (0..EXAMPLES.len()).prop_map(|index| type_by_name(EXAMPLES[index].0).unwrap())
}

/// Data of one type with some bytes changed, and the type.
fn nearly_valid() -> impl Strategy<Value = (RecordType, Vec<u8>)> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (0..EXAMPLES.len(), changes, any::<prop::sample::Index>()).prop_map(|(index, changes, cut)| {
        let (rtype, text) = EXAMPLES[index];
        let mut data = wire(rtype, text).unwrap().into_vec();
        for (place, byte) in changes {
            if !data.is_empty() {
                let at = place.index(data.len());
                data[at] = byte;
            }
        }
        if cut.index(4) == 0 {
            data.truncate(cut.index(data.len() + 1));
        }
        (type_by_name(rtype).unwrap(), data)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_can_be_shown_and_read_back((rtype, data) in nearly_valid()) {
        let text = show(rtype, &data);
        names(rtype, &data);
        match parse(rtype, text.as_bytes(), &Name::root()) {
            Ok((again, _)) => prop_assert_eq!(&*again, &*data, "{} {}", rtype, text),
            Err(error) => prop_assert!(!is_valid(rtype, &data), "{} {} {:?}", rtype, text, error),
        }
    }

    #[test]
    fn any_text_ends(rtype in any_type(), text in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((data, _)) = parse(rtype, &text, &Name::root()) {
            prop_assert!(is_valid(rtype, &data), "{} {:?}", rtype, text);
        }
    }

    #[test]
    fn changed_examples_end(
        index in 0..EXAMPLES.len(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (rtype, text) = EXAMPLES[index];
        let mut text = text.as_bytes().to_vec();
        let at = place.index(text.len());
        text[at] = byte;
        let rtype = type_by_name(rtype).unwrap();
        if let Ok((data, _)) = parse(rtype, &text, &Name::root()) {
            prop_assert!(is_valid(rtype, &data));
            let again = parse(rtype, show(rtype, &data).as_bytes(), &Name::root()).unwrap().0;
            prop_assert_eq!(again, data);
        }
    }
}
