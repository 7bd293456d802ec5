//! Quotas of keys: open polls, and creations a second.
//!
//! A poll is counted before it is submitted and no longer counted when its outcome is stored, so a key never has more open
//! polls than its quota, however many requests run at once. Counting is by the scope of polls: a poll that the command line
//! submitted into the scope of a key counts as one of the key's.
//!
//! The engine tells of the ends of the polls that it runs. Those that another process of a fleet runs are looked up in the store
//! when a quota seems to be used up.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{HeaderName, RETRY_AFTER};
use poller::{PollKey, Timestamp};

use super::keys::{Entry, Keys};
use crate::problem::{Kind, Problem};

/// The counts of all keys that have quotas.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    /// The entries with a quota of open polls.
    counted: Vec<Arc<Entry>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The open polls in the scopes of counted entries.
    open: HashSet<PollKey>,
    /// Their number, by the number of the entry.
    counts: HashMap<usize, usize>,
    /// When the creations that were made are paid for, by the number of the entry.
    paid: HashMap<usize, Timestamp>,
    /// When the polls of other processes were last looked up, by the number of the entry.
    checked: HashMap<usize, Timestamp>,
}

/// The least time between two looks for ended polls of other processes.
const CHECK: Duration = Duration::from_secs(1);

/// Whether a poll was counted by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Now,
    Before,
}

