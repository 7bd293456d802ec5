//! Performance goals of `filter`, and whether this run met them.

use crate::engine::Matcher as _;
use crate::ours::{Batches, KnownValid, Validating};
use crate::quamina_rs::QuaminaRs;
use crate::report::{Report, Table};

const SONIC_RS: &str = "sonic-rs get_unchecked";
const IGNORED_ANY: &str = "serde_json, IgnoredAny";
const MILLION: &str = "exact2/1000000";

/// An upper bound of a measurement.
struct Goal {
    work: String,
    /// The engine that it is compared with, or the unit.
    against: &'static str,
    bound: f64,
    /// `None` if this run did not measure it.
    measured: Option<f64>,
}

/// Prints the goals that this run has measured.
pub(crate) fn print(report: &Report) {
    let mut table = Table::new(["goal", "of", "at most", "here", "met"]);
    let mut missed = 0;
    let mut measured = 0;
    for goal in goals(report) {
        let Some(value) = goal.measured else {
            continue;
        };
        measured += 1;
        let met = value <= goal.bound;
        missed += u32::from(!met);
        let precise = |value: f64| if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        table.row([
            goal.work,
            goal.against.to_owned(),
            precise(goal.bound),
            precise(value),
            if met { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    if measured > 0 {
        table.print("Goals: our time as a part of the rival's, unless a unit is named");
        println!("{} of {measured} met", measured - missed);
    }
}

fn goals(report: &Report) -> Vec<Goal> {
    let ours = |row: &str| report.best(row, KnownValid::NAME);
    let quamina = |row: &str| report.best(row, QuaminaRs::NAME);
    let mut goals = Vec::new();
    let mut goal = |work: &str, against, bound, measured| {
        goals.push(Goal { work: work.to_owned(), against, bound, measured });
    };

    for row in ["SINGLE", "EXACT"] {
        goal(row, "quamina-rs", 1.0 / 2.0, ratio(ours(row), quamina(row)));
    }
    goal("LATE", "quamina-rs", 1.0 / 4.0, ratio(ours("LATE"), quamina("LATE")));
    // Equal, with a tolerance of the difference between two runs of the same engine.
    goal("LATE", SONIC_RS, 1.1, ratio(ours("LATE"), report.best("LATE", SONIC_RS)));
    for row in ["SINGLE", "LATE"] {
        let validating = ratio(report.best(row, Validating::NAME), report.best(row, IGNORED_ANY));
        goal(&format!("{row}, validating"), IGNORED_ANY, 0.4, validating);
        goal(&format!("{row}, validating (stretch)"), IGNORED_ANY, 1.0 / 3.0, validating);
    }
    for row in [
        "WILDCARD",
        "PREFIX",
        "SUFFIX",
        "EQUALS_IGNORE_CASE",
        "NUMERIC",
        "ANYTHING_BUT",
        "ANYTHING_BUT_IGNORE_CASE",
        "ANYTHING_BUT_PREFIX",
        "ANYTHING_BUT_SUFFIX",
        "ANYTHING_BUT_WILDCARD",
        "MIX30",
    ] {
        let (rival, best) = match (quamina(row), report.event_ruler(row)) {
            (Some(quamina), Some(ruler)) if ruler < quamina => ("event-ruler*", Some(ruler)),
            (Some(quamina), _) => ("quamina-rs", Some(quamina)),
            (None, ruler) => ("event-ruler*", ruler),
        };
        let bound = if ["PREFIX", "SUFFIX", "EQUALS_IGNORE_CASE"].contains(&row) { 0.4 } else { 1.0 / 2.0 };
        goal(row, rival, bound, ratio(ours(row), best));
    }
    for row in ["COMPLEX_ARRAYS", "MIX35"] {
        goal(row, "quamina-rs", 1.0 / 4.0, ratio(ours(row), quamina(row)));
    }
    let batches = |row: &str| report.best(row, Batches::NAME);
    goal(MILLION, "quamina-rs", 1.0 / 3.0, ratio(ours(MILLION), quamina(MILLION)));
    let in_batches = ratio(batches(MILLION), quamina(MILLION));
    goal(&format!("{MILLION}, in batches"), "quamina-rs", 1.0 / 3.0, in_batches);
    let weight = |engine| report.weight_of(MILLION, engine);
    goal(MILLION, "B per rule", 256.0, weight(KnownValid::NAME).and_then(|weight| weight.bytes));
    goal(
        MILLION,
        "µs per rule to build",
        1.5,
        weight(KnownValid::NAME).map(|weight| weight.nanoseconds / 1000.0),
    );
    // The same goal as a ratio, for machines other than the one where quamina takes 10.9 µs.
    let built = |engine| weight(engine).map(|weight| weight.nanoseconds);
    let building = ratio(built(KnownValid::NAME), built(QuaminaRs::NAME));
    goal(&format!("{MILLION}, building"), "quamina-rs", 1.5 / 10.9, building);
    let above = |best: &dyn Fn(&str) -> Option<f64>| Some(best(MILLION)? - best("exact2/1000")?);
    goal("exact2, 10⁶ above 10³", "quamina-rs", 1.0 / 3.0, ratio(above(&ours), above(&quamina)));
    let in_batches = ratio(above(&batches), above(&quamina));
    goal("exact2, 10⁶ above 10³, in batches", "quamina-rs", 1.0 / 3.0, in_batches);
    goal("mixed/100000", "quamina-rs", 1.0 / 5.0, ratio(ours("mixed/100000"), quamina("mixed/100000")));
    goal("wild/1000", "event-ruler*", 1.0 / 4.0, ratio(ours("wild/1000"), report.event_ruler("wild/1000")));
    for kind in ["array-both", "array-never"] {
        let best = |elements| ours(&format!("{kind}/{elements}"));
        goal(&format!("{kind}/3000"), "µs", 1000.0, best(3000).map(|nanoseconds| nanoseconds / 1000.0));
        // Three times the elements take three times the time, with some tolerance.
        goal(&format!("{kind}, 3000 to 1000"), "times the time", 3.6, ratio(best(3000), best(1000)));
    }
    goals
}

fn ratio(ours: Option<f64>, rival: Option<f64>) -> Option<f64> {
    Some(ours? / rival?)
}
