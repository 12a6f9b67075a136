//! `${env:NAME}` inside strings.
//!
//! Called while the spanned tree is built, so that no reader sees an unexpanded string. `$$` before
//! a brace stands for one `$` and expands nothing. The environment is a function, so that tests
//! need not change the process's own.

use std::ffi::OsString;

/// Looks a variable up.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Why a string could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpandFault {
    /// The variable is not set.
    Unset(String),
    /// The variable's value is not UTF-8.
    NotUtf8(String),
    /// `${` without its end, or not `${env:NAME}`.
    Malformed(String),
}

/// Expands every `${env:NAME}` in `text`. All faults, not only the first.
pub(crate) fn expand(
    text: &str,
    environment: &Environment<'_>,
) -> Result<String, Vec<ExpandFault>> {
    let mut out = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = from.strip_prefix("${").unwrap_or_default();
            continue;
        }
        out.push_str(before);
        let end = from.find('}').map_or(from.len(), |i| i + 1);
        let (reference, after) = from.split_at(end);
        match resolve(reference, environment) {
            Ok(value) => out.push_str(&value),
            Err(fault) => faults.push(fault),
        }
        rest = after;
    }
    out.push_str(rest);
    if faults.is_empty() {
        Ok(out)
    } else {
        Err(faults)
    }
}

fn resolve(reference: &str, environment: &Environment<'_>) -> Result<String, ExpandFault> {
    let name = reference
        .strip_prefix("${env:")
        .and_then(|tail| tail.strip_suffix('}'))
        .filter(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
        .ok_or_else(|| ExpandFault::Malformed(reference.to_owned()))?;
    let value = environment(name).ok_or_else(|| ExpandFault::Unset(name.to_owned()))?;
    value
        .into_string()
        .map_err(|_| ExpandFault::NotUtf8(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<OsString> {
        (name == "PORT").then(|| "8080".into())
    }

    #[test]
    fn variables_are_replaced_and_escapes_kept() {
        for (text, expected) in [
            ("127.0.0.1:${env:PORT}", "127.0.0.1:8080"),
            ("${env:PORT}${env:PORT}", "80808080"),
            ("$${env:PORT}", "${env:PORT}"),
            ("a $ b", "a $ b"),
            ("", ""),
        ] {
            assert_eq!(
                expand(text, &environment).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn every_fault_is_named() {
        assert_eq!(
            expand("${env:A} ${env:PORT} ${file:x} ${env:B", &environment),
            Err(vec![
                ExpandFault::Unset("A".into()),
                ExpandFault::Malformed("${file:x}".into()),
                ExpandFault::Malformed("${env:B".into()),
            ])
        );
    }
}
