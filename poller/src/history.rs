//! The last attempts of one poll, packed: about ten bytes each instead of eighty.
//!
//! An open poll keeps its last attempts (20 unless told otherwise), and a process may have a million polls, so this is
//! most of what a poll that has been asked for a while weighs. Written one after the other, as numbers of variable
//! length:
//!
//! ```text
//!  flags │ began, after it was due │ took │ status or error │ next, after one interval more │ try, limit
//!          (the first: after start)                         └─ where there is one ─────────┘└─ retries ┘
//! ```
//!
//! When an attempt was due is what the one before says of the next, and that is mostly an interval later, so both are
//! small numbers. What did not match is mostly the same from one attempt to the next; each such text is kept once for all the
//! attempts in a row that share it, and `flags` says where another begins.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Timestamp, micros};
use crate::fetch::FetchErrorKind;
use crate::outcome::{Attempt, AttemptResult, Next, NextReason, Verdict};

/// What an attempt lacked, on one line. Shared between the attempts, and polls, that lacked the same.
pub(crate) type Note = Arc<str>;

/// One attempt, as it is put in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) at: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) result: AttemptResult,
    pub(crate) verdict: Verdict,
    pub(crate) note: Option<Note>,
    pub(crate) next: Option<Next>,
}

impl Record {
    pub(crate) fn into_attempt(self, number: u32) -> Attempt {
        let Self { at, duration, result, verdict, note, next } = self;
        Attempt { number, at, duration, result, verdict, note: note.as_deref().map(Into::into), next }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    records: Vec<u8>,
    len: u32,
    /// The text of the last run of records with one.
    note: Option<Note>,
    /// Those of the runs before it, oldest first; boxed, since most polls have none.
    #[expect(clippy::box_collection, reason = "a pointer instead of four words, in each of a million polls")]
    earlier: Option<Box<VecDeque<Note>>>,
}

/// What the times of a history count from: the same for all of its life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub(crate) start: Timestamp,
    pub(crate) interval: Duration,
}

const VERDICT: u8 = 0b11;
const NEXT: u8 = 0b1100;
const NEXT_SHIFT: u8 = 2;
/// Why the next is when it is; 0 where there is none.
const GRID: u8 = 1;
const RETRY: u8 = 2;
const HINT: u8 = 3;
const HAS_NOTE: u8 = 0b1_0000;
/// The note is not that of the last record that had one.
const NEW_NOTE: u8 = 0b10_0000;

impl History {
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// The text of the last attempt that had one.
    pub(crate) fn last_note(&self) -> Option<&Note> {
        self.note.as_ref()
    }

