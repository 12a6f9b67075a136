//! Rules: the compiled form claims what a plain reading of the conditions claims, whatever the request.
//!
//! An input is lines of conditions (`rule`, `host P`, `path P`, `method M`, `header NAME P`, `query KEY=P`,
//! `query P`), an empty line, and the bytes of a request head. Values of one line are parted by blanks.

use std::mem::MaybeUninit;
use std::net::IpAddr;

use conf::{Action, Condition, Gate, Pattern, QueryPattern, Rule};
use lb::l7::http1::{HeadLimits, MAX_FIELDS, RequestHead, parse_request};
use lb::rules::Matcher;

use super::{Body, outcome, seeds};

const LIMITS: HeadLimits = HeadLimits { bytes: 65_536 };
/// More than one word of signs, and few enough to be quick.
const RULES: usize = 80;
/// Characters of a pattern (ELB: 128).
const PATTERN: usize = 128;

pub(super) fn body() -> Body {
    Body {
        name: "rules",
        seeds: seeds(&[
            "host *.a.test a.test\npath /v1/*\n\nGET /v1/x?a=1 HTTP/1.1\r\nHost: b.A.test:80\r\n\r\n",
            "method GET PUT\nheader x-one *v?l* b\nrule\nquery ver?ion=2* x\\*=\\?\n\n\
             GET /?version=23&x*=? HTTP/1.1\r\nHost: [::1]:80\r\nX-One: a VALue\r\nX-one: b\r\n\r\n",
            "query *=* b\nrule\nhost a?c*.\nrule\npath *a*b*c\n\n\
             OPTIONS * HTTP/1.1\r\nHost: abc.\r\n\r\n",
            "path /a*/\nheader cookie *a=b*\n\nPOST /a/?b&c&d&e&f&g&h&i&b=&b HTTP/1.1\r\nHost: h\r\n\
             Cookie: a=b; c=d\r\n\r\n",
        ]),
        words: &[
            b"rule\n",
            b"host ",
            b"path ",
            b"method ",
            b"header ",
            b"query ",
            b"*",
            b"?",
            b"\\",
            b"\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"&",
            b"=",
            b"X-One: ",
            b"x-one ",
        ],
        run: Box::new(run),
    }
}

fn run(input: &[u8]) -> u64 {
    let Some(at) = input.windows(2).position(|pair| pair == b"\n\n") else {
        return 0;
    };
    let (conditions, head) = input.split_at(at);
    let head = head.get(2..).unwrap_or_default();
    let mut slots = [MaybeUninit::uninit(); MAX_FIELDS];
    let Ok(Some(head)) = parse_request(head, &mut slots, LIMITS) else {
        return 1;
    };
    let rules = rules(&String::from_utf8_lossy(conditions));
    let peer = IpAddr::from([127, 0, 0, 1]);
    let found = Matcher::new(&rules).first(&head, peer);
    let plain = rules.iter().position(|rule| {
        rule.conditions
            .iter()
            .all(|condition| holds(condition, &head))
    });
    assert_eq!(found, plain, "{rules:?}");
    outcome((rules.len(), found))
}

/// The rules that the lines name; those without conditions are none.
fn rules(text: &str) -> Vec<Rule> {
    let mut rules = vec![Vec::new()];
    for line in text.lines() {
        let mut words = line
            .split(' ')
            .map(|word| word.chars().take(PATTERN).collect());
        let kind: String = words.next().unwrap_or_default();
        let name: Option<String> = (kind == "header").then(|| words.next()).flatten();
        let values: Vec<String> = words.filter(|word: &String| !word.is_empty()).collect();
        if kind == "rule" {
            rules.push(Vec::new());
        } else if let (Some(of), false) = (rules.last_mut(), values.is_empty()) {
            of.extend(condition(&kind, name, values));
        }
    }
    rules.retain(|conditions| !conditions.is_empty());
    let numbered = rules.into_iter().take(RULES).zip(1..);
    let rule = |(conditions, priority)| Rule {
        priority,
        span: conf::Span::default(),
        conditions,
        action: Action::forward_to(conf::GroupIdx(0)),
        gate: Gate::default(),
    };
    numbered.map(rule).collect()
}

