//! Metric checks against a real Prometheus server, which scrapes what the test serves.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::{answering, checked_until, file, locally};

const EXPOSITION: &str = "# TYPE load gauge\nload{host=\"a\"} 3\nload{host=\"b\"} 7\n\
                          # TYPE requests counter\nrequests_total 10\n";

/// A server of this test alone; ends with it.
struct Prometheus {
    child: Child,
    data: PathBuf,
    url: String,
}

impl Prometheus {
    /// `None`, said aloud, where it is not installed.
    fn start(scraped: std::net::SocketAddr) -> Option<Self> {
        let config = format!(
            "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\n\
             scrape_configs: [{{job_name: test, static_configs: [{{targets: ['{scraped}']}}]}}]\n"
        );
        let config = file("prometheus.yml", &config);
        let data = PathBuf::from(file("prometheus-data", "")).with_extension("d");
        let mut child = match Command::new("prometheus")
            .arg(format!("--config.file={config}"))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--web.route-prefix=/prom")
            .stderr(Stdio::piped())
            .spawn()
        {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: prometheus cannot be started: {error}");
                return None;
            }
        };
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines().map(Result::unwrap);
        let said = "msg=\"Listening on\" address=";
        let address = lines.find_map(|line| Some(line.split_once(said)?.1.to_owned()));
        let url = format!("http://{}/prom", address.unwrap());
        // It must be able to go on logging.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, data, url })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.data);
    }
}

#[tokio::test]
async fn expressions_are_evaluated_by_a_real_server() {
    locally(async {
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n{EXPOSITION}",
            EXPOSITION.len()
        );
        let Some(server) = Prometheus::start(answering(response)) else {
            return;
        };
        let check = |query: &str, condition: &str| {
            format!(
                "type = \"metric\"\nurl = \"{}\"\nquery = '{query}'\n{condition}\n\
                 interval = \"2s\"\ntimeout = \"1900ms\"\ninsufficient-data = \"unhealthy\"",
                server.url
            )
        };
        // Until the first scrape there is no data.
        let all = check("load", "comparison = \"<\"\nthreshold = 8");
        let (found, _) = checked_until(&all, |seen| seen == "all of 2 samples < 8").await;
        assert!(found.healthy);
        for (query, condition, healthy, seen) in [
            ("load", "comparison = \"<\"\nthreshold = 7", false, "1 of 2 samples: 7 is not < 7 {"),
            ("max(load)", "comparison = \">=\"\nthreshold = 7", true, "7 >= 7"),
            ("scalar(sum(load))", "comparison = \"==\"\nthreshold = 10.0", true, "10 == 10"),
            ("load{host=\"c\"}", "comparison = \"<\"\nthreshold = 7", false, "no data: the query gives no sample"),
            ("load[1m]", "comparison = \"<\"\nthreshold = 7", false, "no data: the query gives ranges"),
            ("\"text\"", "comparison = \"<\"\nthreshold = 7", false, "no data: the query gives a string"),
            ("sum(", "comparison = \"<\"\nthreshold = 7", false, "no data: HTTP/1.1 400 Bad Request: invalid parameter"),
            ("sum(requests_total) / 0 - 1 / 0", "comparison = \"<\"\nthreshold = 7", false, "no data: the query gives no sample"),
        ] {
            let check = check(query, condition);
            // A scrape that came late leaves nothing to evaluate until the next one.
            let (found, _) = checked_until(&check, |found| found.starts_with(seen)).await;
            assert_eq!(found.healthy, healthy, "{query}");
        }
    })
    .await;
}
