//! The connection log, and what leads to it.

use std::time::{Duration, UNIX_EPOCH};

use conf::{AccessLog, LogFormat, Logs};

use super::super::{CertificateRecord, ConnectionRecord, LogRing, TlsRecord, start};
use super::{TRACE, logs, record};
use crate::metrics::PerWorker;
use crate::tls::HandshakeReason;

/// The connection log after `write`.
async fn connections(name: &str, format: LogFormat, write: impl FnOnce(&LogRing)) -> String {
    let path = std::env::temp_dir().join(format!("pm-conn-{name}-{}", std::process::id()));
    let (control, rings) = start(&AccessLog::Off, 1, &PerWorker::new(1)).unwrap();
    let logs = Logs {
        connection: AccessLog::File(path.clone()),
        ..logs(AccessLog::Off, None, format)
    };
    control.set(&logs).unwrap();
    assert!(rings[0].logs_connections() && !rings[0].is_on());
    write(&rings[0]);
    control.close().await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    text
}

fn three_connections(ring: &LogRing) {
    let clear = ConnectionRecord {
        time: UNIX_EPOCH + Duration::from_micros(1_500_042),
        listener: "web",
        client: "[::ffff:192.0.2.7]:4711".parse().unwrap(),
        local: "198.51.100.1:443".parse().unwrap(),
        trace: TRACE,
        tls: None,
    };
    let client = CertificateRecord {
        serial: "1F00",
        subject: "CN=a \"b\",O=M\u{fc}ller",
        validity: "NotBefore=2020-01-01T00:00:00Z;NotAfter=2049-12-31T23:59:59Z",
    };
    let tls = TlsRecord {
        handshake: Some(Duration::from_micros(7_400)),
        cipher: "TLS_AES_128_GCM_SHA256",
        version: "tlsv13",
        named_group: "x25519",
        client: Some(client),
        ..TlsRecord::default()
    };
    let failed = TlsRecord {
        client: Some(client),
        failure: Some((HandshakeReason::ClientCertificateExpired, "it expired")),
        ..TlsRecord::default()
    };
    for tls in [None, Some(tls), Some(failed)] {
        ring.connection(&ConnectionRecord { tls, ..clear });
    }
}

#[tokio::test]
async fn connections_are_written_as_alb_does() {
    let log = connections("alb", LogFormat::Aws, three_connections).await;
    let subject = "\"CN=a \\x22b\\x22,O=M\\xC3\\xBCller\"";
    let validity = "NotBefore=2020-01-01T00:00:00Z;NotAfter=2049-12-31T23:59:59Z";
    let (start, trace) = (
        "1970-01-01T00:00:01.500042Z 192.0.2.7 4711 443",
        "TID_00000000000000ab0000000000000001",
    );
    let expected = format!(
        "{start} - - - \"-\" - - - {trace} - web 198.51.100.1\n\
         {start} TLSv1.3 TLS_AES_128_GCM_SHA256 0.007 {subject} {validity} 1F00 Success {trace} x25519 \
         web 198.51.100.1\n\
         {start} - - - {subject} {validity} 1F00 Failed:ClientCertExpired {trace} - web 198.51.100.1\n"
    );
    assert_eq!(log, expected);
}

#[tokio::test]
async fn connections_are_json_lines() {
    let log = connections("json", LogFormat::Json, three_connections).await;
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    let clear = serde_json::json!({
        "time": "1970-01-01T00:00:01.500Z", "type": "connection", "listener": "web",
        "action": "accept", "client": "[::ffff:192.0.2.7]:4711", "local": "198.51.100.1:443",
        "conn_trace_id": "TID_00000000000000ab0000000000000001",
    });
    assert_eq!(lines[0], clear);
    assert_eq!(lines[1]["action"], "accept");
    assert_eq!(lines[1]["tls_client_subject"], "CN=a \"b\",O=M\u{fc}ller");
    let failed = (&lines[2]["action"], &lines[2]["tls_reason"]);
    assert_eq!(
        failed,
        (&"reject".into(), &"client-certificate-expired".into())
    );
}

#[tokio::test]
async fn exchanges_name_their_connection_where_those_are_logged() {
    let file = |kind| std::env::temp_dir().join(format!("pm-named-{kind}-{}", std::process::id()));
    let (access, connection) = (file("access"), file("connection"));
    let (control, rings) = start(&AccessLog::Off, 1, &PerWorker::new(1)).unwrap();
    let mut logs = logs(AccessLog::File(access.clone()), None, LogFormat::Json);
    control.set(&logs).unwrap();
    rings[0].exchange(&record(b"/alone"));
    logs.connection = AccessLog::File(connection.clone());
    control.set(&logs).unwrap();
    rings[0].exchange(&record(b"/named"));
    control.close().await;
    let text = std::fs::read_to_string(&access).unwrap();
    std::fs::remove_file(&access).unwrap();
    std::fs::remove_file(&connection).unwrap();
    let names = text
        .lines()
        .map(|line| line.contains("\"conn_trace_id\":\"TID_"));
    assert_eq!(names.collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn neither_end_of_a_connection_over_a_unix_socket_has_an_address() {
    let over_unix = |ring: &LogRing| {
        ring.connection(&ConnectionRecord {
            time: UNIX_EPOCH,
            listener: "web",
            client: "0.0.0.0:7".parse().unwrap(),
            local: "127.0.0.1:80".parse().unwrap(),
            trace: TRACE,
            tls: None,
        });
    };
    let log = connections("unix", LogFormat::Json, over_unix).await;
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(
        (&line["client"], &line["local"]),
        (&"unix:".into(), &"unix:".into())
    );
    let log = connections("unix-aws", LogFormat::Aws, over_unix).await;
    let fields: Vec<&str> = log.trim_end().split(' ').collect();
    assert_eq!(fields.len(), 15, "{log}");
    assert_eq!((&fields[1..4], fields[14]), (&["-"; 3][..], "-"), "{log}");
}
