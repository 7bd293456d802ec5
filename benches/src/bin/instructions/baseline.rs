//! The committed counts in `benches/instructions.tsv`: a name, a tab and a count per line.

use std::fmt::Write as _;
use std::path::PathBuf;

/// Instructions per event, by the name of the work.
pub(crate) struct Baseline(Vec<(String, f64)>);

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "instructions.tsv"].iter().collect()
}

impl Baseline {
    pub(crate) fn read() -> Result<Self, String> {
        let path = path();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let read = |line: &str| {
            let (name, count) = line.split_once('\t')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        let lines: Option<Vec<_>> = text.lines().filter(|line| !line.is_empty()).map(read).collect();
        lines
            .map(Self)
            .ok_or_else(|| format!("{} has a line that is not a name, a tab and a count", path.display()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, count)| *count)
    }

    pub(crate) fn write(counts: &[(&str, f64)]) -> Result<(), String> {
        let mut text = String::new();
        for (name, count) in counts {
            let _ = writeln!(text, "{name}\t{count:.0}");
        }
        let path = path();
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}
