//! Timing passes of engines, which take turns so that other load on the machine affects all of them alike.
//!
//! Two measures keep other load out of the figures. Processor time of this thread is measured, not wall time, so waiting for
//! the processor costs nothing. And for each chunk of events the best time over all passes counts, since a disturbance seldom
//! hits the same events twice; the sum over chunks is the time of a pass without disturbances.
//!
//! An event that has just been received is in a cache of the processor, so each chunk is read before it is timed. Otherwise
//! (`--cold`) all engines that read only the beginning of an event are as fast as memory: two hundred nanoseconds for its
//! first cache line, whatever else they do.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::args::Args;
use crate::engine::Engine;
use crate::report::{Counts, Report};

/// The number of events that are timed together: enough to make the cost of the clock negligible, and few enough that a
/// disturbance affects few.
const CHUNK: usize = 128;

/// Times the engines on the events, and checks their results.
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
    let mut best = vec![Vec::new(); engines.len()];
    // Some engines finish building on their first event, which takes quamina many seconds for a million rules.
    for engine in &mut engines {
        std::hint::black_box(engine.pass(&events[..events.len().min(1)]));
    }
    for _ in 0..args.rounds() {
        for ((engine, spent), best) in engines.iter_mut().zip(&mut spent).zip(&mut best) {
            if *spent < patience {
                *spent += pass(&mut **engine, events, args, best);
            }
        }
    }
    for (engine, best) in engines.iter().zip(&best) {
        let seen = events.len().min(best.len() * CHUNK);
        report.time(row, engine.name(), best.iter().sum::<Duration>().as_nanos() as f64 / seen as f64);
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

/// Times one pass, until patience runs out, and updates the best times of its chunks.
fn pass(engine: &mut dyn Engine, events: &[&[u8]], args: &Args, best: &mut Vec<Duration>) -> Duration {
    let mut spent = Duration::ZERO;
    for (at, chunk) in events.chunks(CHUNK).enumerate() {
        if !args.cold {
            let read = |event: &&[u8]| event.iter().fold(0_u8, |all, byte| all ^ byte);
            std::hint::black_box(chunk.iter().map(read).fold(0, |all, one| all ^ one));
        }
        let start = now();
        std::hint::black_box(engine.pass(chunk));
        let taken = now().saturating_sub(start);
        match best.get_mut(at) {
            Some(best) => *best = taken.min(*best),
            None => best.push(taken),
        }
        spent += taken;
        if spent.as_secs_f64() > args.patience {
            break;
        }
    }
    spent
}

/// The processor time of this thread.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