    /// Adds an attempt that was due at `due`, which is what the one before said of its next, and drops the oldest beyond
    /// `most`.
    pub(crate) fn push(&mut self, record: &Record, due: Timestamp, rhythm: Rhythm, most: usize) {
        if most == 0 {
            return;
        }
        while self.len() >= most {
            self.drop_first(rhythm);
        }
        let Record { at, duration, result, verdict, ref note, next } = *record;
        let mut flags = match verdict {
            Verdict::Matched => 0,
            Verdict::Failed => 1,
            Verdict::Unmatched => 2,
            Verdict::Error => 3,
        };
        flags |= match next.map(|next| next.why) {
            None => 0,
            Some(NextReason::Grid) => GRID,
            Some(NextReason::Retry { .. }) => RETRY,
            Some(NextReason::Hint) => HINT,
        } << NEXT_SHIFT;
        if let Some(note) = note {
            flags |= HAS_NOTE;
            if self.note.as_ref() != Some(note) {
                flags |= NEW_NOTE;
                if let Some(before) = self.note.replace(Arc::clone(note)) {
                    self.earlier.get_or_insert_default().push_back(before);
                }
            }
        }
        let from = if self.len == 0 { rhythm.start } else { due };
        let mut packed = Packed::new(flags);
        packed.number(micros(at.since(from)));
        packed.number(micros(duration));
        packed.number(match result {
            AttemptResult::Status(status) => u64::from(status),
            AttemptResult::Error(kind) => ERRORS_FROM + u64::from(kind.code()),
        });
        if let Some(next) = next {
            let usual = at + rhythm.interval;
            // The sign is the lowest bit.
            let (late, early) = (micros(next.at.since(usual)), micros(usual.since(next.at)));
            packed.number(if early > 0 { early << 1 | 1 } else { late << 1 });
            if let NextReason::Retry { r#try, limit } = next.why {
                packed.number(r#try.into());
                packed.number(limit.into());
            }
        }
        if self.records.capacity() - self.records.len() < packed.len {
            // Twice as much as there is, as vectors grow, would leave half of it empty in a million polls.
            self.records.reserve_exact(packed.len.max(self.records.len() / 4));
        }
        self.records.extend_from_slice(packed.bytes());
        self.len += 1;
    }

    /// The attempts, oldest first; the last one has this number.
    pub(crate) fn attempts(&self, rhythm: Rhythm, last: u32) -> impl Iterator<Item = Attempt> {
        let mut reader = Reader::new(&self.records, rhythm);
        let mut notes = self.earlier.iter().flat_map(|earlier| earlier.iter()).chain(&self.note);
        let mut note = None;
        (0..self.len).map(move |position| {
            let raw = reader.raw();
            if raw.flags & NEW_NOTE != 0 {
                note = notes.next();
            }
            let record = raw.record(note.filter(|_| raw.flags & HAS_NOTE != 0).cloned());
            record.into_attempt(last.saturating_sub(self.len - 1 - position))
        })
    }

    fn drop_first(&mut self, rhythm: Rhythm) {
        let mut reader = Reader::new(&self.records, rhythm);
        let flags = reader.raw().flags;
        self.len -= 1;
        if self.len == 0 {
            self.records.clear();
        } else {
            // The second becomes the first, whose beginning counts from the start.
            let mut first = Packed::new(reader.byte());
            let begins = reader.due + Duration::from_micros(reader.number());
            first.number(micros(begins.since(rhythm.start)));
            let rest = reader.position;
            match rest.checked_sub(first.len) {
                // There is mostly room for it where the two were.
                Some(from) => {
                    self.records[from..rest].copy_from_slice(first.bytes());
                    self.records.drain(..from);
                }
                None => drop(self.records.splice(..rest, first.bytes().iter().copied())),
            }
        }
        if flags & NEW_NOTE != 0 {
            self.drop_note(rhythm);
        }
    }

    /// The record that began the oldest run of notes is gone: the run begins with the next one of it, or is gone too.
    fn drop_note(&mut self, rhythm: Rhythm) {
        let mut reader = Reader::new(&self.records, rhythm);
        for _ in 0..self.len {
            let begins = reader.position;
            let flags = self.records[begins];
            if flags & HAS_NOTE != 0 {
                if flags & NEW_NOTE == 0 {
                    self.records[begins] |= NEW_NOTE;
                    return;
                }
                break;
            }
            reader.raw();
        }
        match &mut self.earlier {
            Some(earlier) => {
                earlier.pop_front();
                if earlier.is_empty() {
                    self.earlier = None;
                }
            }
            None => self.note = None,
        }
    }
}

/// Errors follow the statuses, which are u16.
const ERRORS_FROM: u64 = 1 << 16;

/// One record as it is written.
struct Packed {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Packed {
    /// Flags and six numbers.
    const MOST: usize = 1 + 6 * 10;

    fn new(flags: u8) -> Self {
        let mut bytes = [0; Self::MOST];
        bytes[0] = flags;
        Self { bytes, len: 1 }
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.push(number as u8);
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

struct Reader<'a> {
    records: &'a [u8],
    position: usize,
    /// What the beginning of the next record counts from.
    due: Timestamp,
    interval: Duration,
}

impl<'a> Reader<'a> {
    const fn new(records: &'a [u8], Rhythm { start, interval }: Rhythm) -> Self {
        Self { records, position: 0, due: start, interval }
    }

