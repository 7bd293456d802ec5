//! Writes the events or rules of the benchmarks as JSON Lines, to measure `poll route`.
//!
//! ```console
//! $ cargo run --release -p benches --example city_lots -- events 213068 > events.jsonl
//! $ cargo run --release -p benches --example city_lots -- exact2 1000000 > rules.jsonl     # or mixed, wild
//! $ poll route --dialect event-bridge -r rules.jsonl events.jsonl > routes.jsonl
//! ```

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use benches::city_lots::CityLots;
use benches::rules::Rules;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match &arguments[..] {
        [kind, count] => count.parse().ok().map(|count| (kind.as_str(), count)),
        _ => None,
    };
    let Some((kind @ ("events" | "exact2" | "mixed" | "wild"), count)) = parsed else {
        eprintln!("usage: city_lots events|exact2|mixed|wild COUNT");
        return ExitCode::from(2);
    };
    match write(kind, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(kind: &str, count: usize) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    if kind == "events" {
        output.write_all(CityLots::sample(count).events().text().as_bytes())?;
        return output.flush();
    }
    let lots = CityLots::all();
    let rules = Rules::new(&lots);
    let set = match kind {
        "exact2" => rules.exact2(count),
        "mixed" => rules.mixed(count),
        _ => rules.wild(count),
    };
    for (id, rule) in set.rules.iter().enumerate() {
        writeln!(output, r#"{{"id":{id},"filter":{rule}}}"#)?;
    }
    output.flush()
}
