//! Tokens taken apart: JWS in compact form (RFC 7515 section 7.1).
//!
//! Pure; bounded by the token's length. Base64 that is not canonical is refused, so that one token
//! has one form.

use conf::JwtAlgorithm;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::TokenFault;

/// Longest token, in bytes: what common servers take of a whole header line.
const MAX_TOKEN: usize = 8 * 1024;

/// A token whose signature nobody has looked at yet.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) algorithm: JwtAlgorithm,
    /// Which key it says that it is signed with.
    pub(super) kid: Option<String>,
    /// What is signed.
    pub(super) signed: &'t [u8],
    payload: &'t [u8],
    pub(super) signature: Vec<u8>,
}

/// A JOSE header. Keys in the token itself (`jwk`, `x5c`, `jku`) are not even read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    pub(super) fn parse(text: &'t [u8]) -> Result<Self, TokenFault> {
        if text.len() > MAX_TOKEN {
            return Err(TokenFault::Oversized);
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Malformed);
        };
        let signed = text.get(..header.len() + 1 + payload.len());
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenFault::Extension);
        }
        let known = JwtAlgorithm::ALL
            .iter()
            .find(|(name, _)| *name == header.alg);
        Ok(Self {
            algorithm: known.ok_or(TokenFault::Algorithm)?.1,
            kid: header.kid,
            signed: signed.unwrap_or_default(),
            payload,
            signature: decode(signature)?,
        })
    }

    /// What it says. For tokens whose signature is good.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenFault> {
        serde_json::from_slice(&decode(self.payload)?).map_err(|_| TokenFault::Malformed)
    }
}

fn decode(text: &[u8]) -> Result<Vec<u8>, TokenFault> {
    BASE64URL_NOPAD
        .decode(text)
        .map_err(|_| TokenFault::Malformed)
}
