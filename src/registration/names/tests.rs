//! The TTL machine on a clock of the test's own.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    names: Names,
    now: Instant,
    named: NamedTarget,
}

impl Scene {
    fn new(name: &str) -> Self {
        let name = TargetName::parse(name).or_else(|| TargetName::parse_service(name));
        let named = NamedTarget {
            name: name.unwrap(),
            span: conf::Span::default(),
            weight: 1,
            availability_zone: String::new(),
            backup: false,
            max_in_flight: 0,
        };
        let mut scene = Self {
            names: Names::default(),
            now: Instant::now(),
            named,
        };
        scene.want();
        scene
    }

    fn want(&mut self) {
        let wanted = [(&Resolver::System, &self.named.name)];
        self.names.want(wanted.into_iter(), self.now);
    }

    /// Takes the only question that is due.
    fn ask(&mut self) -> Question {
        let mut due = self.names.take_due(self.now, 10);
        assert_eq!(due.len(), 1, "{due:?}");
        due.remove(0)
    }

    /// Asks, and answers with these addresses or failures.
    fn answer(&mut self, v4: Result<(&[&str], u64), &str>, v6: Result<(&[&str], u64), &str>) {
        let question = self.ask();
        let family = |found: Result<(&[&str], u64), &str>| match found {
            Ok((records, ttl)) => Ok(Answer {
                records: records.iter().map(|text| text.parse().unwrap()).collect(),
                ttl: Duration::from_secs(ttl),
            }),
            Err(error) => Err(error.to_owned()),
        };
        let reply = Reply::Addresses([family(v4), family(v6)]);
        self.names.answered(&question, reply, self.now);
    }

    fn targets(&self) -> Vec<String> {
        let targets = self.names.targets(&Resolver::System, &self.named);
        targets
            .iter()
            .map(|target| target.address.to_string())
            .collect()
    }

    fn fault(&self) -> Option<String> {
        self.names.state(&Resolver::System, &self.named.name).fault
    }

    /// Goes to when something is due; how long that took.
    fn wait(&mut self) -> Duration {
        let due = self.names.next_due().unwrap();
        assert!(
            self.names
                .take_due(due - Duration::from_millis(1), 10)
                .is_empty()
        );
        let waited = due - self.now;
        self.now = due;
        waited
    }
}

#[test]
fn both_families_are_merged_and_asked_for_again_when_the_sooner_ttl_has_passed() {
    let mut scene = Scene::new("app.test:80");
    assert!(!scene.names.all_asked() && scene.targets().is_empty());
    scene.answer(Ok((&["127.0.0.2", "127.0.0.1"], 30)), Ok((&["::1"], 20)));
    assert!(scene.names.all_asked() && scene.fault().is_none());
    assert_eq!(
        scene.targets(),
        ["127.0.0.1:80", "127.0.0.2:80", "[::1]:80"]
    );
    assert_eq!(scene.wait(), 20 * SECOND);
    scene.answer(Ok((&["127.0.0.3"], 0)), Ok((&[], 900)));
    assert_eq!(scene.targets(), ["127.0.0.3:80"], "what is gone is gone");
    assert_eq!(scene.wait(), SECOND, "never sooner");
    scene.answer(Ok((&["127.0.0.3"], 1_000_000)), Ok((&[], 5)));
    assert_eq!(scene.wait(), 3600 * SECOND, "never later");
}

