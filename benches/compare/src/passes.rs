//! Engines take their passes in turn, so that whatever else the machine does falls on all of them alike; the best of each counts.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::engine::Engine;
use crate::report::{Counts, Report};

/// The clock is looked at after so many events, so that reading it costs nothing that can be seen.
const CHUNK: usize = 512;

/// Times the engines on the events, and checks what they answer.
pub(crate) fn run(
    args: &Args,
    row: &str,
    mut engines: Vec<Box<dyn Engine>>,
    events: &[&[u8]],
    expected: &[u64],
    report: &mut Report,
) {
    eprintln!("{row}: {} rules", expected.len());
    let patience = Duration::from_secs_f64(args.patience);
    let mut spent = vec![Duration::ZERO; engines.len()];
    for _ in 0..args.rounds() {
        for (engine, spent) in engines.iter_mut().zip(&mut spent) {
            if *spent < patience {
                let (taken, seen) = pass(&mut **engine, events, patience);
                *spent += taken;
                report.time(row, engine.name(), taken.as_nanos() as f64 / seen as f64);
            }
        }
    }
    for (engine, spent) in engines.iter_mut().zip(spent) {
        // Counting takes as long as a pass.
        if spent < patience || args.rounds() == 1 {
            report.counts(
                row,
                engine.name(),
                engine.count(events).map(|found| Counts::compare(&found, expected)),
            );
        }
    }
}

/// The time for the events, and how many were seen before patience ran out.
fn pass(engine: &mut dyn Engine, events: &[&[u8]], patience: Duration) -> (Duration, usize) {
    let start = now();
    let mut seen = 0;
    for chunk in events.chunks(CHUNK) {
        std::hint::black_box(engine.pass(chunk));
        seen += chunk.len();
        if start.elapsed() > patience {
            break;
        }
    }
    (start.elapsed(), seen)
}

/// The clock.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this program is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
