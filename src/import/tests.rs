//! An export with every policy, against the same written by hand.

use std::path::Path;
use std::sync::Arc;

use dns::explain::{Explanation, Words};
use dns::{Offline, load_zones};

use super::*;

const COLLECTION: &str = "c8c02a84-aaaa-bbbb-e0d2-d833a2f80106";
const BY_HAND: &str = include_str!("../../tests/import/by-hand.toml");
/// What stands around either.
const AROUND: &str = r#"
[dns]
[[target-group]]
name = "app"
protocol = "tcp"
targets = ["127.0.0.11:3001"]
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
protocol = "tcp"
forward = "app"
[[network]]
name = "california"
cidrs = ["10.1.0.0/16"]
country = "US"
subdivision = "CA"
[[network]]
name = "texas"
cidrs = ["10.2.0.0/16"]
country = "US"
subdivision = "TX"
[[network]]
name = "paris"
cidrs = ["10.3.0.0/16"]
country = "FR"
"#;
const NAMES: [&str; 7] = [
    "blue", "green", "primary", "east", "calc", "control", "alarm",
];

fn id(name: &str) -> String {
    let number = NAMES.iter().position(|other| *other == name).unwrap() + 1;
    format!("{number:08x}-1111-4222-8333-444455556666")
}

fn input() -> Input {
    let text = |text: &str| Some(text.to_owned());
    Input {
        records: include_str!("../../tests/import/records.json").to_owned(),
        zone: text(include_str!("../../tests/import/zone.json")),
        health_checks: text(include_str!("../../tests/import/checks.json")),
        collections: vec![(
            COLLECTION.to_owned(),
            include_str!("../../tests/import/cidr.json").to_owned(),
        )],
        policies: vec![(
            None,
            include_str!("../../tests/import/policy.json").to_owned(),
        )],
        maps: vec![Map::parse("app-*.elb.amazonaws.com=listener:web").unwrap()],
        ..Input::default()
    }
}

fn offline(text: &str) -> Offline {
    let mut loaded = conf::load_text(Path::new("imported.toml"), &format!("{text}{AROUND}"));
    let (zones, problems) = load_zones(&loaded.config, &mut loaded.sources);
    loaded.add(problems);
    let report = conf::render_human(&loaded.diagnostics, &loaded.sources, false);
    assert!(!loaded.has_errors(), "{report}\n{text}");
    Offline::new(Arc::new(loaded.config), &zones)
}

/// What must be the same: everything but names of checks and generated serials.
fn essence(explanation: &Explanation) -> String {
    let steps = explanation.steps.iter().map(|step| {
        let sets = step
            .sets
            .iter()
            .map(|set| (&set.id, set.choice, set.healthy, &set.details));
        let sets: Vec<_> = sets.collect();
        format!(
            "{} {} {} {:?} {sets:?} {:?}",
            step.name, step.policy, step.reason, step.draw, step.chosen
        )
    });
    let steps: Vec<String> = steps.collect();
    format!(
        "{} {:?} {:?} {}",
        explanation.rcode,
        explanation.answers,
        explanation.scope,
        steps.join("\n")
    )
}

