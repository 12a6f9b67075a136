//! Diagnostics for people: message, place, the line itself with carets, what follows, how to mend.
//!
//! Called by `check`, `run`, reload and the golden tests. Text of files is shown with control
//! characters replaced, so that a file cannot drive the terminal.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::{Diagnostic, Severity, Sources, Span};

/// Columns of a line shown at most; longer ones are cut around the place.
const LINE_COLUMNS: usize = 160;
/// Columns kept before the place in a line that is cut.
const LEAD_COLUMNS: usize = 40;
/// Columns of a tab. It is shown as blanks, so that carets below it stay in place.
const TAB_COLUMNS: usize = 4;

/// Renders every diagnostic and a last line that counts them; empty for none. `color` adds ANSI
/// colours.
pub fn render_human(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut out = String::new();
    let paint = Paint { color };
    for diagnostic in diagnostics {
        one(&mut out, diagnostic, sources, paint);
        out.push('\n');
    }
    if !diagnostics.is_empty() {
        out.push_str(&summary(diagnostics, paint));
    }
    out
}

/// The colour of line numbers and bars: bold blue (ECMA-48 SGR).
const FRAME: &str = "1;34";

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn color_of(severity: Severity) -> &'static str {
        match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        }
    }

    fn frame(self, text: &str) -> String {
        self.with(FRAME, text)
    }

    fn strong(self, text: &str) -> String {
        self.with("1", text)
    }
}

fn one(out: &mut String, diagnostic: &Diagnostic, sources: &Sources, paint: Paint) {
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let head = format!("{word}[{}]", diagnostic.code);
    let head = paint.with(Paint::color_of(diagnostic.severity), &head);
    let message = paint.strong(&format!(": {}", printable(&diagnostic.message)));
    line(out, format_args!("{head}{message}"));
    let frame = Frame {
        gutter: gutter(diagnostic, sources),
        sources,
        paint,
    };
    if let Some(span) = diagnostic.span {
        let carets = Marks::of(diagnostic.severity);
        frame.snippet(out, span, &carets, "");
    }
    for (span, text) in &diagnostic.related {
        frame.snippet(out, *span, &Marks::RELATED, text);
    }
    let notes = [
        ("consequence", &diagnostic.consequence),
        ("help", &diagnostic.help),
    ];
    for (name, text) in notes {
        if let Some(text) = text {
            let mark = paint.frame(&format!("{:gutter$} =", "", gutter = frame.gutter));
            let name = paint.strong(&format!("{name}:"));
            line(out, format_args!("{mark} {name} {}", printable(text)));
        }
    }
}

/// Columns that the largest line number of the diagnostic takes.
fn gutter(diagnostic: &Diagnostic, sources: &Sources) -> usize {
    let spans = diagnostic.related.iter().map(|(span, _)| *span);
    spans
        .chain(diagnostic.span)
        .map(|span| sources.location(span).line.to_string().len())
        .max()
        .unwrap_or(1)
}

/// How a place is pointed at.
struct Marks {
    arrow: &'static str,
    caret: char,
    color: &'static str,
}

impl Marks {
    const RELATED: Self = Self {
        arrow: ":::",
        caret: '-',
        color: FRAME,
    };

    fn of(severity: Severity) -> Self {
        Self {
            arrow: "-->",
            caret: '^',
            color: Paint::color_of(severity),
        }
    }
}

/// What the snippets of one diagnostic share.
struct Frame<'a> {
    gutter: usize,
    sources: &'a Sources,
    paint: Paint,
}

impl Frame<'_> {
    fn snippet(&self, out: &mut String, span: Span, marks: &Marks, label: &str) {
        let (gutter, paint) = (self.gutter, self.paint);
        let at = self.sources.location(span);
        let arrow = paint.frame(&format!("{:gutter$}{}", "", marks.arrow));
        let path = printable(&at.path.to_string_lossy());
        line(
            out,
            format_args!("{arrow} {path}:{}:{}", at.line, at.column),
        );
        let excerpt = Excerpt::new(&at.text, at.column as usize - 1, length(span, self.sources));
        let bar = paint.frame(&format!("{:gutter$} |", ""));
        let number = paint.frame(&format!("{:>gutter$} |", at.line));
        let mut carets: String = std::iter::repeat_n(marks.caret, excerpt.width).collect();
        if !label.is_empty() {
            carets.push(' ');
            carets.push_str(&printable(label));
        }
        let carets = paint.with(marks.color, &carets);
        let pad = excerpt.offset;
        line(out, format_args!("{bar}"));
        line(out, format_args!("{number} {}", excerpt.line));
        line(out, format_args!("{bar} {:pad$}{carets}", ""));
    }
}

