//! Routes webhooks to teams by filters, and explains why an event matched no team.
//!
//! ```text
//! cargo run -p filter --example webhook_router                         # the built-in events
//! cargo run -p filter --example webhook_router -- - < events.jsonl     # your own, one JSON document a line
//! ```
//!
//! Change the routes below and run it again: an error in a filter is reported with its place and with help.

use std::error::Error;
use std::io::{self, BufRead as _};

use filter::{Dialect, Filter, FilterOptions};
use serde_json::Value;

/// Teams and the filters of their events. Filters are JSON, so a real service would keep them in a file or a database.
const ROUTES: [(&str, Dialect, &str); 4] = [
    (
        "billing",
        Dialect::Native,
        r#"{"type": [{"$startsWith": "invoice."}, "payment.failed"], "data": {"amount": {"$gt": 0}}}"#,
    ),
    (
        "fraud",
        Dialect::Native,
        r#"{"type": "payment.failed", "$or": [{"data": {"amount": {"$gte": 1000}}}, {"ip": {"$cidr": "203.0.113.0/24"}}]}"#,
    ),
    (
        "support",
        Dialect::TriggerDev,
        r#"{"type": ["ticket.created"], "data": {"priority": [{"$anythingBut": ["low"]}]}}"#,
    ),
    (
        "audit",
        Dialect::EventBridge,
        r#"{"type": [{"suffix": ".deleted"}], "data": {"by": [{"anything-but": {"prefix": "system-"}}]}}"#,
    ),
];

const EVENTS: &str = r#"
{"type": "invoice.paid", "data": {"amount": 120}}
{"type": "payment.failed", "ip": "203.0.113.7", "data": {"amount": 5}}
{"type": "ticket.created", "data": {"priority": "high"}}
{"type": "user.deleted", "data": {"by": "ada"}}
{"type": "user.deleted", "data": {"by": "system-cleanup"}}
{"type": "invoice.voided", "data": {"amount": 0}}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let routes = compile()?;
    match std::env::args().nth(1).as_deref() {
        None => EVENTS.trim().lines().for_each(|line| route(&routes, line)),
        Some("-") => {
            for line in io::stdin().lock().lines() {
                route(&routes, &line?);
            }
        }
        Some(other) => {
            return Err(format!("unknown argument {other:?}, expected - to read events from stdin").into());
        }
    }
    Ok(())
}

fn compile() -> Result<Vec<(&'static str, Filter)>, Box<dyn Error>> {
    let mut routes = Vec::new();
    for (team, dialect, text) in ROUTES {
        let filter = FilterOptions::new()
            .dialect(dialect)
            .parse(text)
            .map_err(|error| format!("the route to {team}:\n{error}"))?;
        for warning in filter.warnings() {
            eprintln!("the route to {team}: {warning}");
        }
        routes.push((team, filter));
    }
    Ok(routes)
}

fn route(routes: &[(&str, Filter)], line: &str) {
    let event: Value = match serde_json::from_str(line) {
        Ok(event) => event,
        Err(error) => return println!("no JSON: {error}"),
    };
    let teams: Vec<&str> = routes.iter().filter(|(_, f)| f.matches(&event)).map(|(team, _)| *team).collect();
    println!("{event}");
    if teams.is_empty() {
        println!("  → nobody");
        for (team, filter) in routes {
            println!("    not {team}: {}", filter.explain(&event).summary().unwrap_or_default());
        }
    } else {
        println!("  → {}", teams.join(", "));
    }
}
