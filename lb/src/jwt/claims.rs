//! Whether what a token says is what it must say (RFC 7519 section 4). Pure; times are Unix
//! seconds.

use conf::{JwtClaim, JwtClaimFormat, JwtValidation};
use serde_json::{Map, Value};

use super::TokenFault;

type Claims = Map<String, Value>;

/// Until when a token with these claims is good.
pub(super) fn check(
    settings: &JwtValidation,
    claims: &Claims,
    now: u64,
) -> Result<u64, TokenFault> {
    if claims.get("iss").and_then(Value::as_str) != Some(&settings.issuer) {
        return Err(TokenFault::Issuer);
    }
    let until = times(claims, now, settings.leeway.as_secs())?;
    if !settings.audience.is_empty() && !is_for(claims.get("aud"), &settings.audience) {
        return Err(TokenFault::Audience);
    }
    let there = |name: &String| claims.get(name).is_some_and(|claim| !claim.is_null());
    let said = |claim: &JwtClaim| {
        let value = claims.get(&claim.name);
        value.is_some_and(|value| says(value, claim))
    };
    match settings.required_claims.iter().all(there) && settings.additional_claims.iter().all(said)
    {
        true => Ok(until),
        false => Err(TokenFault::Claim),
    }
}

/// `exp` must be there; `nbf` and `iat` may, and must not lie ahead.
fn times(claims: &Claims, now: u64, leeway: u64) -> Result<u64, TokenFault> {
    let end = match claims.get("exp") {
        Some(exp) => date(exp)?,
        None => return Err(TokenFault::Expired),
    };
    let until = end.saturating_add(leeway);
    if now >= until {
        return Err(TokenFault::Expired);
    }
    for name in ["nbf", "iat"] {
        if let Some(begin) = claims.get(name)
            && date(begin)? > now.saturating_add(leeway)
        {
            return Err(TokenFault::NotYetValid);
        }
    }
    Ok(until)
}

/// A NumericDate, fractions cut off; what lies before 1970 is 1970.
fn date(value: &Value) -> Result<u64, TokenFault> {
    if let Some(seconds) = value.as_u64() {
        return Ok(seconds);
    }
    let seconds = value.as_f64().ok_or(TokenFault::Claim)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    Ok(seconds as u64)
}

/// A string or an array of strings.
fn is_for(aud: Option<&Value>, audience: &[String]) -> bool {
    let is_one = |value: &Value| {
        let text = value.as_str();
        text.is_some_and(|text| audience.iter().any(|one| one == text))
    };
    match aud {
        Some(Value::Array(values)) => values.iter().any(is_one),
        Some(value) => is_one(value),
        None => false,
    }
}

fn says(value: &Value, claim: &JwtClaim) -> bool {
    let wanted = |text: &str| claim.values.iter().any(|value| value == text);
    match (claim.format, value) {
        (JwtClaimFormat::SingleString, Value::String(text)) => wanted(text),
        (JwtClaimFormat::StringArray, Value::Array(values)) => {
            values.iter().filter_map(Value::as_str).any(wanted)
        }
        (JwtClaimFormat::SpaceSeparatedValues, Value::String(text)) => text.split(' ').any(wanted),
        _ => false,
    }
}
