//! The ClientHello of TLS that passes through.

use lb::{ClientHello, ClientHelloProgress};

use super::{Body, outcome};

const WORDS: &[&[u8]] = &[
    b"\x16\x03\x01",
    b"\x00\x00",
    b"\x00\x10",
    b"\xfe\x0d",
    b"\x01\x00",
    b"\x02h2",
    b"app.test",
];

/// A ClientHello with a name and two protocols, in one record.
fn seed() -> Vec<u8> {
    let sni = [&[0, 0, 0, 13, 0, 11, 0, 0, 8][..], b"app.test"].concat();
    let alpn = [&[0, 16, 0, 14, 0, 12, 2][..], b"h2", &[8], b"http/1.1"].concat();
    let extensions = [sni, alpn].concat();
    let length = (extensions.len() as u16).to_be_bytes();
    let head = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    let body = [&head[..], &length, &extensions].concat();
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1, length[1], length[2], length[3]][..], &body].concat();
    let length = (message.len() as u16).to_be_bytes();
    [&[22, 3, 1][..], &length, &message].concat()
}

pub(super) fn body() -> Body {
    let whole = seed();
    assert!(matches!(
        ClientHello::read(&whole),
        Ok(ClientHelloProgress::Whole(_))
    ));
    let (first, second) = whole[5..].split_at(7);
    let cut = [first, second].map(|part| {
        let length = (part.len() as u16).to_be_bytes();
        [&[22, 3, 1], &length[..], part].concat()
    });
    Body {
        name: "client-hello",
        seeds: vec![whole, cut.concat()],
        words: WORDS,
        run: Box::new(run),
    }
}

fn run(input: &[u8]) -> u64 {
    let read = ClientHello::read(input);
    match &read {
        Ok(ClientHelloProgress::Needs(needed)) => assert!(*needed > input.len()),
        Ok(ClientHelloProgress::Whole(hello)) => {
            let name = hello.server_name.as_deref().unwrap_or_default();
            assert!(name.len() <= 255 && name.bytes().all(|byte| !byte.is_ascii_uppercase()));
            // What comes after it changes nothing.
            assert_eq!(ClientHello::read(&[input, b"x"].concat()), read);
        }
        Err(_) => {}
    }
    outcome(format!("{read:?}"))
}
