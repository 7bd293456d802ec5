//! Time and memory of building an engine with many rules, including its first event.
//!
//! Each engine is built in a process of its own, which reads the rules from its standard input, so that it cannot reuse memory
//! that another engine has freed.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};

use crate::args::Args;
use crate::engine::Matcher;
use crate::ours::KnownValid;
use crate::passes::now;
use crate::quamina_rs::QuaminaRs;
use crate::report::Report;

/// Measures the engines for sets of rules.
pub(crate) fn all(args: &Args, row: &str, rules: &[String], event: &[u8], report: &mut Report) {
    for engine in [KnownValid::NAME, QuaminaRs::NAME].into_iter().filter(|name| args.wants_engine(name)) {
        match in_a_process(engine, rules, event) {
            Ok((nanoseconds, bytes)) => {
                let each = |total: f64| total / rules.len() as f64;
                report.weight(row, engine, each(nanoseconds), bytes.map(each));
            }
            Err(error) => eprintln!("{row}: {engine}: cannot be weighed: {error}"),
        }
    }
}

fn in_a_process(engine: &str, rules: &[String], event: &[u8]) -> Result<(f64, Option<f64>), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut child = Command::new(std::env::current_exe().map_err(text)?)
        .args(["--weigh", engine])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    stdin.write_all(event).map_err(text)?;
    for rule in rules {
        stdin.write_all(b"\n").and_then(|()| stdin.write_all(rule.as_bytes())).map_err(text)?;
    }
    drop(stdin);
    let output = child.wait_with_output().map_err(text)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut numbers = printed.split_whitespace().map(str::parse);
    match numbers.next() {
        Some(Ok(nanoseconds)) => Ok((nanoseconds, numbers.next().and_then(Result::ok))),
        _ => Err(format!("it ended with {}", output.status)),
    }
}

/// Prints the nanoseconds of building the engine, and on Linux its bytes.
pub(crate) fn child(engine: &str) -> ExitCode {
    let mut text = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut text) {
        eprintln!("cannot read the rules: {error}");
        return ExitCode::FAILURE;
    }
    match engine {
        KnownValid::NAME => weigh::<KnownValid>(&text),
        QuaminaRs::NAME => weigh::<QuaminaRs>(&text),
        _ => ExitCode::FAILURE,
    }
}

fn weigh<M: Matcher>(text: &str) -> ExitCode {
    let mut lines = text.lines();
    let event = lines.next().unwrap_or_default().as_bytes();
    let before = resident();
    let start = now();
    let mut engine = match M::build(lines) {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    // Some engines finish building on their first event.
    engine.pass(&[event]);
    print!("{}", now().saturating_sub(start).as_nanos());
    if let (Some(before), Some(after)) = (before, resident()) {
        print!(" {}", after.saturating_sub(before));
    }
    println!();
    ExitCode::SUCCESS
}

/// The resident memory of this process in bytes, on Linux.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
