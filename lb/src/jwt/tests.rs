//! Tokens good and bad, made with keys of our own.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use conf::{JwksLocation, JwtAlgorithm, JwtClaim, JwtClaimFormat, JwtKeys};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::time::Duration;

use super::*;

const NOW: u64 = 1_800_000_000;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// An issuer with one key of each kind.
struct Issuer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
}

impl Issuer {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    fn set(&self) -> Value {
        let rsa = self.rsa.public_key();
        let point = self.ec.public_key().as_ref();
        json!({ "keys": [
            { "kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256",
              "n": encode(rsa.modulus().big_endian_without_leading_zero()),
              "e": encode(rsa.exponent().big_endian_without_leading_zero()) },
            { "kty": "EC", "kid": "e", "crv": "P-256",
              "x": encode(&point[1..33]), "y": encode(&point[33..]) },
        ]})
    }

    fn keys(&self) -> KeySet {
        let set = serde_json::to_vec(&self.set()).unwrap();
        KeySet::new(conf::parse_jwks(&set).unwrap())
    }

    /// A token signed by the key for `alg`, whatever the header says.
    fn sign(&self, alg: JwtAlgorithm, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let random = SystemRandom::new();
        let signature = match alg {
            JwtAlgorithm::Rs256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa
                    .sign(
                        &RSA_PKCS1_SHA256,
                        &random,
                        signed.as_bytes(),
                        &mut signature,
                    )
                    .unwrap();
                signature
            }
            JwtAlgorithm::Es256 => {
                let signature = self.ec.sign(&random, signed.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
        };
        format!("{signed}.{}", encode(signature))
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": "e", "typ": "JWT" });
        self.sign(JwtAlgorithm::Es256, &header, claims)
    }
}

fn settings() -> JwtValidation {
    JwtValidation {
        issuer: "https://issuer.test/".to_owned(),
        keys: JwtKeys {
            location: JwksLocation::File("keys.json".into()),
            refresh: Duration::from_secs(300),
        },
        audience: Vec::new(),
        algorithms: JwtAlgorithm::ALL.map(|(_, algorithm)| algorithm).to_vec(),
        required_claims: Vec::new(),
        additional_claims: Vec::new(),
        leeway: Duration::from_secs(30),
    }
}

fn claims(more: Value) -> Value {
    let mut claims = json!({ "iss": "https://issuer.test/", "exp": NOW + 60 });
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    claims
}

fn check(validator: &Validator, value: &str, now: u64) -> Result<(), TokenFault> {
    let fields = [Header {
        name: "authorization",
        value: value.as_bytes(),
    }];
    validator.check(&fields, UNIX_EPOCH + Duration::from_secs(now), 0)
}

fn verdict(validator: &Validator, token: &str) -> Result<(), TokenFault> {
    check(validator, &format!("Bearer {token}"), NOW)
}

#[test]
fn signatures_count_only_under_the_algorithm_of_their_key() {
    use JwtAlgorithm::{Es256, Rs256};
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let validator = Validator::with_keys(&settings(), issuer.keys());
    let good = claims(json!({}));
    let sign = |alg, header: Value| issuer.sign(alg, &header, &good);
    let of = |token: &str| verdict(&validator, token);
    assert_eq!(
        of(&sign(Rs256, json!({"alg": "RS256", "kid": "r"}))),
        Ok(())
    );
    assert_eq!(
        of(&sign(Es256, json!({"alg": "ES256", "kid": "e"}))),
        Ok(())
    );
    assert_eq!(of(&sign(Es256, json!({"alg": "ES256"}))), Ok(()));
    // The key decides what kind of signature it is.
    let confused = sign(Rs256, json!({"alg": "ES256", "kid": "r"}));
    assert_eq!(of(&confused), Err(TokenFault::UnknownKey));
    assert_eq!(
        of(&sign(Rs256, json!({"alg": "ES256"}))),
        Err(TokenFault::Signature)
    );
    for alg in ["none", "None", "HS256", "RS512", "PS256", "EdDSA", ""] {
        let token = sign(Es256, json!({"alg": alg, "kid": "e"}));
        assert_eq!(of(&token), Err(TokenFault::Algorithm), "{alg}");
    }
    let other = sign(Es256, json!({"alg": "ES256", "kid": "f"}));
    assert_eq!(of(&other), Err(TokenFault::UnknownKey));
    let foreign = stranger.token(&good);
    assert_eq!(of(&foreign), Err(TokenFault::Signature));
    let critical = sign(
        Es256,
        json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
    );
    assert_eq!(of(&critical), Err(TokenFault::Extension));
    // HMAC with the public key as the secret: the classic confusion.
    let signed = format!(
        "{}.{}",
        encode(r#"{"alg":"HS256"}"#),
        encode(good.to_string())
    );
    let secret = issuer.set().to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
    assert_eq!(of(&format!("{signed}.{tag}")), Err(TokenFault::Algorithm));
    let only = JwtValidation {
        algorithms: vec![Rs256],
        ..settings()
    };
    let only = Validator::with_keys(&only, issuer.keys());
    assert_eq!(
        verdict(&only, &issuer.token(&good)),
        Err(TokenFault::Algorithm)
    );
}

#[test]
fn any_change_makes_a_token_bad() {
    let issuer = Issuer::new();
    let validator = Validator::with_keys(&settings(), issuer.keys());
    let token = issuer.token(&claims(json!({ "sub": "a" })));
    assert_eq!(verdict(&validator, &token), Ok(()));
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verdict(&validator, &changed).is_err(), "{at}");
    }
    let parts: Vec<&str> = token.split('.').collect();
    let bad = [
        String::new(),
        "..".to_owned(),
        format!("{token}."),
        format!("{token}="),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!("{token}.a.b"),
        format!("{} {token}", parts[0]),
    ];
    for token in bad {
        assert!(verdict(&validator, &token).is_err(), "{token}");
    }
    let long = issuer.token(&claims(json!({ "sub": "a".repeat(8192) })));
    assert_eq!(verdict(&validator, &long), Err(TokenFault::Oversized));
}