fn condition(kind: &str, name: Option<String>, values: Vec<String>) -> Option<Condition> {
    let patterns = |values: Vec<String>| values.into_iter().map(Pattern::Wildcard).collect();
    Some(match kind {
        "host" => Condition::Host(patterns(values)),
        "path" => Condition::Path(patterns(values)),
        "method" => Condition::Method(values),
        "header" => Condition::Header {
            name: name.filter(|name| !name.is_empty())?,
            values: patterns(values),
        },
        "query" => {
            let pattern = |value: String| match value.split_once('=') {
                Some((key, value)) => QueryPattern {
                    key: Some(key.to_owned()),
                    value: value.to_owned(),
                },
                None => QueryPattern { key: None, value },
            };
            Condition::Query(values.into_iter().map(pattern).collect())
        }
        _ => return None,
    })
}

/// Whether a condition holds, as its documentation reads.
fn holds(condition: &Condition, head: &RequestHead<'_, '_>) -> bool {
    let (path, query) = match head.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (head.target, None),
    };
    match condition {
        Condition::Host(patterns) => {
            let host = name_of(head.host.unwrap_or_default()).to_ascii_lowercase();
            any(patterns, host.as_bytes(), true)
        }
        Condition::Path(patterns) => any(
            patterns,
            if path.is_empty() {
                b"/"
            } else {
                path.as_bytes()
            },
            false,
        ),
        Condition::Method(methods) => methods.iter().any(|method| method == head.method),
        Condition::Header { name, values } => head
            .fields
            .iter()
            .any(|field| field.name.eq_ignore_ascii_case(name) && any(values, field.value, true)),
        Condition::Query(wanted) => query.is_some_and(|query| {
            query.split('&').any(|parameter| {
                let (key, value) = match parameter.split_once('=') {
                    Some((key, value)) => (key, Some(value)),
                    None => (parameter, None),
                };
                wanted.iter().any(|pattern| match &pattern.key {
                    Some(wanted) => {
                        let value = value.unwrap_or_default();
                        escaped(wanted, key) && escaped(&pattern.value, value)
                    }
                    None => escaped(&pattern.value, value.unwrap_or(key)),
                })
            })
        }),
        Condition::SourceIp(_) | Condition::Sni(_) | Condition::Alpn(_) => false,
    }
}

/// A host without its port and final dot.
fn name_of(host: &str) -> &str {
    let name = match host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        // With both brackets.
        Some(end) => &host[..end + 2],
        None => host.split(':').next().unwrap_or_default(),
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn any(patterns: &[Pattern], text: &[u8], folds: bool) -> bool {
    patterns.iter().any(|pattern| match pattern {
        Pattern::Wildcard(wanted) => {
            let tokens: Vec<_> = wanted.bytes().map(|byte| (byte, false)).collect();
            matches(&tokens, text, folds)
        }
        Pattern::Regex(_) => false,
    })
}

/// In queries `\` takes the meaning from what follows it.
fn escaped(wanted: &str, text: &str) -> bool {
    let (mut tokens, mut bytes) = (Vec::new(), wanted.bytes());
    while let Some(byte) = bytes.next() {
        tokens.push(match byte {
            b'\\' => (bytes.next().unwrap_or(byte), true),
            _ => (byte, false),
        });
    }
    matches(&tokens, text.as_bytes(), true)
}

/// The schoolbook way, place by place: `reached[n]` says that the tokens so far match `n` bytes.
fn matches(tokens: &[(u8, bool)], text: &[u8], folds: bool) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in tokens {
        let before = std::mem::replace(&mut reached, vec![false; text.len() + 1]);
        for place in 0..=text.len() {
            let after_one = place > 0 && before[place - 1];
            reached[place] = match token {
                (b'*', false) => before[place] || (place > 0 && reached[place - 1]),
                (b'?', false) => after_one,
                (byte, _) => {
                    let same = |b: u8| b == *byte || (folds && b.eq_ignore_ascii_case(byte));
                    after_one && same(text[place - 1])
                }
            };
        }
    }
    reached[text.len()]
}
