//! JWT validation: whose tokens requests must carry, and where the keys come from.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Destination, TlsCheck};

/// Requests must carry a token of this issuer (ELB's `jwt-validation` action).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtValidation {
    /// What the claim `iss` must be.
    pub issuer: String,
    /// Where the issuer's keys are.
    pub keys: JwtKeys,
    /// One of these must be in the claim `aud`; empty = it is not looked at.
    pub audience: Vec<String>,
    /// Algorithms that tokens may be signed by; at least one.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Claims that must be there, whatever they say.
    pub required_claims: Vec<String>,
    /// Claims that must say something.
    pub additional_claims: Vec<JwtClaim>,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

/// Where an issuer's keys (a JSON Web Key Set, RFC 7517) are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtKeys {
    /// The place itself.
    pub location: JwksLocation,
    /// How often they are read again.
    pub refresh: Duration,
}

/// The place of a key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwksLocation {
    /// A file.
    File(PathBuf),
    /// An address.
    Url(Box<JwksUrl>),
}

impl fmt::Display for JwksLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(&url.text),
        }
    }
}

/// An address that a key set is got from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl {
    /// As it was written.
    pub text: String,
    /// Where the server is.
    pub server: Destination,
    /// Host header.
    pub host: String,
    /// From `/`.
    pub path: String,
    /// `None` = clear text, from this machine only.
    pub tls: Option<TlsCheck>,
}

/// How tokens are signed (RFC 7518 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl JwtAlgorithm {
    /// Every algorithm, by its name.
    pub const ALL: [(&'static str, Self); 2] = [("RS256", Self::Rs256), ("ES256", Self::Es256)];

    /// The name in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// A claim and what it may say: one of the values must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtClaim {
    /// Its name.
    pub name: String,
    /// What it is.
    pub format: JwtClaimFormat,
    /// At least one.
    pub values: Vec<String>,
}

/// What a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtClaimFormat {
    /// A string.
    SingleString,
    /// An array of strings.
    StringArray,
    /// A string of words with blanks between them.
    SpaceSeparatedValues,
}

impl JwtClaimFormat {
    /// Every format, by ELB's name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("single-string", Self::SingleString),
        ("string-array", Self::StringArray),
        ("space-separated-values", Self::SpaceSeparatedValues),
    ];
}