#[test]
fn failures_keep_the_last_good_answer_and_are_retried_ever_more_slowly() {
    let mut scene = Scene::new("app.test:80");
    scene.answer(Err("no server answers"), Err("no server answers"));
    assert_eq!(scene.fault().as_deref(), Some("no server answers"));
    assert!(scene.names.all_asked() && scene.targets().is_empty());
    assert_eq!(scene.wait(), SECOND);
    scene.answer(Ok((&["127.0.0.1"], 60)), Ok((&[], 60)));
    assert_eq!((scene.fault(), scene.wait()), (None, 60 * SECOND));
    let mut waits = Vec::new();
    for _ in 0..7 {
        scene.answer(Err("SERVFAIL"), Err("SERVFAIL"));
        assert_eq!(scene.targets(), ["127.0.0.1:80"]);
        assert_eq!(scene.fault().as_deref(), Some("SERVFAIL"));
        waits.push(scene.wait().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    // That a name has nothing at all is no reason to send nobody anywhere.
    scene.answer(Ok((&[], 60)), Ok((&[], 60)));
    assert_eq!(scene.targets(), ["127.0.0.1:80"]);
    assert_eq!(scene.fault().as_deref(), Some("it has no address"));
    scene.wait();
    scene.answer(Ok((&["127.0.0.2"], 60)), Ok((&[], 60)));
    assert_eq!(
        (scene.targets(), scene.fault()),
        (vec!["127.0.0.2:80".to_owned()], None)
    );
}

#[test]
fn a_family_that_fails_keeps_its_own_addresses_only() {
    let mut scene = Scene::new("app.test:80");
    scene.answer(Ok((&["127.0.0.1"], 60)), Ok((&["::1"], 60)));
    scene.wait();
    scene.answer(Ok((&["127.0.0.2"], 60)), Err("timeout"));
    assert_eq!(scene.targets(), ["127.0.0.2:80", "[::1]:80"]);
    assert_eq!(scene.fault().as_deref(), Some("timeout"));
    scene.wait();
    // A name that moves from one family to the other.
    scene.answer(Ok((&[], 60)), Ok((&["::2"], 60)));
    assert_eq!(
        (scene.targets(), scene.fault()),
        (vec!["[::2]:80".to_owned()], None)
    );
}

#[test]
fn a_service_is_its_hosts_and_they_are_looked_up_once_it_names_them() {
    let mut scene = Scene::new("_http._tcp.app.test");
    let answer = |scene: &mut Scene, hosts: &[(&str, u16)]| {
        let question = scene.ask();
        assert_eq!(question.kind, Kind::Service);
        let record = |&(host, port): &(&str, u16)| Service {
            priority: 1,
            weight: 1,
            port,
            host: host.into(),
        };
        let records = hosts.iter().map(record).collect();
        let found = Answer {
            records,
            ttl: 10 * SECOND,
        };
        scene
            .names
            .answered(&question, Reply::Service(Ok(found)), scene.now);
        scene.want();
    };
    answer(&mut scene, &[("a.test", 80), ("b.test", 81)]);
    assert!(!scene.names.all_asked() && scene.targets().is_empty());
    for question in scene.names.take_due(scene.now, 10) {
        let address = if &*question.name == "a.test" {
            "127.0.0.1"
        } else {
            "127.0.0.2"
        };
        let found = |records| {
            Ok(Answer {
                records,
                ttl: 60 * SECOND,
            })
        };
        let reply = Reply::Addresses([found(vec![address.parse().unwrap()]), found(vec![])]);
        scene.names.answered(&question, reply, scene.now);
    }
    assert_eq!(scene.targets(), ["127.0.0.1:80", "127.0.0.2:81"]);
    assert_eq!(scene.wait(), 10 * SECOND);
    answer(&mut scene, &[("b.test", 82)]);
    assert_eq!(
        scene.targets(),
        ["127.0.0.2:82"],
        "known already, not asked again"
    );
    assert_eq!(scene.wait(), 10 * SECOND);
    answer(&mut scene, &[("", 0)]);
    assert_eq!(
        scene.targets(),
        ["127.0.0.2:82"],
        "no service is no reason to lose the last"
    );
    assert!(scene.fault().unwrap().contains("no SRV record"));
}

#[test]
fn names_that_stay_keep_what_is_known_and_others_are_forgotten() {
    let mut scene = Scene::new("app.test:80");
    scene.answer(Ok((&["127.0.0.1"], 60)), Ok((&[], 60)));
    scene.now += 5 * SECOND;
    scene.want();
    assert!(scene.names.take_due(scene.now, 10).is_empty());
    assert_eq!(scene.targets(), ["127.0.0.1:80"]);
    scene.names.want(std::iter::empty(), scene.now);
    assert!(scene.targets().is_empty() && scene.names.next_due().is_none());
    // An answer that comes too late is nobody's.
    scene.want();
    let question = scene.ask();
    scene.names.want(std::iter::empty(), scene.now);
    let reply = Reply::Service(Err("late".to_owned()));
    scene.names.answered(&question, reply, scene.now);
    assert!(scene.names.next_due().is_none());
}