/// Characters of the span that are in its first line.
fn length(span: Span, sources: &Sources) -> usize {
    let text = sources.text(span.file);
    let covered = text.get(span.start as usize..span.end as usize);
    let covered = covered.unwrap_or_default();
    covered.lines().next().unwrap_or_default().chars().count()
}

/// A line as it is shown, and where its carets go, in columns.
struct Excerpt {
    line: String,
    offset: usize,
    width: usize,
}

impl Excerpt {
    /// `start` and `length` in characters of `text`.
    fn new(text: &str, start: usize, length: usize) -> Self {
        let columns = |c: char| shown_char(c).1;
        let before: usize = text.chars().take(start).map(columns).sum();
        let total = before
            + text
                .chars()
                .skip(start)
                .take(LINE_COLUMNS)
                .map(columns)
                .sum::<usize>();
        let mut skipped = 0;
        let mut line = String::new();
        let mut chars = text.chars();
        if total > LINE_COLUMNS && before > LEAD_COLUMNS {
            while before - skipped > LEAD_COLUMNS {
                let Some(c) = chars.next() else { break };
                skipped += columns(c);
            }
            line.push('…');
        }
        let offset = before - skipped.min(before) + line.chars().count();
        let mut used = line.chars().count();
        for c in chars {
            let (shown, columns) = shown_char(c);
            if used + columns > LINE_COLUMNS {
                line.push('…');
                break;
            }
            line.push_str(&shown);
            used += columns;
        }
        let width: usize = text.chars().skip(start).take(length).map(columns).sum();
        Self {
            offset,
            width: width.clamp(1, (LINE_COLUMNS + 1).saturating_sub(offset).max(1)),
            line,
        }
    }
}

/// What stands for a character, and how many columns it takes.
fn shown_char(c: char) -> (String, usize) {
    match c.width() {
        _ if c == '\t' => (" ".repeat(TAB_COLUMNS), TAB_COLUMNS),
        Some(columns) if !is_override(c) => (c.to_string(), columns),
        _ => ("\u{fffd}".to_owned(), 1),
    }
}

/// Characters that turn the direction of the text around them, which could hide what a line says.
fn is_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn printable(text: &str) -> String {
    text.chars().map(|c| shown_char(c).0).collect()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
    while out.ends_with(" \n") {
        out.truncate(out.len() - 2);
        out.push('\n');
    }
}

fn summary(diagnostics: &[Diagnostic], paint: Paint) -> String {
    let count = |severity| {
        diagnostics
            .iter()
            .filter(|d| d.severity == severity)
            .count()
    };
    let phrase = |n: usize, word: &str| match n {
        0 => None,
        1 => Some(format!("1 {word}")),
        n => Some(format!("{n} {word}s")),
    };
    let errors = phrase(count(Severity::Error), "error");
    let warnings = phrase(count(Severity::Warning), "warning");
    let parts: Vec<String> = errors.into_iter().chain(warnings).collect();
    format!("{}\n", paint.strong(&parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, part: &str) -> String {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", text);
        let start = text.find(part).unwrap();
        let span = Span::new(file, start..start + part.len());
        render_human(&[Diagnostic::error("x", span, "m")], &sources, false)
    }

    fn carets(rendered: &str) -> (usize, usize) {
        let line = rendered.lines().find(|line| line.contains('^')).unwrap();
        let start = line.find('^').unwrap();
        (start - "  | ".len(), line.matches('^').count())
    }

    #[test]
    fn tabs_and_wide_characters_keep_carets_in_place() {
        assert_eq!(carets(&rendered("\tname = 1", "name")), (4, 4));
        assert_eq!(carets(&rendered("a = \"日本\" # 語", "# 語")), (11, 4));
        assert_eq!(carets(&rendered("e\u{301} = 1", "= 1")), (2, 3));
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}bad{}", "x".repeat(5000), "y".repeat(5000));
        let shown = rendered(&text, "bad");
        assert!(
            shown.lines().all(|line| line.chars().count() < 200),
            "{shown}"
        );
        assert_eq!(carets(&shown), (41, 3));
    }

    #[test]
    fn a_file_cannot_drive_the_terminal() {
        let shown = rendered("a = \"\u{1b}[2J\u{202e}\"", "a");
        assert!(
            !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
            "{shown}"
        );
    }

    #[test]
    fn colours_are_asked_for() {
        let problem = [Diagnostic::warning("x", None, "m")];
        let sources = Sources::default();
        assert!(render_human(&problem, &sources, true).contains("\u{1b}[1;33mwarning[x]"));
        assert_eq!(
            render_human(&problem, &sources, false),
            "warning[x]: m\n\n1 warning\n"
        );
        assert_eq!(render_human(&[], &sources, false), "");
    }
}
