//! `filter` beside the tools that do the same or a part of it, on the same events, in the same run.
//!
//! ```text
//! events, rules (benches) ─► engines (ours, quamina-rs) ─┐
//!                            readers (serde_json, …)   ──┴─► rounds of passes ─► best ─► tables ─► goals
//! ```
//!
//! One thread, bytes in, ids out. Absolute times are worth little on a machine that others use too; so the engines give their
//! passes in turn, the best of each counts, and what is judged is their ratio.

mod args;
mod arrays;
mod engine;
mod goals;
mod ours;
mod passes;
mod published;
mod quamina_rs;
mod readers;
mod report;
mod weigh;

use std::process::ExitCode;

use benches::city_lots::CityLots;
use benches::groups;
use benches::rules::Rules;
use clap::Parser as _;

use args::Args;
use report::Report;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(engine) = &args.weigh {
        return weigh::child(engine);
    }
    let mut report = Report::default();
    let lots = CityLots::sample(args.events());
    let text = lots.events();
    let events: Vec<&[u8]> = text.iter().collect();
    println!(
        "{} events, {} bytes each on average; nanoseconds of processor time per event, best of {} passes in turn\n",
        events.len(),
        text.text().len() / events.len(),
        args.rounds()
    );

    for mut group in groups::all().into_iter().filter(|group| args.wants(&group.name)) {
        if !lots.is_whole() {
            group.expected = ours::count_alone(&group.rules, &events);
        }
        let mut engines = engine::matchers(&group.rules, &args);
        engines.extend(readers::of(&group.name, &args));
        passes::run(&args, &group.name, engines, &events, &group.expected, &mut report);
    }
    let rules = Rules::new(&lots);
    for (kind, count) in args.many() {
        let name = format!("{kind}/{count}");
        if !args.wants(&name) {
            continue;
        }
        let set = match kind {
            "exact2" => rules.exact2(count),
            "mixed" => rules.mixed(count),
            _ => rules.wild(count),
        };
        weigh::all(&args, &name, &set.rules, events[0], &mut report);
        let engines = engine::matchers(&set.rules, &args);
        passes::run(&args, &name, engines, &events, &set.expected, &mut report);
    }
    for array in arrays::all().into_iter().filter(|array| args.wants(&array.name)) {
        let engines = engine::matchers(&array.rules, &args);
        passes::run(
            &args,
            &array.name,
            engines,
            &[array.event.as_slice(); arrays::REPEATS],
            &array.expected,
            &mut report,
        );
    }
    report.print_tables();
    goals::print(&report);
    if report.ours_is_wrong() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
