//! Anomaly mitigation at the board: less for who fails more, in the table and undone with the key.

use std::time::Duration;

use conf::TrafficFailure;

use super::*;
use crate::TrafficOutcome;

const C: u16 = 3003;
const PORTS: [u16; 3] = [A, B, C];

/// Fifty requests on each target, of which the first `failing` of A fail; then an interval.
async fn interval(board: &script::Running, failing: usize) {
    let bad = TrafficOutcome::Failure(TrafficFailure::ServerError);
    for port in PORTS {
        let (slot, signal) = board.slot("app", port);
        for n in 0..50 {
            let outcome = match port == A && n < failing {
                true => bad,
                false => TrafficOutcome::Success,
            };
            board
                .handle
                .reporter()
                .observe(&signal, slot, n % 2, outcome);
        }
    }
    sleep(Duration::from_secs(5)).await;
}

fn left_with(board: &script::Running) -> Vec<Option<u8>> {
    let anomaly = |&port| board.target("app", port).anomaly;
    let all = PORTS.iter().map(anomaly);
    all.map(|anomaly| anomaly.map(|anomaly| anomaly.share))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn who_fails_more_than_the_others_is_left_with_less() {
    started(Script::passing(), async |board, _| {
        let config = || ConfigText::group("app", &PORTS);
        board.serve(config().anomaly_mitigation(), 1).await;
        for port in PORTS {
            board.until("app", port, TargetState::Healthy).await;
        }
        interval(board, 0).await;
        assert_eq!(left_with(board), [Some(100); 3]);
        interval(board, 20).await;
        interval(board, 20).await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(left_with(board), [Some(25), Some(100), Some(100)]);
        let target = board.target("app", A);
        assert!(target.anomaly.unwrap().anomalous);
        assert_eq!(target.state, TargetState::Healthy, "and not out of use");
        assert_eq!(target.share(Duration::ZERO, Instant::now()), 25);
        interval(board, 0).await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(left_with(board), [Some(50), Some(100), Some(100)]);
        board.serve(config(), 2).await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(left_with(board), [None; 3]);
    })
    .await;
}