    fn byte(&mut self) -> u8 {
        let byte = self.records[self.position];
        self.position += 1;
        byte
    }

    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    /// The next record, as it is written.
    fn raw(&mut self) -> Raw {
        let flags = self.byte();
        let at = self.due + Duration::from_micros(self.number());
        let (took, result) = (self.number(), self.number());
        let reason = (flags & NEXT) >> NEXT_SHIFT;
        let (mut next, mut retry) = (None, (0, 0));
        if reason != 0 {
            let usual = at + self.interval;
            let shift = self.number();
            next = Some(match shift & 1 {
                0 => usual + Duration::from_micros(shift >> 1),
                _ => Timestamp::from_micros(usual.as_micros().saturating_sub(shift >> 1)),
            });
            if reason == RETRY {
                retry = (self.number(), self.number());
            }
        }
        self.due = next.unwrap_or(at);
        Raw { flags, at, took, result, next, retry }
    }
}

/// A record in numbers.
struct Raw {
    flags: u8,
    at: Timestamp,
    /// In microseconds.
    took: u64,
    result: u64,
    next: Option<Timestamp>,
    /// Where a retry is next: its try, and their limit.
    retry: (u64, u64),
}

impl Raw {
    fn record(&self, note: Option<Note>) -> Record {
        let result = match self.result {
            error if error >= ERRORS_FROM => {
                let code = u8::try_from(error - ERRORS_FROM).unwrap_or(u8::MAX);
                AttemptResult::Error(FetchErrorKind::from_code(code))
            }
            status => AttemptResult::Status(u16::try_from(status).unwrap_or(u16::MAX)),
        };
        let verdict = match self.flags & VERDICT {
            0 => Verdict::Matched,
            1 => Verdict::Failed,
            2 => Verdict::Unmatched,
            _ => Verdict::Error,
        };
        let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let why = match (self.flags & NEXT) >> NEXT_SHIFT {
            GRID => NextReason::Grid,
            RETRY => NextReason::Retry { r#try: small(self.retry.0), limit: small(self.retry.1) },
            _ => NextReason::Hint,
        };
        let next = self.next.map(|at| Next { at, why });
        Record { at: self.at, duration: Duration::from_micros(self.took), result, verdict, note, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let result = prop_oneof![
            (100_u16..1000).prop_map(AttemptResult::Status),
            (0_u8..13).prop_map(|code| AttemptResult::Error(FetchErrorKind::from_code(code))),
        ];
        let verdict = prop_oneof![
            Just(Verdict::Matched),
            Just(Verdict::Failed),
            Just(Verdict::Unmatched),
            Just(Verdict::Error)
        ];
        let why = prop_oneof![
            Just(NextReason::Grid),
            Just(NextReason::Hint),
            (1..u32::MAX, 1..u32::MAX).prop_map(|(r#try, limit)| NextReason::Retry { r#try, limit }),
        ];
        let note = proptest::option::of("[ab]");
        (0..1_u64 << 40, 0..1_u64 << 40, result, verdict, note, (0..1_u64 << 50, why)).prop_map(
            |(late, took, result, verdict, note, (after, why))| Record {
                at: Timestamp::from_micros(late),
                duration: Duration::from_micros(took),
                result,
                verdict,
                note: note.map(Into::into),
                next: Some(Next { at: Timestamp::from_micros(after), why }),
            },
        )
    }

    proptest! {
        /// Packed and unpacked, the last attempts are what they were.
        #[test]
        fn holds_the_last_attempts(records in proptest::collection::vec(record(), 0..40), most in 0_usize..8) {
            let rhythm = Rhythm { start: Timestamp::from_micros(1 << 50), interval: Duration::from_secs(30) };
            let (mut history, mut kept, mut due) = (History::default(), VecDeque::new(), rhythm.start);
            let count = records.len();
            for (number, mut record) in records.into_iter().enumerate() {
                record.at = due + Duration::from_micros(record.at.as_micros());
                let next = record.next.map(|next| Next {
                    at: record.at + Duration::from_micros(next.at.as_micros()), ..next
                });
                // Only the last attempt of a poll has no next.
                record.next = next.filter(|_| number + 1 < count);
                history.push(&record, due, rhythm, most);
                due = next.map_or(due, |next| next.at);
                let number = number as u32 + 1;
                kept.push_back(record.into_attempt(number));
                if kept.len() > most {
                    kept.pop_front();
                }
                let unpacked: Vec<Attempt> = history.attempts(rhythm, number).collect();
                prop_assert_eq!(&unpacked, &Vec::from(kept.clone()));
                let noted = kept.iter().rev().find_map(|attempt| attempt.note.as_deref());
                prop_assert_eq!(history.last_note().map(|note| &**note), noted);
            }
        }
    }

    #[test]
    fn a_usual_attempt_takes_few_bytes() {
        let rhythm = Rhythm {
            start: Timestamp::from_micros(1_700_000_000_000_000),
            interval: Duration::from_secs(30),
        };
        let mut history = History::default();
        for tick in 0..100 {
            let due = rhythm.start + rhythm.interval * tick;
            let record = Record {
                at: due + Duration::from_micros(700),
                duration: Duration::from_millis(80),
                result: AttemptResult::Status(200),
                verdict: Verdict::Unmatched,
                note: Some(r#"status is "PENDING", expected "SUCCESS""#.into()),
                next: Some(Next { at: due + rhythm.interval, why: NextReason::Grid }),
            };
            history.push(&record, due, rhythm, 20);
        }
        assert!(history.records.len() <= 20 * 10 + 5, "{}", history.records.len());
        assert!(
            history.records.capacity() <= history.records.len() * 5 / 4 + 20 && history.earlier.is_none()
        );
    }
}
