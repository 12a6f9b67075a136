//! What is counted where, and how it reads.

use std::time::Duration;

use prometheus::TextEncoder;

use super::*;
use crate::compile::Kept;
use crate::testing::{SOURCE, Scene, query};
use crate::wire::Transport;
use crate::{Answerer, Compiled};

const SCENE: &str = r#"
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
policy = "weighted"
sets = [{ id = "a", weight = 1, values = ["192.0.2.1"] }]
"#;

#[test]
fn queries_decisions_and_durations_are_counted() {
    let scene = Scene::new(SCENE);
    let mut labels = ZoneLabels::default();
    labels.label("example.test");
    let before = Compiled::empty().snapshot(&scene.health, false);
    let kept = Kept::new(
        &scene.config,
        &mut scene.zones.clone(),
        &before,
        labels.clone(),
        0,
    );
    let compiled = Compiled::after(kept, &scene.config, &scene.zones, 1, &scene.slots);
    let snapshot = compiled.snapshot(&scene.health, false);
    let counters = [
        Counters::new(Transport::Udp),
        Counters::new(Transport::Udp),
        Counters::new(Transport::Tcp),
    ];
    let mut answerer = Answerer::new(1);
    for counters in &counters {
        for (name, rtype) in [
            ("www.example.test.", "A"),
            ("nothing.example.test.", "AAAA"),
            ("example.org.", "TYPE999"),
        ] {
            let packet = query(name, rtype);
            let answered =
                answerer.answer(&snapshot, &packet, SOURCE, Transport::Udp, &mut [0; 1232]);
            counters.count(&answered.unwrap());
        }
        counters.time(Duration::from_micros(20), 3);
    }
    let families = collect(&labels, counters.iter());
    let text = TextEncoder::new().encode_to_string(&families).unwrap();
    for line in [
        r#"pointsman_dns_queries_total{rcode="NOERROR",transport="udp",type="A",zone="example.test"} 2"#,
        r#"pointsman_dns_queries_total{rcode="NOERROR",transport="tcp",type="A",zone="example.test"} 1"#,
        r#"pointsman_dns_queries_total{rcode="NXDOMAIN",transport="udp",type="AAAA",zone="example.test"} 2"#,
        r#"pointsman_dns_queries_total{rcode="REFUSED",transport="udp",type="other",zone=""} 2"#,
        r#"pointsman_dns_policy_decisions_total{policy="weighted",reason="healthy",zone="example.test"} 3"#,
        r#"pointsman_dns_query_duration_seconds_bucket{le="0.00001"} 0"#,
        r#"pointsman_dns_query_duration_seconds_bucket{le="0.000025"} 9"#,
        r#"pointsman_dns_query_duration_seconds_bucket{le="+Inf"} 9"#,
        "pointsman_dns_query_duration_seconds_count 9",
    ] {
        assert!(text.lines().any(|given| given == line), "{line}\n{text}");
    }
}

#[test]
fn zones_past_the_first_200_share_a_label() {
    let mut labels = ZoneLabels::default();
    let given: Vec<ZoneLabel> = (0..203).map(|n| labels.label(&format!("z{n}"))).collect();
    assert_eq!(labels.name(given[199]), "z199");
    assert_eq!(labels.name(given[200]), "other");
    assert_eq!(given[200], given[202]);
    assert_eq!(labels.label("z7"), given[7]);
    assert_eq!(labels.name(ZoneLabel::NONE), "");
}
