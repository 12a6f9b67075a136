use conf::{Diagnostic, Severity, Sources};
use proptest::prelude::*;

use super::reader::Place;
use super::scanner::{Entry, Scanner};
use super::*;

/// Records and problems of a text, as if it stood in a file of its own.
fn read_text(text: &[u8]) -> (ZoneText, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let file = sources.add("test.zone", input::as_text(text));
    let origin = Name::parse("example.test.", None).unwrap();
    let mut problems = Problems::default();
    let mut reader = Reader::new(&mut sources, &mut problems);
    let mut place = Place {
        file,
        origin,
        owner: reader::CurrentOwner::None,
    };
    reader.read_text(text, &mut place);
    let zone = reader.finish();
    (zone, problems.into_diagnostics(Span::new(file, 0..0)))
}

fn entries(text: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut scanner = Scanner::new(text);
    let mut entry = Entry::default();
    let mut found = Vec::new();
    while scanner.next_entry(&mut entry) {
        let tokens = entry.tokens.iter();
        found.push(tokens.map(|token| &text[token.start..token.end]).collect());
    }
    found
}

#[test]
fn entries_are_split_into_tokens() {
    let text = b"a b;c\n\n ( d ; e )\n f)g\"h;( \"\ni\\ j\\;k \\\"\n";
    let expected: Vec<Vec<&[u8]>> = vec![
        vec![b"a", b"b"],
        vec![b"d", b"f", b"g", b"h;( "],
        vec![b"i\\ j\\;k", b"\\\""],
    ];
    assert_eq!(entries(text), expected);
}

#[test]
fn glue_between_tokens_is_seen() {
    let text = b"a=\"b\"c \"d\"\"e\" f";
    let mut entry = Entry::default();
    assert!(Scanner::new(text).next_entry(&mut entry));
    let glued: Vec<bool> = entry.tokens.iter().map(|token| token.glued).collect();
    assert_eq!(glued, [false, true, true, false, true, false]);
}

#[test]
fn a_megabyte_of_anything_ends() {
    let patterns: &[&[u8]] = &[
        b"(",
        b"(\n",
        b"(\na ",
        b")",
        b"\"",
        b"\"\n",
        b"\"\\\"\n",
        b"a\"\n\\",
        b"\\",
        b"\\\n",
        b";",
        b"a (\nb",
        b"a TXT \"\n",
        b"a A 192.0.2.1\n",
        b"a TXT a ",
        b" TXT ( a",
        b"a NSEC a TYPE1 ",
        b"a.",
        b"$ORIGIN a\n",
        b"$TTL 1\n",
        b"$INCLUDE a\n",
        b"$GENERATE 1-2 a$ A 192.0.2.$\n",
        b"$GENERATE 0-2147483647 $ TXT $\n",
        b"\xff\xfe",
        b"\0",
    ];
    for pattern in patterns {
        let text = pattern.repeat((1 << 20) / pattern.len());
        let (zone, problems) = read_text(&text);
        assert!(zone.records.len() <= 1 << 21, "{pattern:?}");
        assert!(problems.len() <= 101, "{pattern:?}");
    }
}

#[test]
fn raw_bytes_keep_their_places() {
    let (zone, problems) = read_text(b"a TXT \"\xff\xff\xff\"\nb A x\n");
    assert_eq!(*zone.records[0].rdata, [3, 255, 255, 255]);
    assert_eq!(
        problems
            .last()
            .unwrap()
            .span
            .map(|span| (span.start, span.end)),
        Some((16, 17))
    );
}

/// Pieces that zone files are made of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static str> = vec![
        "a",
        "@",
        "b.c",
        " ",
        "\t",
        "\n",
        "\r\n",
        "(",
        ")",
        ";",
        "\"",
        "\\",
        "\\065",
        "IN",
        "CH",
        "300",
        "1h",
        "A",
        "192.0.2.1",
        "AAAA",
        "::1",
        "TXT",
        "NS",
        "SOA",
        "MX",
        "10",
        "\\#",
        "4",
        "C0000201",
        "TYPE1",
        "$ORIGIN",
        "$TTL",
        "$GENERATE",
        "1-3",
        "h$",
        "${0,3,x}",
        "HTTPS",
        "alpn=\"h2\"",
        "=",
        "LOC",
        "NSEC",
        "RRSIG",
        "20300101000000",
        "AQID",
        "CAA",
        "issue",
    ];
    prop_oneof![
        8 => proptest::sample::select(known).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_end(text in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        read_text(&text);
    }

    #[test]
    fn any_pieces_end_and_give_sound_records(pieces in proptest::collection::vec(piece(), 0..200)) {
        let mut text = Vec::new();
        for piece in pieces {
            text.extend_from_slice(&piece);
            text.push(b' ');
        }
        let (zone, problems) = read_text(&text);
        for record in &zone.records {
            prop_assert!(crate::rdata::is_valid(record.rtype, &record.rdata));
            prop_assert!(record.ttl <= record::MAX_TTL);
        }
        for problem in &problems {
            let span = problem.span.unwrap();
            prop_assert!(span.start <= span.end && span.end as usize <= text.len());
            prop_assert!(problem.severity == Severity::Warning || problem.consequence.is_some());
        }
    }

    #[test]
    fn what_is_shown_reads_back(pieces in proptest::collection::vec(piece(), 0..100)) {
        let text: Vec<u8> = pieces.join(&b' ');
        let (zone, _) = read_text(&text);
        let mut shown = String::new();
        for record in &zone.records {
            let data = crate::rdata::show(record.rtype, &record.rdata);
            shown += &format!("{} {} IN {} {data}\n", record.owner, record.ttl, record.rtype);
        }
        let (again, problems) = read_text(shown.as_bytes());
        prop_assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
        prop_assert_eq!(zone.records.len(), again.records.len());
        for (before, after) in zone.records.iter().zip(&again.records) {
            prop_assert_eq!(before.owner.as_wire(), after.owner.as_wire());
            prop_assert_eq!(&before.rdata, &after.rdata);
            prop_assert_eq!((before.ttl, before.rtype), (after.ttl, after.rtype));
        }
    }
}
