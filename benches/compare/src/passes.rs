//! Engines take their passes in turn, so that whatever else the machine does falls on all of them alike.
//!
//! Two things keep the rest of the machine out of the figures. What is taken is the time that this thread was on a processor,
//! not the time on the wall, so that waiting for a turn costs nothing. And of each chunk of events the best time over all
//! passes counts, since a disturbance seldom falls on the same events twice; their sum is the time of a pass without any.
//!
//! An event that has just been received is in a cache of the processor, so each chunk is read before it is timed. Otherwise
//! (`--cold`) those who look at the beginning of an event only are all as fast as the memory, two hundred nanoseconds for the
//! first of its lines, whatever else they do.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::args::Args;
use crate::engine::Engine;
use crate::report::{Counts, Report};

/// So many events are timed together: reading the clock costs nothing that can be seen, and a disturbance spoils few.
const CHUNK: usize = 128;

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
    let mut best = vec![Vec::new(); engines.len()];
    // Some build the last of what they need on their first event: many seconds for a million rules in quamina.
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

/// The time for the events, or for those that were seen before patience ran out; improves the best times of their chunks.
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

/// How long this thread has been on a processor.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
