//! A file with every key there is, and what each comes to.

use super::*;

#[test]
fn everything_that_can_be_written() {
    let config = resolved(include_str!("everything.toml"));
    let runtime = &config.runtime;
    assert_eq!(
        (runtime.workers, runtime.grace, runtime.shutdown_delay),
        (2, s(60), s(5))
    );
    assert_eq!(runtime.max_probes, 100);
    assert_eq!(
        config.logs.access,
        AccessLog::File("/etc/pointsman/access.log".into())
    );
    let flow = AccessLog::File("/etc/pointsman/flow.log".into());
    assert_eq!(config.logs.flow, Some(flow));
    assert_eq!(config.logs.flow_format, LogFormat::Aws);
    let connection = AccessLog::File("/etc/pointsman/connections.log".into());
    assert_eq!(config.logs.connection, connection);
    assert_eq!(config.logs.connection_format, LogFormat::Aws);
    assert_eq!(config.logs.past_requests, 50);
    assert_eq!(config.admin.hosts, ["admin.test"]);
    let web = &config.listeners[0];
    assert_eq!((web.binds.len(), web.advertise.len()), (2, 2));
    assert_eq!(
        (web.max_connections, web.idle_timeout),
        (500, Duration::from_millis(500))
    );
    assert_eq!(
        (web.min_rate, web.min_rate_window, web.request_timeout),
        (1024, s(20), s(3600))
    );
    let page = &web.error_pages[0];
    assert_eq!(
        (&page.statuses[..], &page.classes[..]),
        (&[404][..], &[5][..])
    );
    assert_eq!(page.parts, [PagePart::Value(PageValue::Status)]);
    assert_eq!((web.header_timeout, web.max_header_bytes), (s(2), 16 << 10));
    let [deny, allow] = &web.filter[..] else {
        panic!("two filter rules were written: {:?}", web.filter)
    };
    assert_eq!((deny.number, deny.allow, allow.number), (10, false, 20));
    assert_eq!(deny.source_ports, [0..=1023]);
    assert_eq!(allow.ports, [8080..=8080, 9000..=9999]);
    assert!(allow.networks.len() >= 2 && !deny.networks.is_empty());
    let app = &config.target_groups[0];
    assert_eq!(app.algorithm, Algorithm::LeastOutstandingRequests);
    assert_eq!(app.unhealthy_flows, UnhealthyFlows::EndAfter(s(300)));
    let backup = &app.targets[1];
    assert_eq!(
        (
            backup.weight,
            backup.backup,
            backup.availability_zone.as_str()
        ),
        (2, true, "a")
    );
    assert_eq!(
        app.unhealthy_state_routing,
        MinimumHealthy {
            count: 2,
            percentage: 50
        }
    );
    assert_eq!(
        app.dns_failover,
        MinimumHealthy {
            count: 2,
            percentage: 60
        }
    );
    let check = &app.health_check;
    assert_eq!((check.port, check.interval), (Some(9000), s(1)));
    assert_eq!(
        check.timeout,
        Duration::from_millis(800),
        "follows a short interval"
    );
    assert_eq!(check.fast_interval, Duration::from_millis(200));
    let TargetHealthCheckKind::Http(HttpCheck {
        method,
        path,
        host,
        headers,
        matcher,
        search_string,
        version: HttpVersion::Http1,
        tls: None,
    }) = &check.kind
    else {
        panic!("a path asks for http");
    };
    assert_eq!(
        (path.as_str(), host.as_deref()),
        ("/up?deep=1", Some("app.test"))
    );
    assert_eq!(matcher.ranges, [(200, 202), (301, 301)]);
    assert_eq!((*method, search_string.as_deref()), ("POST", Some("ok")));
    assert_eq!(*headers, [("X-Probe".to_owned(), "yes".to_owned())]);
    let TargetHealthCheckKind::Http(HttpCheck { tls: Some(tls), .. }) =
        &config.target_groups[1].health_check.kind
    else {
        panic!("https was asked for");
    };
    assert_eq!(tls.server_name.as_deref(), Some("app.test"));
    assert_eq!(tls.trust, TlsTrust::Anyone);
    let frames = &config.target_groups[6].health_check.kind;
    let TargetHealthCheckKind::Http(HttpCheck { version, tls, .. }) = frames else {
        panic!("h2c was asked for");
    };
    assert_eq!(
        (*version, tls, frames.as_str()),
        (HttpVersion::Http2, &None, "h2c")
    );
    let greeting = TcpCheck {
        send: Vec::new(),
        receive: Some(b"220".to_vec()),
    };
    let greeters = &config.target_groups[7].health_check.kind;
    assert_eq!(greeters, &TargetHealthCheckKind::Tcp(greeting));
    let secret = &config.target_groups[1];
    assert!(secret.proxy_out.options.unique_id && !secret.proxy_out.options.crc32c);
    assert_eq!(
        (
            secret.proxy_out.version,
            secret.health_check.proxy_protocol_out
        ),
        (ProxyProtocol::V2, ProxyProtocol::V2)
    );
    let proxy = |group: usize| config.target_groups[group].health_check.proxy_protocol_out;
    assert_eq!(
        (proxy(6), proxy(7)),
        (ProxyProtocol::Off, ProxyProtocol::V2)
    );
    let kind = |group: usize| &config.target_groups[group].health_check.kind;
    let udp = UdpCheck {
        send: b"ping".to_vec(),
        receive: Some(b"pong".to_vec()),
    };
    assert_eq!(kind(2), &TargetHealthCheckKind::Udp(udp));
    let TargetHealthCheckKind::Grpc(grpc) = kind(3) else {
        panic!("grpc was asked for");
    };
    assert_eq!(grpc.path, "/grpc.health.v1.Health/Check");
    assert_eq!(grpc.service.as_deref(), Some("a.B"));
    assert_eq!(grpc.matcher.ranges, [(0, 0), (5, 6)]);
    assert!(grpc.tls.is_some());
    let send = b"state".to_vec();
    let agent = TargetHealthCheckKind::Agent(AgentCheck { send });
    assert_eq!(kind(4), &agent);
    let TargetHealthCheckKind::Exec(exec) = kind(5) else {
        panic!("a command was written");
    };
    assert!(exec.program.is_absolute() && exec.program.ends_with("sh"));
    assert_eq!(exec.arguments, ["-c", "exit 0"]);

    let most = HealthCheckKind::Calculated {
        children: vec![CheckIdx(3), CheckIdx(1), CheckIdx(2)],
        health_threshold: 2,
    };
    assert_eq!(config.health_checks[0].kind, most);
    let page = &config.health_checks[1];
    assert!(page.disabled && page.inverted && endpoint(page).measure_latency);
    let http = endpoint(page).http.as_ref().unwrap();
    let tls = http.tls.as_ref().unwrap();
    assert_eq!((tls.sni, &tls.trust), (Sni::NotSent, &TlsTrust::Anyone));
    assert_eq!(http.search_string.as_deref(), Some("ok"));
    let group = HealthCheckKind::TargetGroup(GroupIdx(2));
    assert_eq!(config.health_checks[2].kind, group);

    let zone = &config.dns.as_ref().unwrap().zones[0];
    assert_eq!(
        (zone.id.as_str(), zone.name.as_str()),
        ("main", "example.test.")
    );
    assert_eq!(
        zone.file.as_ref().unwrap().value,
        Path::new("/etc/pointsman/example.zone")
    );
    let by_name = |name: &str| zone.records.iter().find(|r| r.name.value == name).unwrap();
    let apex = by_name("@");
    assert_eq!(
        apex.types.iter().map(|t| t.value).collect::<Vec<_>>(),
        [RecordType::A, RecordType::AAAA]
    );
    let SetData::Alias(alias) = &apex.sets[0].data else {
        panic!("an alias was written");
    };
    assert!(matches!(alias.target, AliasTarget::Listener(_)) && alias.evaluate_target_health);
    let weighted = by_name("www");
    assert_eq!((weighted.policy, weighted.ttl), (Policy::Weighted, 30));
    assert_eq!(
        weighted
            .sets
            .iter()
            .map(|set| set.weight)
            .collect::<Vec<_>>(),
        [90, 0]
    );
    assert!(weighted.sets[0].health_check.is_some());
    let failover = by_name("api");
    let SetData::Alias(alias) = &failover.sets[0].data else {
        panic!("an alias was written");
    };
    assert!(matches!(&alias.target, AliasTarget::Record(name) if name.value == "www"));
    assert!(!alias.evaluate_target_health);
    let of = |name: &str| by_name(name).sets.iter().map(|set| set.audience);
    let state = Place {
        subdivision: Subdivision::parse("CA"),
        ..Place::in_country(Country::parse("US").unwrap())
    };
    let europe = Place {
        continent: Some(Continent::Europe),
        ..Place::default()
    };
    let places = [state, europe, Place::default()].map(Audience::Place);
    assert_eq!(of("near").collect::<Vec<_>>(), places);
    let locations = [Some(1), None].map(Audience::CidrLocation);
    assert_eq!(of("site").collect::<Vec<_>>(), locations);
    assert_eq!(
        by_name("site").cidr_collection.unwrap(),
        conf::CollectionIdx(0)
    );
    assert_eq!(config.networks[0].whereabouts.place, state);
    let dns = config.dns.as_ref().unwrap();
    assert_eq!(
        dns.home.unwrap().place.country.unwrap(),
        Country::parse("DE").unwrap()
    );
    let senders: Vec<String> = dns.ecs.iter().map(ToString::to_string).collect();
    assert_eq!(senders, ["192.0.2.53/32", "10.0.0.0/8"]);
}
