//! One file's text to a spanned tree of our own, and its TOML syntax errors.
//!
//! Called by the loader for every file. The toml crate's recovering parser gives all syntax errors
//! and whatever tree could be saved; strings are expanded on the way. Knows no key of the config.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned as Toml;
use toml::de::{DeArray, DeTable, DeValue};

use crate::expand::{Environment, ExpandFault, expand};
use crate::{Diagnostic, FileId, Span};

/// Lines with syntax errors shown of one file. One slip can make hundreds.
const SYNTAX_ERRORS_SHOWN: usize = 20;

/// A value of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it stands; for `[table]` and `[[table]]` the header.
    pub(crate) span: Span,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    String(String),
    /// Saturated beyond 128 bits, which no range of ours reaches.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Value>),
    Table(Table),
    /// A string that could not be expanded: reported already, to be passed over.
    Broken,
}

impl Kind {
    /// The word for messages, with its article.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::String(_) | Self::Broken => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A table: its entries in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
    pub(crate) span: Span,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Value,
}

/// Parses `text`. The flag is true when it had syntax errors, so that the tree has holes.
pub(crate) fn parse(
    file: FileId,
    text: &str,
    environment: &Environment<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Table, bool) {
    let (document, errors) = DeTable::parse_recoverable(text);
    report(file, text, &errors, diagnostics);
    let mut builder = Builder {
        file,
        environment,
        diagnostics,
    };
    let table = builder.table(document.get_ref(), 0..0);
    (table, !errors.is_empty())
}

fn report(file: FileId, text: &str, errors: &[toml::de::Error], out: &mut Vec<Diagnostic>) {
    let mut lines = HashSet::new();
    for error in errors {
        let range = clamp(text, error.span().unwrap_or(text.len()..text.len()));
        // Further errors in a line follow from its first one.
        if !lines.insert(text.get(..range.start).unwrap_or_default().rfind('\n')) {
            continue;
        }
        let span = Span::new(file, range.clone());
        if lines.len() > SYNTAX_ERRORS_SHOWN {
            let message = "there are more syntax errors from here on";
            out.push(
                Diagnostic::error("toml-syntax", span, message)
                    .consequence("nothing from here on can be trusted")
                    .help("mend the first ones; the rest often follow from them"),
            );
            break;
        }
        out.push(if error.message() == "duplicate key" {
            Diagnostic::error(
                "duplicate-key",
                span,
                "this key is already set in its table",
            )
            .consequence("only one of the two values could be used")
            .help("keep one of them; tables that repeat are written `[[name]]`")
        } else {
            let (message, help) = explain(error.message(), range.is_empty());
            Diagnostic::error("toml-syntax", span, message)
                .consequence("nothing from here to the next line that parses can be trusted")
                .help(help)
        });
    }
}

/// The parser's words, and how to mend the commonest of its errors.
fn explain(message: &str, at_nothing: bool) -> (String, &'static str) {
    let general = "mend the TOML: `key = value`, strings in double quotes, tables in brackets";
    if message.starts_with("string values must be quoted") {
        return if at_nothing {
            (
                "there is no value".to_owned(),
                "write one, or remove the key",
            )
        } else {
            (
                "strings must be quoted".to_owned(),
                "put the value in double quotes",
            )
        };
    }
    let help = match message {
        m if m.starts_with("invalid basic string") => "close the string with `\"`",
        m if m.starts_with("extra `=`") => "keep one `=`",
        m if m.starts_with("unclosed array table") => "close the header with `]]`",
        m if m.starts_with("unclosed table") => "close the header with `]`",
        m if m.starts_with("unclosed array") => "close the list with `]`",
        m if m.starts_with("unclosed inline table") => "close the table with `}`",
        m if m.starts_with("key with no value") => "write `key = value`",
        _ => general,
    };
    (message.to_owned(), help)
}

/// `range` made to lie in `text`, on character boundaries, without line ends at its end.
fn clamp(text: &str, range: Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(range.start);
    let end = floor(range.end).max(start);
    let trimmed = text.get(start..end).unwrap_or_default().trim_end();
    start..start + trimmed.len()
}

struct Builder<'a> {
    file: FileId,
    environment: &'a Environment<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Builder<'_> {
    fn table(&mut self, table: &DeTable<'_>, span: Range<usize>) -> Table {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_span: Span::new(self.file, key.span()),
                value: self.value(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        Table {
            entries,
            span: Span::new(self.file, span),
        }
    }

    fn value(&mut self, value: &Toml<DeValue<'_>>) -> Value {
        let span = Span::new(self.file, value.span());
        let kind = match value.get_ref() {
            DeValue::String(text) => self.string(text, span),
            DeValue::Integer(number) => Kind::Integer(integer(number.as_str(), number.radix())),
            DeValue::Float(float) => Kind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Kind::Boolean(*flag),
            DeValue::Datetime(_) => Kind::Datetime,
            DeValue::Array(items) => Kind::Array(self.array(items)),
            DeValue::Table(table) => Kind::Table(self.table(table, value.span())),
        };
        Value { kind, span }
    }

    fn array(&mut self, items: &DeArray<'_>) -> Vec<Value> {
        items.iter().map(|item| self.value(item)).collect()
    }

    fn string(&mut self, text: &str, span: Span) -> Kind {
        match expand(text, self.environment) {
            Ok(expanded) => Kind::String(expanded),
            Err(faults) => {
                self.diagnostics
                    .extend(faults.into_iter().map(|fault| unexpanded(&fault, span)));
                Kind::Broken
            }
        }
    }
}

fn unexpanded(fault: &ExpandFault, span: Span) -> Diagnostic {
    match fault {
        ExpandFault::Unset(name) => Diagnostic::error(
            "env-unset",
            span,
            format!("environment variable `{name}` is not set"),
        )
        .consequence("the string would have a hole where its value belongs")
        .help(format!(
            "start with `{name}=…` in the environment, or write the value here"
        )),
        ExpandFault::NotUtf8(name) => Diagnostic::error(
            "env-unset",
            span,
            format!("environment variable `{name}` is not UTF-8"),
        )
        .consequence("its value cannot stand in a string")
        .help(format!("set `{name}` to text")),
        ExpandFault::Malformed(text) => Diagnostic::error(
            "env-syntax",
            span,
            format!("`{text}` is not `${{env:NAME}}`"),
        )
        .consequence("it would be taken literally, which is hardly what was meant")
        .help("write `${env:NAME}`, or `$${` for a literal `${`"),
    }
}

fn integer(text: &str, radix: u32) -> i128 {
    i128::from_str_radix(text, radix).unwrap_or(if text.starts_with('-') {
        i128::MIN
    } else {
        i128::MAX
    })
}
