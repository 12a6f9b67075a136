//! QUIC headers and the server IDs inside connection IDs.

use lb::l4::quic::{Header, ServerIdFormat};

use super::{Body, outcome};

const WORDS: &[&[u8]] = &[
    b"\x00\x00\x00\x01",
    b"Q046",
    b"Q050",
    b"\x00\x00\x00\x00",
    b"\x14",
    b"\x08",
];

/// One format of every kind: in clear text, one block, four passes with an odd and an even length.
fn formats() -> Vec<ServerIdFormat> {
    let format = |rotation, server_id_length, nonce_length, key| {
        ServerIdFormat::new(&conf::ServerIdFormat {
            rotation,
            server_id_length,
            nonce_length,
            key,
        })
    };
    let key = Some([7; 16]);
    vec![
        format(0, 8, 7, None),
        format(1, 8, 8, key),
        format(2, 3, 4, key),
        format(3, 10, 8, key),
        format(4, 15, 4, key),
    ]
}

pub(super) fn body() -> Body {
    let formats = formats();
    Body {
        name: "quic",
        seeds: vec![
            b"\xc3\x00\x00\x00\x01\x08\x01\x02\x03\x04\x05\x06\x07\x08\x04\x09\x09\x09\x09rest"
                .to_vec(),
            b"\x41\x00\x11\x22\x33\x44\x55\x66\x77\x88\x01\x02\x03\x04\x05\x06\x07rest".to_vec(),
            b"\x0812345678rest".to_vec(),
            b"\xc3Q046\x5012345678rest".to_vec(),
        ],
        words: WORDS,
        run: Box::new(move |input| run(&formats, input)),
    }
}

fn run(formats: &[ServerIdFormat], input: &[u8]) -> u64 {
    let Some(header) = Header::parse(input) else {
        return outcome(0);
    };
    if let Some(id) = header.fixed_id(8) {
        assert!(!id.is_empty() && contains(input, id));
    }
    let id = match header {
        Header::Long {
            destination,
            source,
            ..
        } => {
            assert!(contains(input, destination) && contains(input, source));
            destination
        }
        Header::Short { rest } => {
            assert_eq!(rest.len() + 1, input.len());
            rest
        }
    };
    let mut out = [0; 19];
    let found = formats.iter().enumerate();
    let found =
        found.filter_map(|(place, format)| Some((place, format.server_id(id, &mut out)?.len())));
    outcome((
        matches!(header, Header::Long { .. }),
        found.collect::<Vec<_>>(),
    ))
}

/// True when `part` is a slice of `whole`.
fn contains(whole: &[u8], part: &[u8]) -> bool {
    let (outer, inner) = (whole.as_ptr_range(), part.as_ptr_range());
    outer.start <= inner.start && inner.end <= outer.end
}
