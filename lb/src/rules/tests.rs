//! The tables of `lb/tests/rules`: which rule claims a request, where redirects lead, what
//! requests are rewritten to; and the
//! exact shares of weighted forwards.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Action, Forward, Passing};
use crate::l7::http1::{
    ClientAddress, Forwarding, HeadLimits, MAX_FIELDS, RequestHead, parse_request, write_request,
};
use crate::metrics::Registry;
use crate::plan::Names;
use crate::snapshot::{Listener, Plan};
use crate::testing::load;

/// The first listener of a configuration, compiled for so many workers.
fn listener(text: &str, workers: usize, names: Option<Names>) -> (Arc<Listener>, Names) {
    let mut names = names.unwrap_or_else(|| Names::new(Registry::new(workers)));
    let config = load(text);
    let none = Default::default();
    let plan = Plan::new(
        &config,
        1,
        Arc::default(),
        &HashMap::new(),
        &mut names,
        &none,
    );
    (plan.listeners[0].clone(), names)
}

/// An `http` listener whose rules, and whose own action, are given.
fn http(rest: &str) -> Arc<Listener> {
    let text = format!(
        "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\n{rest}\n"
    );
    listener(&text, 1, None).0
}

fn with_head<T>(request: &str, read: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let limits = HeadLimits { bytes: 65_536 };
    let head = parse_request(request.as_bytes(), &mut slots, limits);
    read(
        &head
            .unwrap_or_else(|e| panic!("{request:?}: {e:?}"))
            .unwrap(),
    )
}

/// `GET /a @10.0.0.1 | Name: value` as the bytes of a head, and the client's address.
fn request(line: &str) -> (String, IpAddr) {
    let mut parts = line.split(" | ");
    let (line, peer) = match parts.next().unwrap().split_once(" @") {
        Some((line, peer)) => (line, peer.parse().unwrap()),
        None => (line.split(" | ").next().unwrap(), [127, 0, 0, 1].into()),
    };
    let mut head = format!("{line} HTTP/1.1\r\n");
    let fields: Vec<&str> = parts.collect();
    if !fields.iter().any(|field| field.starts_with("Host:")) {
        head += "Host: a.test\r\n";
    }
    fields
        .iter()
        .for_each(|field| head += &format!("{field}\r\n"));
    (head + "\r\n", peer)
}

#[test]
fn rules_claim_what_the_table_says() {
    let table = include_str!("../../tests/rules/matching.txt");
    let (mut rule, mut compiled, mut checked) = ("", None, 0);
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (mark, text) = line.split_at(1);
        let text = text.trim_start();
        match mark {
            "=" => {
                rule = text;
                let conditions = text.replace("; ", "\n");
                compiled = Some(http(&format!(
                    "fixed-response = {{ status = 404 }}\n[[listener.rule]]\npriority = 1\n\
                     {conditions}\nfixed-response = {{ status = 200 }}"
                )));
            }
            "+" | "-" => {
                let (head, peer) = request(text);
                let listener = compiled.as_ref().unwrap();
                let found = with_head(&head, |head| listener.rule_for(head, peer, 0));
                let wanted = (mark == "+").then_some(0);
                assert_eq!(found, wanted, "{rule}: {text}");
                checked += 1;
            }
            _ => assert_eq!(mark, "#", "{line}"),
        }
    }
    assert!(checked > 90, "only {checked} requests");
}

/// A text of a few letters, with wildcards.
fn some_text(rng: &mut SmallRng, letters: &[u8], most: usize) -> String {
    let length = rng.random_range(1..=most);
    let letter = |_| char::from(letters[rng.random_range(0..letters.len())]);
    (0..length).map(letter).collect()
}

/// Guards only spare looks: whatever the rules and the request, the same rule claims it.
#[test]
fn guards_hold_back_no_rule_that_holds() {
    let mut claimed = 0;
    for seed in 0..200 {
        let rng = &mut SmallRng::seed_from_u64(seed);
        let mut rules = String::new();
        for priority in 1..=rng.random_range(1..40) {
            let mut text = |letters: &str| some_text(rng, letters.as_bytes(), 19);
            let (host, path) = (text("ab.*?"), text("ab/*?"));
            let (key, value) = (text("aB*?"), text("ab*"));
            let condition = match priority % 6 {
                0 => format!("host = [\"{host}\", \"a*\"]"),
                1 => format!("host = \"{host}\"\npath = \"/{path}\""),
                2 => format!("path = [\"/{path}\", \"/a{path}\"]"),
                3 => format!("query = [{{ key = \"{key}\", value = \"{value}\" }}]"),
                4 => format!(
                    "header = [{{ name = \"X-{}\", values = [\"*\"] }}]",
                    key.len()
                ),
                _ => "method = [\"GET\", \"PUT\"]\npath = \"/*a\"".to_owned(),
            };
            rules += &format!(
                "[[listener.rule]]\npriority = {priority}\n{condition}\n\
                 fixed-response = {{ status = 200 }}\n"
            );
        }
        let listener = http(&format!("fixed-response = {{ status = 404 }}\n{rules}"));
        for _ in 0..40 {
            let mut text = |letters: &str, most| some_text(rng, letters.as_bytes(), most);
            let head = format!(
                "{} /{}{}{}={} HTTP/1.1\r\nHost: a{}\r\nx-{}: 1\r\n\r\n",
                ["GET", "PUT", "POST"][text("a", 3).len() - 1],
                text("ab/", 30),
                ["?", "?b&&Ab=1&", ""][text("a", 3).len() - 1],
                text("Ab", 3),
                text("ab", 3),
                text("aBb", 30),
                text("a", 12).len(),
            );
            let found = with_head(&head, |head| {
                let (peer, mut lowered) = ([127, 0, 0, 1].into(), [0; super::MAX_HOST]);
                let subject = super::subject(head, &mut lowered, peer, 0).unwrap();
                let all = &listener.rules.rules;
                let wanted = all.iter().position(|rule| rule.holds(&subject));
                assert_eq!(listener.rule_for(head, peer, 0), wanted, "{head:?} {rules}");
                wanted
            });
            claimed += usize::from(found.is_some());
        }
    }
    assert!((1000..7900).contains(&claimed), "{claimed} of 8000 claimed");
}

