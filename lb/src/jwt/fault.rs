//! What can be wrong with a token, and how its sender is told. Pure data.

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenFault {
    /// There is none.
    Missing,
    /// It is no JWT in compact form, or there are several.
    Malformed,
    /// It is longer than 8 KiB.
    Oversized,
    /// It is signed by an algorithm that is not taken, or not signed.
    Algorithm,
    /// It has extensions that must be understood and are not.
    Extension,
    /// No key of the issuer goes with it.
    UnknownKey,
    /// Its signature is not the issuer's.
    Signature,
    /// It is past its time, or has none.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is another issuer's.
    Issuer,
    /// It is for others.
    Audience,
    /// A claim is missing or says something else than it must.
    Claim,
    /// The issuer's keys could not be read yet: nothing is wrong with the token.
    NoKeys,
}

impl TokenFault {
    /// The word for labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "jwt-missing",
            Self::Malformed => "jwt-malformed",
            Self::Oversized => "jwt-oversized",
            Self::Algorithm => "jwt-algorithm",
            Self::Extension => "jwt-extension",
            Self::UnknownKey => "jwt-unknown-key",
            Self::Signature => "jwt-signature",
            Self::Expired => "jwt-expired",
            Self::NotYetValid => "jwt-not-yet-valid",
            Self::Issuer => "jwt-issuer",
            Self::Audience => "jwt-audience",
            Self::Claim => "jwt-claim",
            Self::NoKeys => "jwt-no-keys",
        }
    }

    /// One sentence for the person who sent it.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missing => "A bearer token is needed.",
            Self::Malformed => "The bearer token is malformed.",
            Self::Oversized => "The bearer token is too long.",
            Self::Algorithm => "The token's algorithm is not accepted.",
            Self::Extension => "The token has a critical extension that is not understood.",
            Self::UnknownKey => "The token's key is not known.",
            Self::Signature => "The token's signature is not valid.",
            Self::Expired => "The token has expired.",
            Self::NotYetValid => "The token is not valid yet.",
            Self::Issuer => "The token's issuer is not accepted.",
            Self::Audience => "The token is not for this audience.",
            Self::Claim => "A claim of the token is not as required.",
            Self::NoKeys => "The keys to verify tokens with are not available.",
        }
    }
}
