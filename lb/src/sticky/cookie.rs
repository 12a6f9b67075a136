//! Reading Cookie fields: the value of one cookie among those that a client sends.
//!
//! Called for requests to sticky groups only, on untrusted bytes. Lenient as servers must be
//! (RFC 6265 section 5.4 lets clients send what they like): what is no pair is passed over. Never
//! allocates, never looks at a value.

/// The first value of the cookie called `name` in the value of a Cookie field. Names differ by case
/// (RFC 6265 section 4.1.1 leaves it to servers; browsers do). A pair of quotes around the value is
/// taken off.
pub fn cookie_value<'f>(field: &'f [u8], name: &[u8]) -> Option<&'f [u8]> {
    let pairs = field.split(|byte| *byte == b';');
    pairs.filter_map(pair).find_map(|(found, value)| {
        let value = value
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            .unwrap_or(value);
        (found == name).then_some(value)
    })
}

/// The name of the cookie that a Set-Cookie field sets; `None` when it names none.
pub fn cookie_set(field: &[u8]) -> Option<&[u8]> {
    let first = field.split(|byte| *byte == b';').next()?;
    let (name, _) = pair(first)?;
    (!name.is_empty()).then_some(name)
}

/// Both sides of the first `=`, without blanks around them.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'=', text)?;
    let (name, value) = (text.get(..at)?, text.get(at + 1..)?);
    Some((name.trim_ascii(), value.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others() {
        let cases: [(&str, Option<&str>); 11] = [
            ("a=1", Some("1")),
            ("b=2; a=1", Some("1")),
            ("b=2;a=1;a=3", Some("1")),
            ("  a = 1 ;b=2", Some("1")),
            ("a=\"1\"", Some("1")),
            ("a=\"1", Some("\"1")),
            ("a=1=2", Some("1=2")),
            ("a=", Some("")),
            ("A=1; aa=1; a", None),
            ("=1; ;;a", None),
            ("", None),
        ];
        for (field, wanted) in cases {
            let found = cookie_value(field.as_bytes(), b"a");
            assert_eq!(found, wanted.map(str::as_bytes), "{field}");
        }
    }

    #[test]
    fn what_a_response_sets_is_its_first_name() {
        let cases = [
            ("SID=1; Path=/; b=2", Some("SID")),
            (" SID =", Some("SID")),
            ("=1; SID=2", None),
            ("SID; a=1", None),
        ];
        for (field, wanted) in cases {
            let found = cookie_set(field.as_bytes());
            assert_eq!(found, wanted.map(str::as_bytes), "{field}");
        }
    }
}
