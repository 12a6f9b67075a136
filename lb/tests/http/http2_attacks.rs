//! Clients that wear an HTTP/2 server out, and that they are told to enhance their calm.

use crate::balancer::{Balancer, Options};
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, FrameClient, GET,
    GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
};
use crate::target::Target;

const ENDED: &str = "pointsman_http2_connections_ended_total";

fn balancer() -> (Balancer, Target) {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    (balancer, target)
}

/// Sends what `frames` makes of 0, 1, 2 … until the balancer ends the connection; the error code.
fn attack(client: &mut FrameClient, frames: impl Fn(u32) -> Vec<Frame>) -> Option<u32> {
    for round in 0..20_000 {
        if !client.send_frames(&frames(round)) {
            break;
        }
    }
    let goodbye = client.await_frame(|frame| frame.kind == GOAWAY && frame.code() != 0);
    goodbye.map(|frame| frame.code())
}

#[test]
fn floods_of_frames_without_use_end_the_connection() {
    let (balancer, target) = balancer();
    for (reason, frame) in [
        ("pings", Frame::new(PING, 0, 0, [0; 8])),
        ("settings", Frame::new(SETTINGS, 0, 0, [])),
        (
            "window-updates",
            Frame::new(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]),
        ),
        ("other-frames", Frame::new(2, 0, 1, [0, 0, 0, 0, 1])),
        ("other-frames", Frame::new(0xbe, 0, 0, [0; 3])),
    ] {
        let before = balancer.metric(ENDED, reason);
        let mut client = FrameClient::connect(balancer.address);
        let code = attack(&mut client, |_| vec![frame.clone(); 10]);
        // The crate may find a flood of window updates to be too much for the window first.
        assert!(
            code.is_none_or(|code| code == ENHANCE_YOUR_CALM),
            "{reason}: {code:?}"
        );
        balancer.expect_metric(ENDED, reason, before + 1.0);
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn empty_data_and_continuations_without_end_are_cut_off() {
    let (balancer, _target) = balancer();
    let mut client = FrameClient::connect(balancer.address);
    client.send_frames(&[Frame::new(HEADERS, END_HEADERS, 1, block(&GET))]);
    attack(&mut client, |_| vec![Frame::new(DATA, 0, 1, []); 10]);
    balancer.expect_metric(ENDED, "", 1.0);
    let mut client = FrameClient::connect(balancer.address);
    client.send_frames(&[Frame::new(HEADERS, 0, 1, block(&GET))]);
    attack(&mut client, |_| {
        let more = block(&[("x", "0123456789")]);
        vec![Frame::new(CONTINUATION, 0, 1, more); 10]
    });
    balancer.expect_metric(ENDED, "", 2.0);
}

#[test]
fn streams_taken_back_at_once_end_the_connection() {
    let (balancer, _target) = balancer();
    let mut client = FrameClient::connect(balancer.address);
    let code = attack(&mut client, |round| {
        let stream = round * 2 + 1;
        vec![
            Frame::request(stream, &GET),
            Frame::new(RST_STREAM, 0, stream, [0, 0, 0, 8]),
        ]
    });
    assert!(
        code.is_none_or(|code| code == ENHANCE_YOUR_CALM),
        "{code:?}"
    );
    balancer.expect_metric(ENDED, "", 1.0);
}

#[test]
fn streams_that_the_balancer_is_made_to_reset_end_the_connection() {
    let (balancer, _target) = balancer();
    let mut client = FrameClient::connect(balancer.address);
    let code = attack(&mut client, |round| {
        let stream = round * 2 + 1;
        vec![
            Frame::new(HEADERS, END_HEADERS, stream, block(&GET)),
            Frame::new(WINDOW_UPDATE, 0, stream, [0x7f, 0xff, 0xff, 0xff]),
        ]
    });
    assert!(
        code.is_none_or(|code| code == ENHANCE_YOUR_CALM),
        "{code:?}"
    );
    balancer.expect_metric(ENDED, "calm", 1.0);
}

#[test]
fn a_small_block_that_unfolds_to_much_is_refused() {
    let (balancer, target) = balancer();
    let mut client = FrameClient::connect(balancer.address);
    // One literal that the table keeps, then 16,000 references to it: 4 KB each.
    let value = "v".repeat(4000);
    let mut payload = block(&GET);
    payload.extend([0x40, 1, b'x', 127]);
    payload.extend([(4000_u32 - 127) as u8 | 128, ((4000 - 127) >> 7) as u8]);
    payload.extend(value.as_bytes());
    payload.extend(vec![0xbe; 10_000]);
    let bomb = Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, payload);
    client.send_frames(&[bomb]);
    let answer = client.await_frame(|frame| frame.stream == 1 || frame.kind == GOAWAY);
    // 431, a literal of name 8, or the end.
    let answer = answer.unwrap();
    assert!(
        answer.kind != HEADERS || answer.payload.starts_with(&[0x48]),
        "{answer:?}"
    );
    assert_eq!(target.connections(), 0);
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let target = Target::scripted(|mut connection| {
        while connection.head().is_some() {
            connection.answer(&"x".repeat(1_000_000));
        }
    });
    let options = Options {
        listener: "idle-timeout = \"300ms\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let mut client = FrameClient::connect(balancer.address);
    // No window for any stream.
    client.send_frames(&[Frame::new(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0])]);
    for stream in 0..64 {
        client.send_frames(&[Frame::request(stream * 2 + 1, &GET)]);
    }
    let mut resets = 0;
    while resets < 64 {
        let frame = client.await_frame(|frame| frame.kind == RST_STREAM);
        assert!(frame.is_some(), "{resets}");
        resets += 1;
    }
}
