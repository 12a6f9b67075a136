//! What targets answer health checks with: HTTP heads and bodies, gRPC frames, agents' lines, and what
//! a Prometheus server answers.

use healthcheck::answers::{HttpAnswer, agent_line, health_frame, http_answer, metric_answer};

use super::{Body, outcome, seeds};

pub(super) fn http() -> Body {
    let gzip = [
        &b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"[..],
        // "hello", as gzip makes it.
        &[
            31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0,
            0, 0,
        ],
    ]
    .concat();
    let mut seeds = seeds(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 503 Slow Down\r\nContent-Encoding: deflate\r\n\r\nx",
    ]);
    seeds.push(gzip);
    Body {
        name: "probe-http",
        seeds,
        words: &[
            b"\r\n",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Encoding: gzip\r\n",
            b"Content-Encoding: deflate\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"fffffffffffffff\r\n",
        ],
        run: Box::new(run_http),
    }
}

fn run_http(input: &[u8]) -> u64 {
    let whole = http_answer(input, input.len());
    for size in [1, 2, 7] {
        let split = http_answer(input, size);
        assert_eq!(split, whole, "in pieces of {size}");
    }
    outcome(match whole {
        HttpAnswer::Read {
            status,
            window,
            is_over,
        } => (u64::from(status / 100), window.len().min(8), is_over),
        HttpAnswer::Incomplete => (10, 0, false),
        HttpAnswer::Malformed => (11, 0, false),
        HttpAnswer::Coded => (12, 0, false),
    })
}

pub(super) fn words() -> Body {
    Body {
        name: "probe-words",
        seeds: seeds(&[
            "up 75% maxconn:30",
            "down#disk full",
            "ready,drain\tmaint stopped",
            "\0\0\0\0\u{2}\u{8}\u{1}",
        ]),
        words: &[
            b"up",
            b"down",
            b"maint",
            b"100%",
            b"65536%",
            b"maxconn:",
            b"#",
            b"\0\0\0\0",
        ],
        run: Box::new(|input| {
            let line = String::from_utf8_lossy(input);
            outcome((agent_line(&line), health_frame(input)))
        }),
    }
}

pub(super) fn metric() -> Body {
    Body {
        name: "probe-metric",
        seeds: seeds(&[
            r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"0.5"]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}"#,
            r#"{"status":"error","errorType":"bad_data","error":"x"}"#,
        ]),
        words: &[
            br#""resultType":"vector""#,
            br#""resultType":"matrix""#,
            br#""value":[1,"NaN"]"#,
            br#""+Inf""#,
            b"1e999",
            b"[[[[",
            b"{}",
        ],
        run: Box::new(|input| outcome(metric_answer(input))),
    }
}