impl Quotas {
    pub(crate) fn new(keys: &Keys) -> Self {
        let counted = keys.entries().filter(|entry| entry.open_polls.is_some()).cloned().collect();
        Self { counted, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of<'a>(&'a self, key: &'a PollKey) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.counted.iter().filter(|entry| entry.sees(key.scope()))
    }

    /// A poll is open.
    pub(crate) fn opened(&self, key: &PollKey) {
        if self.of(key).next().is_some() {
            let mut state = self.state();
            if state.open.insert(key.clone()) {
                self.of(key).for_each(|entry| *state.counts.entry(entry.number).or_default() += 1);
            }
        }
    }

    /// A poll is no longer open.
    pub(crate) fn ended(&self, key: &PollKey) {
        if self.of(key).next().is_some() {
            let mut state = self.state();
            if state.open.remove(key) {
                self.of(key).for_each(|entry| {
                    if let Some(count) = state.counts.get_mut(&entry.number) {
                        *count = count.saturating_sub(1);
                    }
                });
            }
        }
    }

    /// Counts a poll that is about to be submitted. If it then is not created, and was counted now, it has
    /// [ended](Self::ended).
    pub(crate) fn reserve(&self, entry: &Entry, key: &PollKey, now: Timestamp) -> Result<Counted, Problem> {
        let mut state = self.state();
        let known = state.open.contains(key);
        let open = state.counts.get(&entry.number).copied().unwrap_or(0);
        if let Some(most) = entry.open_polls.filter(|most| !known && open >= *most) {
            let detail = format!(
                "{open} polls are open in the scope of the key {:?}, which may have {most}",
                entry.name
            );
            return Err(exceeded("open-polls", detail, 10));
        }
        if let Some(rate) = entry.creates_per_second {
            let each = Duration::from_secs(1) / rate;
            // A second's worth at once.
            let earliest = now.before(Duration::from_secs(1).saturating_sub(each));
            let paid = state.paid.get(&entry.number).copied().unwrap_or(earliest).max(earliest);
            if paid > now {
                let detail = format!("the key {:?} creates at most {rate} polls a second", entry.name);
                return Err(exceeded("creates", detail, 1));
            }
            state.paid.insert(entry.number, paid + each);
        }
        if known {
            return Ok(Counted::Before);
        }
        if self.of(key).next().is_some() {
            state.open.insert(key.clone());
            self.of(key).for_each(|entry| *state.counts.entry(entry.number).or_default() += 1);
        }
        Ok(Counted::Now)
    }

    /// The polls that fill the quota of an entry, of which `elsewhere` says that another process runs them: they may have
    /// ended. None if the quota has room, or if they were looked up just now.
    pub(crate) fn unsure(
        &self,
        entry: &Entry,
        now: Timestamp,
        elsewhere: impl Fn(&PollKey) -> bool,
    ) -> Vec<PollKey> {
        let mut state = self.state();
        let open = state.counts.get(&entry.number).copied().unwrap_or(0);
        let last = state.checked.get(&entry.number).copied().unwrap_or_default();
        if entry.open_polls.is_none_or(|most| open < most) || now.since(last) < CHECK {
            return Vec::new();
        }
        state.checked.insert(entry.number, now);
        state.open.iter().filter(|key| entry.sees(key.scope()) && elsewhere(key)).cloned().collect()
    }
}

fn exceeded(policy: &str, detail: String, seconds: u32) -> Problem {
    Problem::new(Kind::Quota, detail)
        .with_header(HeaderName::from_static("ratelimit"), &format!("\"{policy}\";r=0;t={seconds}"))
        .with_header(RETRY_AFTER, &seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(quotas: &str) -> Keys {
        let digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let text =
            format!("[[key]]\nname = 'a'\nsha256 = '{digest}'\nscope = 's'\nrights = ['create']\n{quotas}");
        Keys::parse(&text).unwrap()
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + millis * 1000)
    }

    #[test]
    fn open_polls_are_counted_once_each_until_they_end() {
        let keys = keys("open-polls = 2");
        let (quotas, entry) = (Quotas::new(&keys), keys.find(b"foo").unwrap());
        let key = |name: &str| PollKey::new("s", name);
        quotas.opened(&key("before"));
        quotas.opened(&PollKey::new("other", "x"));
        assert_eq!(quotas.reserve(entry, &key("a"), at(0)).unwrap(), Counted::Now);
        quotas.opened(&key("a"));
        assert_eq!(quotas.reserve(entry, &key("a"), at(0)).unwrap(), Counted::Before);
        assert!(quotas.reserve(entry, &key("b"), at(0)).is_err());
        quotas.ended(&key("before"));
        quotas.ended(&key("before"));
        assert_eq!(quotas.reserve(entry, &key("b"), at(0)).unwrap(), Counted::Now);
        assert!(quotas.reserve(entry, &key("c"), at(0)).is_err());
    }

    #[test]
    fn polls_of_other_processes_are_looked_up_when_they_fill_the_quota_once_a_second() {
        let keys = keys("open-polls = 2\ncreates-per-second = 1");
        let (quotas, entry) = (Quotas::new(&keys), keys.find(b"foo").unwrap());
        let key = |name: &str| PollKey::new("s", name);
        let unsure = |milli| quotas.unsure(entry, at(milli), |key| key.key() == "theirs");
        assert_eq!(quotas.reserve(entry, &key("theirs"), at(0)).unwrap(), Counted::Now);
        assert!(unsure(0).is_empty(), "there is room");
        assert_eq!(quotas.reserve(entry, &key("ours"), at(1000)).unwrap(), Counted::Now);
        assert!(quotas.reserve(entry, &key("c"), at(2000)).is_err());
        assert_eq!(
            (unsure(2000), unsure(2999), unsure(3000)),
            (vec![key("theirs")], vec![], vec![key("theirs")])
        );
        quotas.ended(&key("theirs"));
        // What was refused for another reason does not count for the rate.
        assert_eq!(quotas.reserve(entry, &key("c"), at(2000)).unwrap(), Counted::Now);
    }

    #[test]
    fn creations_are_limited_to_a_rate() {
        let keys = keys("creates-per-second = 4");
        let (quotas, entry) = (Quotas::new(&keys), keys.find(b"foo").unwrap());
        let allowed = |from: u64, to: u64| {
            let tried =
                (from..to).map(|milli| quotas.reserve(entry, &PollKey::new("s", "a"), at(milli)).is_ok());
            tried.filter(|allowed| *allowed).count()
        };
        assert_eq!(allowed(0, 1), 1);
        assert_eq!(allowed(1, 1000), 4 + 2, "what a second saves up, and one for each quarter of it");
        assert_eq!(allowed(1000, 11_000), 40);
    }
}