#[test]
fn every_policy_answers_as_the_same_written_by_hand() {
    let imported = route53(&input()).unwrap();
    let mut ours = offline(&imported.text);
    let mut theirs = offline(BY_HAND);
    let questions = [
        ("example.com", "A"),
        ("example.com", "MX"),
        ("example.com", "TXT"),
        ("example.com", "AAAA"),
        ("anything.example.com", "A"),
        ("mail.example.com", "A"),
        ("cname.example.com", "A"),
        ("www.example.com", "A"),
        ("fail.example.com", "A"),
        ("many.example.com", "A"),
        ("fast.example.com", "A"),
        ("geo.example.com", "A"),
        ("near.example.com", "A"),
        ("nets.example.com", "A"),
        ("app.example.com", "A"),
        ("watch.example.com", "A"),
        ("policy.example.com", "A"),
        ("_share.policy.example.com", "A"),
    ];
    let clients = [
        "10.1.2.0/24",
        "10.2.2.0/24",
        "10.3.2.0/24",
        "10.0.0.0/7",
        "198.51.100.0/24",
        "2001:db8:1::/48",
    ];
    let states: [&[&str]; 7] = [
        &[],
        &["blue"],
        &["blue", "green"],
        &["primary"],
        &["east", "control"],
        &["calc", "alarm"],
        &[
            "blue", "green", "primary", "east", "calc", "control", "alarm",
        ],
    ];
    let mut compared = 0;
    for down in states {
        let said: Vec<(String, &str)> = down.iter().map(|name| (id(name), "down")).collect();
        let said: Vec<(&str, &str)> = said
            .iter()
            .map(|(id, state)| (id.as_str(), *state))
            .collect();
        ours.set(&said).unwrap();
        let said: Vec<(&str, &str)> = down.iter().map(|name| (*name, "down")).collect();
        theirs.set(&said).unwrap();
        for (name, rtype) in questions {
            for client in clients {
                for seed in 0..3 {
                    let words = Words {
                        name: name.to_owned(),
                        rtype: Some(rtype.to_owned()),
                        ecs: Some(client.to_owned()),
                        seed: Some(seed),
                        ..Words::default()
                    };
                    let ask = words.read().unwrap();
                    let answer =
                        |offline: &Offline| offline.explainer(false).explain(&ask).unwrap();
                    let (ours, theirs) = (answer(&ours), answer(&theirs));
                    assert_eq!(
                        essence(&ours),
                        essence(&theirs),
                        "{name} {rtype} for {client}, {down:?} down, seed {seed}"
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 2_000, "{compared}");
}

#[test]
fn what_cannot_be_taken_over_is_a_comment_and_in_the_report() {
    let imported = route53(&input()).unwrap();
    let left_out = imported.left_out.join("\n");
    assert_eq!(imported.left_out.len(), 3, "{left_out}");
    assert!(
        left_out.contains("cdn.example.com A: its alias leads to d111111abcdef8.cloudfront.net")
    );
    assert!(left_out.contains(
        "to-cdn.example.com A: its alias leads to cdn.example.com A, which was left out"
    ));
    assert!(left_out.contains("CloudWatch"));
    assert!(imported.text.contains("# cdn.example.com A was left out"));
    assert!(
        imported
            .text
            .contains("#     \"Name\": \"cdn.example.com.\"")
    );
    assert_eq!(imported.notes.len(), 2, "{:?}", imported.notes);
}

#[test]
fn without_the_other_files_their_things_are_missed() {
    let bare = Input {
        records: input().records,
        name: Some("Example.com".to_owned()),
        network: Some("office".to_owned()),
        ..Input::default()
    };
    let imported = route53(&bare).unwrap();
    let left_out = imported.left_out.join("\n");
    for part in [
        "say what stands for it here, as in --map 'dualstack.app-1234567890.us-east-1.elb.amazonaws.com=listener:NAME'",
        "its CIDR collection is missing: --cidr c8c02a84",
        "its traffic policy is missing: --traffic-policy 11112222",
        "it is not in the export of health checks",
    ] {
        assert!(left_out.contains(part), "{part}: {left_out}");
    }
    let network = "\n[[network]]\nname = \"office\"\ncidrs = [\"127.0.0.0/8\"]\ncountry = \"DE\"\n";
    // What is left can be served.
    offline(&format!("{}{network}", imported.text));
    assert!(imported.text.contains("networks = [\"office\"]"));
}

#[test]
fn texts_that_are_something_else_are_refused() {
    for (records, part) in [
        ("", "cannot be read"),
        ("{}", "no `ResourceRecordSets`"),
        ("[]", "zone's name is not known"),
        ("[{\"Name\": 3}]", "invalid type"),
    ] {
        let input = Input {
            records: records.to_owned(),
            ..Input::default()
        };
        let why = route53(&input).unwrap_err();
        assert!(why.contains(part), "{records}: {why}");
    }
    for bad in ["x", "x=y", "x=listener:", "=listener:web", "x=pool:web"] {
        assert!(Map::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn patterns_stand_for_what_they_say() {
    for (pattern, name, fits) in [
        ("a.b", "a.b", true),
        ("a.b", "a.bc", false),
        ("*.b", "a.b", true),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abde", false),
        ("*", "", true),
        ("a*a", "a", false),
    ] {
        assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
    }
}
