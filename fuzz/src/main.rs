//! The fuzz runner: mutates seeds for each body, keeps what gives a new outcome, and shows the
//! input that made a body panic.
//!
//! Started by `fuzz/run`; `./test` runs it for some seconds a body. Stable Rust, no instrumentation:
//! instead of coverage it goes by outcomes, small numbers in which a body says what became of its
//! input. The same `--seed` gives the same inputs.

mod bodies;
mod mutation;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use bodies::Body;

/// Inputs a body's corpus may hold; a new outcome then replaces a random one.
const MAX_CORPUS: usize = 4096;

/// Mutates input for the parsers of Pointsman.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds for each body.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed gives the same inputs.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these bodies.
    bodies: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let all = bodies::all();
    let known = |name: &String| all.iter().any(|body| body.name == *name);
    if let Some(stranger) = arguments.bodies.iter().find(|name| !known(name)) {
        let names: Vec<&str> = all.iter().map(|body| body.name).collect();
        eprintln!(
            "there is no body `{stranger}`; there are: {}",
            names.join(" ")
        );
        return ExitCode::from(64);
    }
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut failed = 0;
    let mut passed = 0;
    for mut body in all {
        let wanted = arguments.bodies.is_empty() || arguments.bodies.iter().any(|n| n == body.name);
        if !wanted {
            continue;
        }
        match run(&mut body, seed, Duration::from_secs(arguments.seconds)) {
            Ok(told) => {
                passed += 1;
                println!("{:15} {told}", body.name);
            }
            Err(input) => {
                failed += 1;
                println!("{:15} PANICKED on b\"{}\"", body.name, input.escape_ascii());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

/// Runs one body for `time`; the input that made it panic, or what happened.
fn run(body: &mut Body, seed: u64, time: Duration) -> Result<String, Vec<u8>> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut corpus = std::mem::take(&mut body.seeds);
    let mut outcomes = HashSet::new();
    let mut runs = 0_u64;
    for seed in &corpus {
        outcomes.insert(attempt(body, seed)?);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "how long to go on is the only thing timed"
    )]
    let begun = std::time::Instant::now();
    while begun.elapsed() < time {
        for _ in 0..64 {
            let input = mutation::mutated(&corpus, body.words, &mut random);
            runs += 1;
            if outcomes.insert(attempt(body, &input)?) {
                if corpus.len() < MAX_CORPUS {
                    corpus.push(input);
                } else {
                    let place = random.random_range(0..corpus.len());
                    corpus[place] = input;
                }
            }
        }
    }
    Ok(format!("{runs} inputs, {} outcomes", outcomes.len()))
}

fn attempt(body: &mut Body, input: &[u8]) -> Result<u64, Vec<u8>> {
    catch_unwind(AssertUnwindSafe(|| (body.run)(input))).map_err(|_| input.to_vec())
}