#[test]
fn times_and_names_are_looked_at() {
    let issuer = Issuer::new();
    let strict = JwtValidation {
        audience: vec!["api".to_owned(), "web".to_owned()],
        required_claims: vec!["sub".to_owned()],
        additional_claims: vec![
            JwtClaim {
                name: "scope".to_owned(),
                format: JwtClaimFormat::SpaceSeparatedValues,
                values: vec!["read".to_owned(), "write".to_owned()],
            },
            JwtClaim {
                name: "groups".to_owned(),
                format: JwtClaimFormat::StringArray,
                values: vec!["staff".to_owned()],
            },
            JwtClaim {
                name: "kind".to_owned(),
                format: JwtClaimFormat::SingleString,
                values: vec!["access".to_owned()],
            },
        ],
        ..settings()
    };
    let validator = Validator::with_keys(&strict, issuer.keys());
    let with = |more: Value| {
        let mut all = claims(json!({
            "aud": "api", "sub": "a", "scope": "list read", "groups": ["x", "staff"],
            "kind": "access", "nbf": NOW, "iat": NOW - 5,
        }));
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
        verdict(&validator, &issuer.token(&all))
    };
    assert_eq!(with(json!({})), Ok(()));
    assert_eq!(with(json!({ "aud": ["x", "web"] })), Ok(()));
    assert_eq!(with(json!({ "exp": NOW as f64 + 0.5 })), Ok(()));
    // 30 seconds of leeway, either way.
    assert_eq!(with(json!({ "exp": NOW - 29 })), Ok(()));
    assert_eq!(with(json!({ "nbf": NOW + 30, "iat": NOW + 30 })), Ok(()));
    let bad = [
        (json!({ "iss": null }), TokenFault::Issuer),
        (json!({ "iss": "https://issuer.test" }), TokenFault::Issuer),
        (
            json!({ "iss": ["https://issuer.test/"] }),
            TokenFault::Issuer,
        ),
        (json!({ "exp": null }), TokenFault::Expired),
        (json!({ "exp": NOW - 30 }), TokenFault::Expired),
        (json!({ "exp": -1 }), TokenFault::Expired),
        (json!({ "exp": "9999999999" }), TokenFault::Claim),
        (json!({ "nbf": NOW + 31 }), TokenFault::NotYetValid),
        (json!({ "iat": NOW + 31 }), TokenFault::NotYetValid),
        (json!({ "nbf": "soon" }), TokenFault::Claim),
        (json!({ "aud": null }), TokenFault::Audience),
        (json!({ "aud": "apis" }), TokenFault::Audience),
        (json!({ "aud": { "api": 1 } }), TokenFault::Audience),
        (json!({ "sub": null }), TokenFault::Claim),
        (json!({ "scope": "reader" }), TokenFault::Claim),
        (json!({ "scope": ["read"] }), TokenFault::Claim),
        (json!({ "groups": "staff" }), TokenFault::Claim),
        (json!({ "kind": "refresh" }), TokenFault::Claim),
    ];
    for (more, fault) in bad {
        assert_eq!(with(more.clone()), Err(fault), "{more}");
    }
}

#[test]
fn tokens_come_in_the_only_authorization_field() {
    let issuer = Issuer::new();
    let validator = Validator::with_keys(&settings(), issuer.keys());
    let token = issuer.token(&claims(json!({})));
    let of = |value: &str| check(&validator, value, NOW);
    assert_eq!(of(&format!("bEARER  {token} ")), Ok(()));
    assert_eq!(of("Basic YTpi"), Err(TokenFault::Missing));
    assert_eq!(of("Bearer"), Err(TokenFault::Malformed));
    assert_eq!(of("Bearer "), Err(TokenFault::Malformed));
    assert_eq!(of(&format!("Bearer{token}")), Err(TokenFault::Malformed));
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    assert_eq!(validator.check(&[], now, 0), Err(TokenFault::Missing));
    let value = format!("Bearer {token}");
    let twice = [Header {
        name: "Authorization",
        value: value.as_bytes(),
    }; 2];
    assert_eq!(validator.check(&twice, now, 0), Err(TokenFault::Malformed));
}

#[test]
fn what_is_cached_ends_with_the_token_and_with_the_keys() {
    let issuer = Issuer::new();
    let validator = Validator::with_keys(&settings(), issuer.keys());
    let token = format!("Bearer {}", issuer.token(&claims(json!({}))));
    for _ in 0..3 {
        assert_eq!(check(&validator, &token, NOW), Ok(()));
    }
    assert_eq!(check(&validator, &token, NOW + 89), Ok(()));
    assert_eq!(
        check(&validator, &token, NOW + 90),
        Err(TokenFault::Expired)
    );
    let other = Validator::new(
        &settings(),
        Arc::new(Keyring::with_keys(&settings().keys, Issuer::new().keys())),
        1,
    );
    assert_eq!(check(&other, &token, NOW), Err(TokenFault::Signature));
    let none = Validator::new(&settings(), Keyrings::default().of(&settings().keys), 1);
    assert_eq!(check(&none, &token, NOW), Err(TokenFault::NoKeys));
}
