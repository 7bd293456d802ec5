//! Compares `filter` with other tools that do the same or a part of it, on the same events, in the same run.
//!
//! ```text
//! events, rules (benches) ─► engines (ours, quamina-rs, a-tree) ─┐
//!                            readers (serde_json, …)   ──┴─► rounds of passes ─► best ─► tables ─► goals
//! ```
//!
//! One thread, bytes in, ids out. Absolute times mean little on a shared machine, so the engines take turns, the best pass of
//! each counts, and goals are ratios.

mod a_tree;
mod args;
mod arrays;
mod bids;
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
use engine::{Engine, Matcher};
use ours::{Batches, KnownValid, Validating};
use quamina_rs::QuaminaRs;
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
        let mut engines = matchers(&group.rules, &args);
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
        let mut engines = matchers(&set.rules, &args);
        // A million expressions take milliseconds for each event.
        if kind == "exact2" && count <= 100_000 {
            engines.extend(bids::lots(&args, &set.rules));
        }
        passes::run(&args, &name, engines, &events, &set.expected, &mut report);
    }
    for count in bids::RULES {
        let name = format!("bids/{count}");
        if !args.wants(&name) {
            continue;
        }
        let bids = bids::Bids::new(count);
        let mut engines = matchers(&bids.rules, &args);
        engines.extend(bids.engines(&args));
        let events: Vec<&[u8]> = bids.events.iter().map(String::as_bytes).collect();
        passes::run(&args, &name, engines, &events, &bids.expected, &mut report);
    }
    for array in arrays::all().into_iter().filter(|array| args.wants(&array.name)) {
        let engines = matchers(&array.rules, &args);
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

/// All engines that support these rules.
fn matchers(rules: &[String], args: &Args) -> Vec<Box<dyn Engine>> {
    let mut engines = Vec::new();
    add::<KnownValid>(rules, args, &mut engines);
    add::<Batches>(rules, args, &mut engines);
    add::<Validating>(rules, args, &mut engines);
    add::<QuaminaRs>(rules, args, &mut engines);
    engines
}

fn add<M: Matcher>(rules: &[String], args: &Args, engines: &mut Vec<Box<dyn Engine>>) {
    if !args.wants_engine(M::NAME) {
        return;
    }
    match M::build(rules.iter().map(String::as_str)) {
        Ok(engine) => engines.push(Box::new(engine)),
        // Not every engine supports every operator; its cell in the table stays empty.
        Err(error) => eprintln!("{} does not support these rules: {error}", M::NAME),
    }
}
