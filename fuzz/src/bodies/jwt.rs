//! Tokens: none passes but the one that was signed, and nothing in one, or in a key set, panics.

use std::time::{Duration, UNIX_EPOCH};

use conf::{JwksLocation, JwtAlgorithm, JwtKeys, JwtValidation, parse_jwks};
use httparse::Header;
use lb::jwt::{KeySet, Validator};

use super::{Body, outcome, seeds};

/// The public key of TOKEN's signer, whose private key nobody has.
const SET: &str = include_str!("jwt/keys.json");
/// A token of it, good until 2100.
const TOKEN: &str = include_str!("jwt/token.txt");

#[expect(clippy::expect_used, reason = "the set stands beside this file")]
pub(super) fn token() -> Body {
    let settings = JwtValidation {
        issuer: "fuzz".to_owned(),
        keys: JwtKeys {
            location: JwksLocation::File("keys.json".into()),
            refresh: Duration::from_secs(1),
        },
        audience: Vec::new(),
        algorithms: JwtAlgorithm::ALL.map(|(_, algorithm)| algorithm).to_vec(),
        required_claims: Vec::new(),
        additional_claims: Vec::new(),
        leeway: Duration::ZERO,
    };
    let keys = parse_jwks(SET.as_bytes()).map(KeySet::new);
    let validator = Validator::with_keys(&settings, keys.expect("the set of this folder"));
    let good = format!("Bearer {}", TOKEN.trim());
    let run = move |input: &[u8]| {
        let fields = [Header {
            name: "Authorization",
            value: input,
        }];
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let checked = validator.check(&fields, now, 0);
        let token = |value: &[u8]| value.get(6..).map(|rest| rest.trim_ascii().to_vec());
        if checked.is_ok() {
            assert_eq!(
                token(input),
                token(good.as_bytes()),
                "a token nobody signed"
            );
        }
        outcome(checked)
    };
    Body {
        name: "jwt",
        seeds: seeds(&[
            &format!("Bearer {}", TOKEN.trim()),
            "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJmdXp6In0.",
            "bearer e30.e30.e30",
        ]),
        words: &[
            b"eyJhbGciOiJub25lIn0",
            b"eyJhbGciOiJIUzI1NiJ9",
            b"eyJhbGciOiJFUzI1NiJ9",
            b"e30",
            b".",
            b"=",
            b"Bearer ",
        ],
        run: Box::new(run),
    }
}

pub(super) fn jwks() -> Body {
    Body {
        name: "jwks",
        seeds: seeds(&[
            SET,
            "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AA\",\"e\":\"AQAB\"}]}",
        ]),
        words: &[
            b"\"kty\":\"EC\"",
            b"\"crv\":\"P-256\"",
            b"\"use\":\"enc\"",
            b"{\"keys\":[",
            b"AQAB",
        ],
        run: Box::new(|input| match parse_jwks(input) {
            Ok(keys) => {
                let count = keys.len();
                assert!(count > 0);
                drop(KeySet::new(keys));
                outcome(count)
            }
            Err(fault) => outcome(fault.len()),
        }),
    }
}
