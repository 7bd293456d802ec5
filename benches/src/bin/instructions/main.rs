//! Counts the instructions of hot paths and compares them with a committed baseline.
//!
//! ```console
//! $ cargo run --release -p benches --bin instructions               # fails if a count is too far above its baseline
//! $ cargo run --release -p benches --bin instructions -- --update   # writes the baseline, benches/instructions.tsv
//! $ cargo run --release -p benches --bin instructions -- --growth   # prints how each operator and shape of filters grows
//! ```
//!
//! Times on a shared machine mean little; the counts of valgrind's callgrind are the same for each run of a build. They depend
//! on the compiler, the C library and the vector instructions of the processor, hence a tolerance. The crate gungraun is not
//! used: it needs a runner of the same version installed, and keeps its baselines outside of the repository.
//!
//! This program runs itself under callgrind once for each [`work`]. Only the instructions inside of [`counted`] count.

mod baseline;
mod growth;
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
        [] => compare().and_then(|good| Ok(good & grow(&[], false)?)),
        ["--update"] => update(),
        ["--growth", ref shapes @ ..] => grow(shapes, true),
        ["--shape", name] => growth::run(name).map(|()| true),
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
        _ => Err("usage: instructions [--update | --growth [SHAPE…]]".to_owned()),
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

/// Judges how these shapes grow, or all. Returns whether none grows too fast.
fn grow(shapes: &[&str], all: bool) -> Result<bool, String> {
    let shapes = if shapes.is_empty() { growth::shapes().collect() } else { shapes.to_vec() };
    println!("growth: {} shapes of filters", shapes.len());
    let counted = in_parallel(&shapes, |shape| callgrind(&["--shape", shape]))?;
    let mut good = true;
    for (shape, Counted { counts, printed }) in shapes.iter().zip(counted) {
        good &= growth::judge(shape, &counts, &printed, all)?;
    }
    Ok(good)
}

/// All counts, in the order of the works.
fn count_all() -> Result<Vec<(&'static str, f64)>, String> {
    let works: Vec<_> = work::all().iter().map(|work| (work.name, work.events)).collect();
    in_parallel(&works, |&(name, events)| match callgrind(&["--work", name])?.counts[..] {
        [count] => Ok((name, count as f64 / events as f64)),
        ref counts => Err(format!("{name}: {} counts instead of one", counts.len())),
    })
}

/// Counts in parallel, which does not affect the counts. The results are in the order of the items.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    count: impl Fn(&T) -> Result<R, String> + Sync,
) -> Result<Vec<R>, String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let mut results = thread::scope(|scope| {
        let take_turns = || {
            let mut results = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(place) else { return results };
                results.push(count(item).map(|result| (place, result)));
            }
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(take_turns)).collect();
        let results = threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default());
        results.collect::<Result<Vec<_>, String>>()
    })?;
    if results.len() < items.len() {
        return Err("a thread that counts has stopped".to_owned());
    }
    results.sort_by_key(|&(place, _)| place);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// What a run of this program under callgrind yields.
struct Counted {
    /// The instructions of each call of [`counted`].
    counts: Vec<u64>,
    printed: String,
}

/// Runs this program under callgrind.
fn callgrind(arguments: &[&str]) -> Result<Counted, String> {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let run = format!("callgrind-{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let directory = std::env::temp_dir().join(run);
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=instructions::counted",
            "--dump-before=instructions::counted",
        ])
        .arg(format!("--callgrind-out-file={}", directory.join("out").display()))
        .arg(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}; it is Debian's package valgrind"))?;
    // Each dump has the count since the one before: the first has nothing, the last has no number in its name.
    let dumps = (2..).map(|dump| format!("out.{dump}"));
    let counts: Vec<u64> = dumps
        .map_while(|dump| std::fs::read_to_string(directory.join(dump)).ok())
        .chain(std::fs::read_to_string(directory.join("out")))
        .filter_map(|dump| dump.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok()))
        .collect();
    // What remains would only be files in the folder for temporary ones.
    let _ = std::fs::remove_dir_all(&directory);
    match output.status.success() && !counts.contains(&0) && !counts.is_empty() {
        true => Ok(Counted { counts, printed: String::from_utf8_lossy(&output.stdout).into_owned() }),
        false => Err(format!(
            "{arguments:?}: valgrind ended with {} and {} counts:\n{}",
            output.status,
            counts.len(),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
