//! Counts the instructions of hot paths and compares them with a committed baseline.
//!
//! ```console
//! $ cargo run --release -p benches --bin instructions               # fails if a count is too far above its baseline
//! $ cargo run --release -p benches --bin instructions -- --update   # writes the baseline, benches/instructions.tsv
//! ```
//!
//! Times on a shared machine mean little; the counts of valgrind's callgrind are the same for each run of a build. They depend
//! on the compiler, the C library and the vector instructions of the processor, hence a tolerance. The crate gungraun is not
//! used: it needs a runner of the same version installed, and keeps its baselines outside of the repository.
//!
//! This program runs itself under callgrind once for each [`work`]. Only the instructions inside of [`counted`] count.

mod baseline;
mod work;

use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use baseline::Baseline;

/// The relative excess of a count over its baseline that is allowed. Maps with random seeds change some by a few hundredths.
const TOLERANCE: f64 = 0.15;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [] => compare(),
        ["--update"] => update(),
        ["--work", name] => {
            return match work::all().into_iter().find(|work| work.name == name) {
                Some(work) => {
                    let mut work = (work.prepare)();
                    counted(&mut *work);
                    ExitCode::SUCCESS
                }
                None => ExitCode::FAILURE,
            };
        }
        _ => Err("usage: instructions [--update]".to_owned()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// Callgrind counts the instructions inside of this function, which it finds by name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

/// Prints the counts, and returns whether none is too far above its baseline.
fn compare() -> Result<bool, String> {
    let baseline = Baseline::read()?;
    let mut good = true;
    println!("{:<28} {:>12} {:>12}", "instructions per event", "baseline", "now");
    for (name, now) in count_all()? {
        let then = baseline.get(name);
        let change = then.map(|then| now / then - 1.0);
        let verdict = match change {
            Some(change) if change > TOLERANCE => {
                good = false;
                "  WORSE: make it faster, or say in a commit why it is not and update the baseline"
            }
            Some(change) if change < -TOLERANCE => "  better: update the baseline",
            Some(_) => "",
            None => {
                good = false;
                "  NOT IN THE BASELINE: update it"
            }
        };
        let then = then.map_or("–".to_owned(), |then| format!("{then:.0}"));
        let change = change.map_or(String::new(), |change| format!("{:+.1} %", change * 100.0));
        println!("{name:<28} {then:>12} {now:>12.0} {change:>9}{verdict}");
    }
    Ok(good)
}

fn update() -> Result<bool, String> {
    Baseline::write(&count_all()?)?;
    Ok(true)
}

/// All counts, in the order of the works. They run in parallel, which does not affect the counts.
fn count_all() -> Result<Vec<(&'static str, f64)>, String> {
    let works: Vec<_> = work::all().iter().map(|work| (work.name, work.events)).collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let mut counts = thread::scope(|scope| {
        let take_turns = || {
            let mut counts = Vec::new();
            while let Some((name, events)) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
                counts.push(count(name, *events).map(|count| (*name, count)));
            }
            counts
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(take_turns)).collect();
        let counts = threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default());
        counts.collect::<Result<Vec<_>, String>>()
    })?;
    if counts.len() < works.len() {
        return Err("a thread that counts has stopped".to_owned());
    }
    counts.sort_by_key(|(name, _)| works.iter().position(|(other, _)| other == name));
    Ok(counts)
}

/// Instructions per event.
fn count(name: &str, events: usize) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*instructions*counted*",
        ])
        .arg(program)
        .args(["--work", name])
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}; it is Debian's package valgrind"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    // ==123== Collected : 4567
    let collected =
        report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<f64>().ok());
    match collected {
        Some(collected) if output.status.success() && collected > 0.0 => Ok(collected / events as f64),
        _ => Err(format!("{name}: valgrind ended with {} and no count:\n{report}", output.status)),
    }
}
