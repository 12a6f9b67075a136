//! JSON Web Key Sets (RFC 7517): the public keys that tokens are signed with.
//!
//! Read when a configuration is loaded, so that a bad file is an error of it, and by the balancer
//! whenever a set is read again. Keys of kinds, algorithms and uses that are not served are passed
//! over, as the RFC demands. Bounded; never trusts what it reads.

use std::io::Read;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use crate::JwtAlgorithm;

/// Bytes of a set (ELB: 150 KB).
pub const MAX_JWKS: usize = 150 * 1024;

/// Keys of a set. ELB takes 10; providers that rotate early have more.
const MAX_KEYS: usize = 64;

/// Bytes of an RSA modulus: below 2048 bits a key can be broken, above 8192 it only costs time.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Jwk {
    /// Its id, by which tokens name it.
    pub kid: Option<String>,
    /// Its numbers, big-endian.
    pub key: JwkKey,
}

/// A public key's numbers, big-endian.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JwkKey {
    /// For RS256.
    Rsa {
        /// Modulus, without leading zeros.
        n: Vec<u8>,
        /// Exponent, without leading zeros.
        e: Vec<u8>,
    },
    /// For ES256: a point of P-256.
    P256 {
        /// 32 bytes.
        x: Vec<u8>,
        /// 32 bytes.
        y: Vec<u8>,
    },
}

impl JwkKey {
    /// The algorithm that it verifies.
    pub fn algorithm(&self) -> JwtAlgorithm {
        match self {
            Self::Rsa { .. } => JwtAlgorithm::Rs256,
            Self::P256 { .. } => JwtAlgorithm::Es256,
        }
    }
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that can verify tokens here.
///
/// # Errors
/// A sentence without its subject, when the set cannot be read or holds no such key.
pub fn parse_jwks(text: &[u8]) -> Result<Vec<Jwk>, String> {
    if text.len() > MAX_JWKS {
        return Err(format!("is larger than {} KiB", MAX_JWKS / 1024));
    }
    let set: RawSet =
        serde_json::from_slice(text).map_err(|error| format!("is no key set: {error}"))?;
    if set.keys.len() > MAX_KEYS {
        return Err(format!("has more than {MAX_KEYS} keys"));
    }
    let keys: Vec<_> = set.keys.into_iter().filter_map(key).collect();
    match keys.is_empty() {
        true => Err("has no key for RS256 (RSA of 2048 to 8192 bits) or ES256 (P-256)".to_owned()),
        false => Ok(keys),
    }
}

/// The keys of a set in a file.
///
/// # Errors
/// As [`parse_jwks`], and when the file cannot be read.
pub fn read_jwks(path: &Path) -> Result<Vec<Jwk>, String> {
    let read = || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(MAX_JWKS as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| format!("cannot be read: {error}"))?;
    parse_jwks(&bytes)
}

fn key(value: serde_json::Value) -> Option<Jwk> {
    let raw: RawKey = serde_json::from_value(value).ok()?;
    let signs = raw.usage.as_deref().is_none_or(|usage| usage == "sig");
    let verifies = raw
        .key_ops
        .as_ref()
        .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !signs || !verifies {
        return None;
    }
    let key = match raw.kty.as_str() {
        "RSA" => JwkKey::Rsa {
            n: number(raw.n?)?,
            e: number(raw.e?)?,
        },
        "EC" if raw.crv.as_deref() == Some("P-256") => JwkKey::P256 {
            x: coordinate(raw.x?)?,
            y: coordinate(raw.y?)?,
        },
        _ => return None,
    };
    let fits = match &key {
        JwkKey::Rsa { n, e } => MODULUS.contains(&n.len()) && (1..=8).contains(&e.len()),
        JwkKey::P256 { .. } => true,
    };
    let named = raw.alg.as_deref();
    let is_its = named.is_none_or(|alg| alg == key.algorithm().as_str());
    (fits && is_its).then_some(Jwk { kid: raw.kid, key })
}

fn number(text: String) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).map(<[u8]>::to_vec)
}

fn coordinate(text: String) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    (bytes.len() == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &str) -> Result<Vec<Jwk>, String> {
        parse_jwks(format!("{{\"keys\":[{keys}]}}").as_bytes())
    }

    #[test]
    fn keys_that_cannot_verify_are_passed_over() {
        let n = BASE64URL_NOPAD.encode(&[0x80; 256]);
        let rsa = |rest: &str| format!("{{\"kty\":\"RSA\",\"n\":\"{n}\",\"e\":\"AQAB\"{rest}}}");
        let good = [
            rsa(""),
            rsa(",\"kid\":\"a\",\"use\":\"sig\",\"alg\":\"RS256\",\"key_ops\":[\"verify\"]"),
        ];
        assert_eq!(set(&good.join(",")).map(|keys| keys.len()), Ok(2));
        let bad = [
            rsa(",\"use\":\"enc\""),
            rsa(",\"alg\":\"HS256\""),
            rsa(",\"alg\":\"RS512\""),
            rsa(",\"key_ops\":[\"sign\"]"),
            rsa("").replace("RSA", "oct"),
            rsa("").replace("\"e\":\"AQAB\"", "\"e\":\"\""),
            rsa("").replace("AQAB", "AQAB=="),
            rsa("").replace(&n, &BASE64URL_NOPAD.encode(&[0x80; 128])),
            "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}".to_owned(),
            "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}".to_owned(),
            "{}".to_owned(),
            "1".to_owned(),
        ];
        for key in bad {
            assert!(set(&key).is_err(), "{key}");
            assert_eq!(set(&format!("{key},{}", rsa(""))).map(|k| k.len()), Ok(1));
        }
        assert!(parse_jwks(b"{\"keys\":1}").is_err());
        assert!(parse_jwks(&vec![b' '; MAX_JWKS + 1]).is_err());
    }
}
