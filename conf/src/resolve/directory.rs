//! Names of one kind of thing: unique, well formed, and found by reference.
//!
//! Each of listeners, target groups and health checks has one. Things that were declared but could
//! not be resolved are remembered, so that references to them are not reported a second time.

use std::collections::HashMap;

use crate::suggest;
use crate::tree::{Reader, Scope};
use crate::{Diagnostic, Span, Spanned};

/// Names longer than this do not fit the tables of `status` and the labels of metrics.
const NAME_CHARS: usize = 64;

/// What a name stands for.
enum Named<I> {
    /// Resolved.
    At(I),
    /// Declared, but not usable; reported where it stands.
    Broken,
}

/// The names of one kind.
pub(super) struct Directory<I> {
    /// The kind, as in messages: "target group".
    kind: &'static str,
    /// The table, as in help: `[[target-group]]`.
    heading: &'static str,
    names: HashMap<String, (Span, Named<I>, bool)>,
    /// In the order of the files, for suggestions that do not change from run to run.
    order: Vec<String>,
}

impl<I: Copy> Directory<I> {
    pub(super) fn new(kind: &'static str, heading: &'static str) -> Self {
        Self {
            kind,
            heading,
            names: HashMap::new(),
            order: Vec::new(),
        }
    }

    /// Reads `name`, names the reader after it, and declares it. `None` when there is none that can
    /// be used.
    pub(super) fn declare<'t>(&mut self, reader: &mut Reader<'t>) -> Option<Spanned<&'t str>> {
        let consequence = format!(
            "nothing could refer to the {}, neither this file nor logs and metrics",
            self.kind
        );
        reader.missing("name", &consequence, "add `name = \"…\"`");
        let name = reader.text("name")?;
        reader.rename(format!("{} `{}`", self.kind, name.value));
        if !is_name(name.value) {
            reader.scope().report(bad_name(self.kind, name));
            return None;
        }
        if let Some((first, _, _)) = self.names.get(name.value) {
            reader.scope().report(
                Diagnostic::error(
                    "duplicate-name",
                    name.span,
                    format!("there are two {}s called `{}`", self.kind, name.value),
                )
                .consequence("references, logs and metrics could not tell them apart")
                .help("rename one of them")
                .related(*first, "first defined here"),
            );
            return None;
        }
        let entry = (name.span, Named::Broken, false);
        self.names.insert(name.value.to_owned(), entry);
        self.order.push(name.value.to_owned());
        Some(name)
    }

    /// Names that need no declaration, and are never reported as unused.
    pub(super) fn built_in(&mut self, name: &str, nowhere: Span, index: I) {
        let entry = (nowhere, Named::At(index), true);
        self.names.insert(name.to_owned(), entry);
        self.order.push(name.to_owned());
    }

    /// Says what a declared name stands for; until then it counts as broken.
    pub(super) fn place(&mut self, name: &str, index: I) {
        if let Some((_, named, _)) = self.names.get_mut(name) {
            *named = Named::At(index);
        }
    }

    /// What `name` stands for; `None` when it is broken or, reported here, unknown.
    pub(super) fn find(&mut self, name: Spanned<&str>, scope: &Scope<'_>) -> Option<I> {
        if let Some((_, named, used)) = self.names.get_mut(name.value) {
            *used = true;
            return match named {
                Named::At(index) => Some(*index),
                Named::Broken => None,
            };
        }
        let names = self.order.iter().map(String::as_str);
        let none = format!("define it with {}", self.heading);
        let what = format!("the {}s are", self.kind);
        scope.report(
            Diagnostic::error(
                "unknown-reference",
                name.span,
                format!("there is no {} called `{}`", self.kind, name.value),
            )
            .consequence("what refers to it would lead nowhere")
            .help(suggest::help(name.value, names, &what, &none)),
        );
        None
    }

    /// Warns of every name that nothing referred to.
    pub(super) fn report_unused(&self, consequence: &str, help: &str, scope: &Scope<'_>) {
        for name in &self.order {
            if let Some((span, Named::At(_), false)) = self.names.get(name) {
                scope.report(
                    Diagnostic::warning(
                        "unused",
                        *span,
                        format!("nothing uses the {} `{name}`", self.kind),
                    )
                    .consequence(consequence)
                    .help(help),
                );
            }
        }
    }
}

fn bad_name(kind: &str, name: Spanned<&str>) -> Diagnostic {
    Diagnostic::error(
        "bad-name",
        name.span,
        format!("`{}` cannot be the name of a {kind}", name.value),
    )
    .consequence("names stand in URLs, metrics and commands, where it would not be read back")
    .help("use up to 64 letters, digits, `-`, `_` and `.`")
}

/// True for names that need no quoting anywhere.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_CHARS
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
