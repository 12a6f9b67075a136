//! Whatever a file holds, loading it ends without a panic, every place lies in its file, and both
//! renderings can be made.
//!
//! Two sources of files: arbitrary text, and valid or nearly valid files with pieces cut, doubled,
//! swapped and replaced, which reach much deeper.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use conf::{Loaded, Span, load_text, render_human, render_json};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const EVERYTHING: &str = include_str!("valid/everything.toml");
const SEVERAL: &str = include_str!("cases/several-at-once.toml");
const FORMS: &str = include_str!("cases/target-forms.toml");

/// Pieces that mean something to some reader.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\n",
    "\r\n",
    "\t",
    "#",
    "${env:",
    "${env:HOME}",
    "$${",
    "\u{0}",
    "\u{feff}",
    "日",
    "\u{202e}",
    "0",
    "-1",
    "99999999999999999999999999999999999999999999",
    "0x7f",
    "1e999",
    "nan",
    "true",
    "2024-01-01T00:00:00Z",
    "\"30s\"",
    "\"18446744073709551615d\"",
    "\"[::1]:80\"",
    "[[listener]]\n",
    "[[zone.record]]\n",
    "[target-group.health-check]\n",
    "name = \"app\"\n",
    "sets = [{}]\n",
    "alias = { record = \"@\" }\n",
    "include = [\"*\", \"/\", \"**\"]\n",
    "type = [\"A\", \"AAAA\"]\n",
    "policy = \"failover\"\n",
    "matcher = \"200-\"\n",
    "a.b.c = 1\n",
];

#[derive(Debug, Clone)]
enum Edit {
    Cut(Index, Index),
    Double(Index, Index),
    Insert(Index, &'static str),
    DropLine(Index),
    SwapLines(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), at()).prop_map(|(a, b)| Edit::Cut(a, b)),
        (at(), at()).prop_map(|(a, b)| Edit::Double(a, b)),
        (at(), select(PIECES)).prop_map(|(a, piece)| Edit::Insert(a, piece)),
        at().prop_map(Edit::DropLine),
        (at(), at()).prop_map(|(a, b)| Edit::SwapLines(a, b)),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let chars: Vec<char> = text.chars().collect();
    let lines: Vec<&str> = text.lines().collect();
    if chars.is_empty() || lines.is_empty() {
        return text.to_owned();
    }
    // Cuts and doublings stay short, so that something of the file is left.
    let range = |a: &Index, b: &Index| {
        let start = a.index(chars.len());
        start..(start + b.index(40)).min(chars.len())
    };
    match edit {
        Edit::Cut(a, b) => {
            let cut = range(a, b);
            chars[..cut.start].iter().chain(&chars[cut.end..]).collect()
        }
        Edit::Double(a, b) => {
            let twice = range(a, b);
            chars[..twice.end]
                .iter()
                .chain(&chars[twice.start..])
                .collect()
        }
        Edit::Insert(a, piece) => {
            let (before, after) = chars.split_at(a.index(chars.len()));
            before
                .iter()
                .copied()
                .chain(piece.chars())
                .chain(after.iter().copied())
                .collect()
        }
        Edit::DropLine(a) => {
            let mut lines = lines;
            lines.remove(a.index(lines.len()));
            lines.join("\n")
        }
        Edit::SwapLines(a, b) => {
            let mut lines = lines;
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            lines.join("\n")
        }
    }
}

/// The folder does not exist, so that includes find nothing.
fn load(text: &str) -> Loaded {
    load_text(Path::new("/no-such-folder/pointsman.toml"), text)
}

fn check(loaded: &Loaded) {
    for problem in &loaded.diagnostics {
        for span in problem
            .related
            .iter()
            .map(|(span, _)| *span)
            .chain(problem.span)
        {
            check_span(loaded, span);
        }
        assert!(
            problem.consequence.is_some() && problem.help.is_some(),
            "{problem:?}"
        );
    }
    let human = render_human(&loaded.diagnostics, &loaded.sources, false);
    assert!(!human.contains('\u{1b}'));
    let json = render_json(&loaded.diagnostics, &loaded.sources);
    assert_eq!(json.as_array().unwrap().len(), loaded.diagnostics.len());
}

fn check_span(loaded: &Loaded, span: Span) {
    let text = loaded.sources.text(span.file);
    let covered = text.get(span.start as usize..span.end as usize);
    assert!(
        covered.is_some(),
        "{span:?} is not a piece of its file of {} bytes",
        text.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*|[\\s\\S]{0,200}") {
        check(&load(&text));
    }

    #[test]
    fn pieces_never_panic(pieces in proptest::collection::vec(select(PIECES), 0..40)) {
        check(&load(&pieces.concat()));
    }

    #[test]
    fn mutated_files_never_panic(
        base in select(&[EVERYTHING, SEVERAL, FORMS][..]),
        edits in proptest::collection::vec(edit(), 1..8),
    ) {
        let text = edits.iter().fold(base.to_owned(), |text, edit| apply(&text, edit));
        check(&load(&text));
    }
}