#[test]
fn guards_spare_nearly_every_look() {
    let rules: String = (0..100)
        .map(|n| {
            let condition = [
                format!("path = \"/api/v1/area{n}/*\""),
                format!("host = \"host{n}.example.test\""),
                format!("header = [{{ name = \"X-Kind\", values = [\"{n}\"] }}]"),
                format!("query = [{{ key = \"version\", value = \"{n}\" }}]"),
                format!("host = [\"*.example.test\"]\npath = \"*.ext{n}\""),
            ];
            let condition = &condition[n % 5];
            format!(
                "[[listener.rule]]\npriority = {}\n{condition}\nfixed-response = {{ status = 200 }}\n",
                n + 1
            )
        })
        .collect();
    let listener = http(&format!("fixed-response = {{ status = 404 }}\n{rules}"));
    let head = "GET /api/v1/area50/a?x=1 HTTP/1.1\r\nHost: host51.example.test\r\nA: b\r\n\r\n";
    let looks = with_head(head, |head| {
        let mut lowered = [0; super::MAX_HOST];
        let subject = super::subject(head, &mut lowered, [127, 0, 0, 1].into(), 0).unwrap();
        let signs = super::Signs::of(&subject);
        let blocks = listener.rules.guards.iter().enumerate();
        let looks = blocks.flat_map(|(block, guards)| {
            let first = block * super::Block::RULES;
            guards.open(&signs).map(move |place| first + place)
        });
        looks.collect::<Vec<_>>()
    });
    assert_eq!(looks, [50, 51]);
}

#[test]
fn redirects_lead_where_the_table_says() {
    let table = include_str!("../../tests/rules/locations.txt");
    let local: SocketAddr = "127.0.0.1:8080".parse().unwrap();
    let (mut compiled, mut asked, mut checked) = (None, String::new(), 0);
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (mark, text) = line.split_at(1);
        let text = text.trim_start();
        match mark {
            "=" => compiled = Some(http(&format!("redirect = {{ {text} }}"))),
            ">" => {
                let (line, host) = text.rsplit_once(' ').unwrap();
                asked = match host {
                    "-" => format!("{line} HTTP/1.0\r\n\r\n"),
                    _ => format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
                };
            }
            "<" => {
                let Action::Redirect(redirect) = &compiled.as_ref().unwrap().default.action else {
                    panic!("no redirect");
                };
                let mut location = Vec::new();
                with_head(&asked, |head| {
                    redirect.write_location(&mut location, head, local);
                });
                assert_eq!(String::from_utf8(location).unwrap(), text, "{asked}");
                checked += 1;
            }
            _ => assert_eq!(mark, "#", "{line}"),
        }
    }
    assert!(checked >= 12, "only {checked} redirects");
}

/// The first field called `Host` in a head.
fn host_of(head: &str) -> &str {
    let line = head.lines().find_map(|line| line.strip_prefix("Host: "));
    line.unwrap_or("-")
}

