//! Directives: `$ORIGIN`, `$TTL`, `$INCLUDE` (RFC 1035 section 5.1, RFC 2308 section 4);
//! `$GENERATE` has a file of its own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use conf::{Diagnostic, Span};

use super::input::lossy;
use super::problems::NOT_LOADED;
use super::reader::{Place, Reader};
use super::scanner::{Entry, Token};
use crate::name::Name;
use crate::rdata;

impl Reader<'_> {
    pub(super) fn read_directive(&mut self, text: &[u8], entry: &Entry, place: &mut Place) {
        let Some((first, arguments)) = entry.tokens.split_first() else {
            return;
        };
        let raw = |token: &Token| text.get(token.start..token.end).unwrap_or_default();
        let name = lossy(raw(first)).to_ascii_uppercase();
        match name.as_str() {
            "$ORIGIN" => self.read_origin(text, arguments, entry, place),
            "$TTL" => self.read_default_ttl(text, arguments, entry, place),
            "$INCLUDE" => self.read_include(text, arguments, entry, place),
            "$GENERATE" => self.read_generate(text, arguments, entry, place),
            _ => {
                let span = place.span(first.start..first.end);
                let message = format!("`{}` is not a directive", lossy(raw(first)));
                self.problems.push(
                    Diagnostic::error("directive", span, message)
                        .consequence(NOT_LOADED)
                        .help("directives are $ORIGIN, $TTL, $INCLUDE and $GENERATE; write \\$ for a name that begins with $"),
                );
            }
        }
    }

    pub(super) fn refuse_directive(&mut self, span: Span, message: impl Into<String>, form: &str) {
        self.problems.push(
            Diagnostic::error("directive", span, message)
                .consequence(NOT_LOADED)
                .help(format!("its form is: {form}")),
        );
    }

    fn read_origin(&mut self, text: &[u8], arguments: &[Token], entry: &Entry, place: &mut Place) {
        const FORM: &str = "$ORIGIN example.test.";
        let [token] = arguments else {
            let span = place.span(entry.range());
            return self.refuse_directive(span, "$ORIGIN takes one name", FORM);
        };
        if let Some(name) = self.directive_name(text, token, place, FORM) {
            place.origin = name;
        }
    }

    fn directive_name(
        &mut self,
        text: &[u8],
        token: &Token,
        place: &Place,
        form: &str,
    ) -> Option<Name> {
        let raw = text.get(token.start..token.end).unwrap_or_default();
        match Name::parse(raw, Some(&place.origin)) {
            Ok(name) => Some(name),
            Err(why) => {
                let span = place.span(token.start..token.end);
                let message = format!("`{}` is not a domain name: {why}", lossy(raw));
                self.refuse_directive(span, message, form);
                None
            }
        }
    }

    fn read_default_ttl(&mut self, text: &[u8], arguments: &[Token], entry: &Entry, place: &Place) {
        const FORM: &str = "$TTL 1h30m";
        let [token] = arguments else {
            let span = place.span(entry.range());
            return self.refuse_directive(span, "$TTL takes one time", FORM);
        };
        let span = place.span(token.start..token.end);
        let raw = text.get(token.start..token.end).unwrap_or_default();
        match rdata::seconds(raw) {
            Some(value) => self.default_ttl = Some(self.check_ttl(value, span)),
            None => {
                let message = format!("`{}` is not a time in seconds", lossy(raw));
                self.refuse_directive(span, message, FORM);
            }
        }
    }

    /// The included text has an origin and an owner of its own; both are restored behind it.
    fn read_include(&mut self, text: &[u8], arguments: &[Token], entry: &Entry, place: &Place) {
        const FORM: &str = "$INCLUDE FILE [ORIGIN]";
        let span = place.span(entry.range());
        let (file, origin) = match arguments {
            [file] => (file, place.origin.clone()),
            [file, origin] => match self.directive_name(text, origin, place, FORM) {
                Some(name) => (file, name),
                None => return,
            },
            _ => return self.refuse_directive(span, "$INCLUDE takes a file and an origin", FORM),
        };
        let raw = text.get(file.start..file.end).unwrap_or_default();
        let path = Path::new(OsStr::from_bytes(raw));
        let span = place.span(file.start..file.end);
        self.include(path, span, &origin, place.owner.clone());
    }
}
