//! A spec without its URL: what polls of one kind have in common, in one of two forms.
//!
//! ```text
//!  whole    outline + members, filters compiled
//!     │ ▲
//!     │ └── read back when a member is first needed
//!     ▼
//!  folded   outline + a text of what differs from the defaults, itself mostly a delta to another text
//! ```
//!
//! While a poll waits, the engine needs only the [`Outline`]. Where a hundred thousand polls differ in a header or in a literal
//! of a filter, their members would take most of the memory, so they are [kept](super::kept) folded.
//!
//! This file, `members`, `stored`, `canonical` and `folded` refer to each other: each of the two forms is made from the other, and
//! both by the one table of members.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::SecretString;

use super::folded::FoldedText;
use super::members::{MEMBERS, Members};
use super::stored;
use crate::clock::micros;
use crate::schedule::Interval;

/// What schedules a poll. Durations in microseconds: half the size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    pub(crate) interval: Interval,
    timeout: u64,
    request_timeout: u64,
    /// Whether the poll keeps cookies.
    pub(crate) cookies: bool,
    /// Whether its outcome is sent to a receiver.
    pub(crate) webhook: bool,
}

impl Outline {
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_micros(self.timeout)
    }

    pub(crate) const fn request_timeout(&self) -> Duration {
        Duration::from_micros(self.request_timeout)
    }
}

/// A spec without its URL.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) outline: Outline,
    /// Hash of the document without `url` and `cacheKey`: equal documents have equal hashes.
    pub(super) hash: u64,
    /// What differs from the defaults, once it was needed; of folded settings always.
    text: OnceLock<FoldedText>,
    /// Everything, unless folded.
    members: OnceLock<Box<Members>>,
}

/// Settings as a text.
#[derive(Clone, Debug)]
pub(super) struct SpecText {
    pub(super) text: Arc<str>,
    /// The inline secrets, by the numbers that are in the text instead of them; `None` if there are none.
    pub(super) secrets: Option<Arc<[SecretString]>>,
}

impl Settings {
    /// Settings that were read from a document with this hash.
    pub(super) fn new(members: Members, hash: u64) -> Self {
        let outline = Outline {
            interval: members.interval,
            timeout: micros(members.timeout),
            request_timeout: micros(members.request_timeout.duration),
            cookies: members.request.cookies,
            webhook: members.on_outcome.is_some(),
        };
        Self { outline, hash, text: OnceLock::new(), members: OnceLock::from(Box::new(members)) }
    }

    /// All members. Of folded settings, they are read from the text and stay from then on.
    pub(super) fn members(&self) -> &Members {
        self.members.get_or_init(|| {
            let folded = self.text.get().expect("invariant: folded settings have their text");
            let settings = stored::unfolded(&folded.text(), folded.secrets());
            settings.members.into_inner().expect("invariant: they were read from a text")
        })
    }

    pub(super) fn is_folded(&self) -> bool {
        self.members.get().is_none()
    }

    /// What differs from the defaults.
    pub(super) fn text(&self) -> &FoldedText {
        self.text.get_or_init(|| FoldedText::whole(stored::short(self.members())))
    }

    /// The same with nothing but this text, which is that of the settings.
    pub(super) fn folded(&self, text: FoldedText) -> Self {
        let (text, members) = (OnceLock::from(text), OnceLock::new());
        Self { outline: self.outline, hash: self.hash, text, members }
    }

    /// The same folded settings, with nothing read; `None` if they are whole.
    pub(super) fn apart(&self) -> Option<Self> {
        self.is_folded().then(|| self.folded(self.text().clone()))
    }

    /// Makes folded settings whole for good.
    pub(super) fn unfold(&self, equal: &Self) {
        self.members.get_or_init(|| Box::new(equal.members().without_key()));
    }

    /// Takes the cache key out of whole settings.
    pub(super) fn take_cache_key(&mut self) -> Option<String> {
        self.members.get_mut()?.cache_key.take()
    }

    /// The same without a cache key.
    pub(super) fn without_cache_key(&self) -> Self {
        Self::new(self.members().without_key(), self.hash)
    }

    /// Equal in everything but the cache key.
    pub(super) fn same(&self, other: &Self) -> bool {
        if self.hash != other.hash {
            return false;
        }
        if self.is_folded() || other.is_folded() {
            return self.has_text_of(other);
        }
        let (one, two) = (self.members(), other.members());
        // Warnings count, because they name places in the text.
        one.warnings == two.warnings && MEMBERS.iter().all(|member| (member.same)(one, two))
    }

    /// Whether both are the same text with the same secrets. Reads nothing.
    pub(super) fn has_text_of(&self, other: &Self) -> bool {
        self.text().same(other.text())
    }
}

impl Members {
    /// The same for a poll that has its key elsewhere.
    fn without_key(&self) -> Self {
        Self { cache_key: None, kept: OnceLock::new(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where specs differ, every open poll has one.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn folded_settings_stay_small() {
        assert!(size_of::<Settings>() <= 104, "{}", size_of::<Settings>());
    }
}