#[test]
fn requests_are_rewritten_as_the_table_says() {
    let table = include_str!("../../tests/rules/rewrites.txt");
    let client = ClientAddress::new([127, 0, 0, 1].into());
    let forwarding = Forwarding {
        client: &client,
        scheme: "http",
        local: "127.0.0.1:8080".parse().unwrap(),
        identity: b"",
        edited: None,
    };
    let (mut compiled, mut asked, mut checked) = (None, String::new(), 0);
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (mark, text) = line.split_at(1);
        let text = text.trim_start();
        match mark {
            "=" => {
                let keys = text.replace("; ", "\n");
                compiled = Some(http(&format!("forward = \"a\"\n{keys}\n{HTTP_GROUP}")));
            }
            ">" => {
                let (line, host) = text.rsplit_once(' ').unwrap();
                asked = match host {
                    "-" => format!("{line} HTTP/1.0\r\n\r\n"),
                    _ => format!("{line} HTTP/1.1\r\nA: b\r\nHost: {host}\r\nC: d\r\n\r\n"),
                };
            }
            "<" => {
                let gate = compiled.as_ref().unwrap().default.gate.as_ref();
                let out = with_head(&asked, |head| {
                    let rewritten = gate.unwrap().pass(Passing {
                        head,
                        peer: [127, 0, 0, 1].into(),
                        now: tokio::time::Instant::now(),
                        worker: 0,
                    });
                    rewritten.map(|passed| {
                        let mut out = Vec::new();
                        write_request(&mut out, &passed.rewritten.onto(head.clone()), forwarding);
                        String::from_utf8(out).unwrap()
                    })
                });
                let shown = match &out {
                    Ok(head) => format!("{} {}", head.split(' ').nth(1).unwrap(), host_of(head)),
                    Err(denial) => denial.status().to_string(),
                };
                assert_eq!(shown, text, "{asked}");
                if let Ok(head) = &out {
                    assert_eq!(head.matches("Host: ").count(), 1, "{head}");
                }
                checked += 1;
            }
            _ => assert_eq!(mark, "#", "{line}"),
        }
    }
    assert!(checked >= 22, "only {checked} rewrites");
}

#[test]
fn the_lowest_priority_that_claims_a_request_decides() {
    let rule = |priority: u16, path: &str| {
        format!(
            "[[listener.rule]]\npriority = {priority}\npath = \"{path}\"\n\
             fixed-response = {{ status = 200 }}\n"
        )
    };
    let rules = rule(30, "/*") + &rule(10, "/a/b") + &rule(20, "/a/*");
    let listener = http(&format!("fixed-response = {{ status = 404 }}\n{rules}"));
    for (path, label) in [("/a/b", "10"), ("/a/c", "20"), ("/b", "30")] {
        let (head, peer) = request(&format!("GET {path}"));
        let found = with_head(&head, |head| listener.rule_for(head, peer, 0));
        assert_eq!(&*listener.branch(found).label, label, "{path}");
    }
    let (head, peer) = request("OPTIONS *");
    let found = with_head(&head, |head| listener.rule_for(head, peer, 0));
    assert_eq!(&*listener.branch(found).label, "default");
}

const HTTP_GROUP: &str =
    "[[target-group]]\nname = \"a\"\nprotocol = \"http\"\ntargets = [\"127.0.0.1:1\"]\n";

const GROUPS: &str = "[[target-group]]\nname = \"a\"\nprotocol = \"tcp\"\ntargets = [\"127.0.0.1:1\"]\n\
     [[target-group]]\nname = \"b\"\nprotocol = \"tcp\"\ntargets = [\"127.0.0.1:2\"]\n\
     [[target-group]]\nname = \"c\"\nprotocol = \"tcp\"\ntargets = [\"127.0.0.1:3\"]\n";

fn weighted(weights: [u16; 3], names: Option<Names>) -> (Arc<Listener>, Names) {
    let [a, b, c] = weights;
    let text = format!(
        "[[listener]]\nname = \"in\"\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\n\
         forward = {{ target-groups = [{{ name = \"a\", weight = {a} }}, \
         {{ name = \"b\", weight = {b} }}, {{ name = \"c\", weight = {c} }}] }}\n{GROUPS}"
    );
    listener(&text, 2, names)
}

fn forward(listener: &Listener) -> &Forward {
    match &listener.default.action {
        Action::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

fn next(forward: &Forward) -> Option<&str> {
    let route = forward.route(forward.choose()?)?;
    Some(&route.tally.group_name)
}

#[test]
fn weighted_groups_get_their_exact_share_over_all_threads() {
    let (listener, _) = weighted([999, 998, 1], None);
    let counts = std::thread::scope(|scope| {
        let count = || {
            let mut counts = HashMap::new();
            for _ in 0..999 {
                *counts.entry(next(forward(&listener)).unwrap()).or_insert(0) += 1;
            }
            counts
        };
        let threads = [scope.spawn(count), scope.spawn(count)];
        threads.map(|thread| thread.join().unwrap())
    });
    let sum = |name: &str| -> i32 { counts.iter().filter_map(|c| c.get(name)).sum() };
    assert_eq!((sum("a"), sum("b"), sum("c")), (999, 998, 1));
}

#[test]
fn turns_go_on_over_a_reload_and_weight_0_gets_none() {
    let (before, names) = weighted([2, 1, 0], None);
    let first: Vec<_> = (0..4).map(|_| next(forward(&before)).unwrap()).collect();
    assert_eq!(first, ["a", "b", "a", "a"]);
    let (after, names) = weighted([2, 1, 0], Some(names));
    assert_eq!(next(forward(&after)), Some("b"));
    let (only, names) = weighted([0, 7, 0], Some(names));
    assert_eq!(next(forward(&only)), Some("b"));
    let (none, _) = weighted([0, 0, 0], Some(names));
    assert_eq!(next(forward(&none)), None);
}
