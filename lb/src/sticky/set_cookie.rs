//! Set-Cookie lines of stickiness, written once per attempt and put into the head of its answer.
//!
//! Filled by `Sticky::answer`, used by the response relay. Nothing else is changed in the head.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::CookieName;
use httpdate::HttpDate;

use super::cookie::cookie_set;

/// The lines to add to an answer's head.
#[derive(Debug, Clone, Default)]
pub(crate) struct SetCookies {
    lines: Vec<u8>,
    /// The last of them, which are for answers that set this cookie only.
    conditional: Option<(usize, Arc<str>)>,
}

impl SetCookies {
    /// Takes all lines out.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.conditional = None;
    }

    /// True when nothing is to be added.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes over what `others` has.
    pub(super) fn copy(&mut self, others: &Self) {
        self.lines.clear();
        self.lines.extend_from_slice(&others.lines);
        self.conditional.clone_from(&others.conditional);
    }

    /// Adds a cookie's lines. Those with `only_with` come last.
    pub(super) fn add(
        &mut self,
        cookie: &CookieName,
        value: &[u8],
        duration: Duration,
        now: SystemTime,
        is_secure: bool,
        only_with: Option<&Arc<str>>,
    ) {
        let from = self.lines.len();
        if let Some(application) = only_with {
            self.conditional = Some((from, application.clone()));
        }
        let date = HttpDate::from(now + duration);
        let own = format!(
            "; Max-Age={}; Path=/; HttpOnly; SameSite=Lax{}",
            duration.as_secs(),
            if is_secure { "; Secure" } else { "" }
        );
        let of_aws = format!("; Expires={date}; Path=/");
        let attributes = if cookie.is_aws { &of_aws } else { &own };
        self.line(&cookie.name, value, attributes);
        if let Some(name) = cookie.cross_site {
            self.line(name, value, &format!("{of_aws}; SameSite=None; Secure"));
        }
    }

    fn line(&mut self, name: &str, value: &[u8], attributes: &str) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.lines, "Set-Cookie: {name}=");
        self.lines.extend_from_slice(value);
        let _ = write!(self.lines, "{attributes}\r\n");
    }

    /// Puts the lines into `head`, which ends with an empty line. `fields` are those of the answer.
    pub(crate) fn insert(&self, head: &mut Vec<u8>, fields: &[httparse::Header<'_>]) {
        let sets = |application: &str| {
            let mut set = fields
                .iter()
                .filter(|field| field.name.eq_ignore_ascii_case("set-cookie"));
            set.any(|field| cookie_set(field.value) == Some(application.as_bytes()))
        };
        let lines = match &self.conditional {
            Some((from, application)) if !sets(application) => self.lines.get(..*from),
            _ => Some(&*self.lines),
        };
        let end = head.len().saturating_sub(2);
        head.truncate(end);
        head.extend_from_slice(lines.unwrap_or_default());
        head.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
impl SetCookies {
    /// Adds a line.
    pub(super) fn add_plain(&mut self, line: &str) {
        self.lines.extend_from_slice(line.as_bytes());
    }

    /// All lines.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.lines).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn name(is_aws: bool) -> CookieName {
        CookieName {
            name: if is_aws { "AWSALB" } else { "own" }.to_owned(),
            cross_site: is_aws.then_some("AWSALBCORS"),
            is_aws,
        }
    }

    fn inserted(cookies: &SetCookies, fields: &[httparse::Header<'_>]) -> String {
        let mut head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        cookies.insert(&mut head, fields);
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn attributes_are_ours_or_those_of_aws() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_717);
        let mut cookies = SetCookies::default();
        let minute = Duration::from_secs(60);
        cookies.add(&name(false), b"v", minute, now, true, None);
        let own = "Set-Cookie: own=v; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure\r\n";
        let head = inserted(&cookies, &[]);
        assert_eq!(head, format!("HTTP/1.1 200 OK\r\n{own}\r\n"));
        cookies.clear();
        cookies.add(&name(true), b"v", minute, now, false, None);
        let expires = "Expires=Sun, 06 Nov 1994 08:49:37 GMT; Path=/";
        let aws = format!(
            "Set-Cookie: AWSALB=v; {expires}\r\nSet-Cookie: AWSALBCORS=v; {expires}; SameSite=None; Secure\r\n"
        );
        let head = inserted(&cookies, &[]);
        assert_eq!(head, format!("HTTP/1.1 200 OK\r\n{aws}\r\n"));
    }

    #[test]
    fn a_session_begins_with_the_applications_cookie() {
        let mut cookies = SetCookies::default();
        let application = Arc::from("SID");
        let minute = Duration::from_secs(60);
        cookies.add(&name(false), b"group", minute, UNIX_EPOCH, false, None);
        let with = Some(&application);
        cookies.add(&name(false), b"target", minute, UNIX_EPOCH, false, with);
        let field = |name, value| httparse::Header { name, value };
        let lines = |fields: &[httparse::Header<'_>]| {
            let head = inserted(&cookies, fields);
            (head.contains("=group"), head.contains("=target"))
        };
        assert_eq!(lines(&[]), (true, false));
        assert_eq!(
            lines(&[field("Set-Cookie", b"other=1; SID=2")]),
            (true, false)
        );
        assert_eq!(lines(&[field("SID", b"SID=1")]), (true, false));
        assert_eq!(
            lines(&[field("set-cookie", b"SID=1; Path=/")]),
            (true, true)
        );
    }
}
