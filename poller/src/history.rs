//! The last attempts of one poll, packed into about six bytes each instead of eighty.
//!
//! An open poll keeps its last attempts (20 by default) and a process may have a million polls, so the history is most of
//! the memory of a poll. A record is a byte of flags and variable-length numbers (LEB128):
//!
//! ```text
//!  flags │ start − due │ duration │ status or error │ next due − (due + interval) │ try, limit
//!          first record:            unless SAME_RESULT  unless USUAL_NEXT or no       retries
//!          start − poll start                           next request                 only
//! ```
//!
//! The due time of a record is the `next` of the record before it, so the first number is small. Most records repeat the
//! result of the one before and are followed by the next tick; the flags say so and both numbers are left out. Consecutive
//! records mostly share their note, so a run of records keeps one copy and `NEW_NOTE` marks the start of the next run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Timestamp, micros};
use crate::fetch::FetchErrorKind;
use crate::outcome::{Attempt, AttemptResult, JudgementKind, Next, NextReason};

/// The unmet conditions of an attempt on one line. Attempts and polls with an equal note share one copy.
pub(crate) type Note = Arc<str>;

/// One attempt before packing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) at: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) result: AttemptResult,
    pub(crate) resent: bool,
    pub(crate) judgement: JudgementKind,
    pub(crate) note: Option<Note>,
    pub(crate) next: Option<Next>,
}

impl Record {
    pub(crate) fn into_attempt(self, number: u32) -> Attempt {
        let Self { at, duration, result, resent, judgement, note, next } = self;
        let note = note.as_deref().map(Into::into);
        Attempt { number, at, duration, result, resent, judgement, note, next }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    records: Vec<u8>,
    /// When the request after the last record is due, which the next record counts from. Kept here and not given by the caller:
    /// with another time, all later records would be misread.
    due: Timestamp,
    len: u32,
    /// The packed result of the last record.
    last: u32,
    /// The note of the last run.
    note: Option<Note>,
    /// The notes of earlier runs, oldest first; boxed because most polls have none.
    #[expect(clippy::box_collection, reason = "a pointer instead of four words, in each of a million polls")]
    earlier: Option<Box<VecDeque<Note>>>,
}

/// The reference points of all times in a history; constant for one poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub(crate) start: Timestamp,
    pub(crate) interval: Duration,
}

const JUDGEMENT: u8 = 0b11;
/// By their numbers.
const JUDGEMENTS: [JudgementKind; 4] =
    [JudgementKind::Matched, JudgementKind::Failed, JudgementKind::Unmatched, JudgementKind::Error];
const NEXT: u8 = 0b1100;
const NEXT_SHIFT: u8 = 2;
/// The reason of the next due time; 0 without a next request.
const GRID: u8 = 1;
const RETRY: u8 = 2;
const HINT: u8 = 3;
const HAS_NOTE: u8 = 0b1_0000;
/// The note differs from that of the last record with a note.
const NEW_NOTE: u8 = 0b10_0000;
/// The result equals that of the record before.
const SAME_RESULT: u8 = 0b100_0000;
/// The next request is due one interval after this one was.
const USUAL_NEXT: u8 = 0b1000_0000;

/// The largest ratio of reserved to needed capacity, whatever number of attempts is kept.
const AHEAD: usize = 8;

impl History {
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// The note of the last attempt with a note.
    pub(crate) fn last_note(&self) -> Option<&Note> {
        self.note.as_ref()
    }

    /// Adds an attempt and drops the oldest beyond `most`.
    pub(crate) fn push(&mut self, record: &Record, rhythm: Rhythm, most: usize) {
        if most == 0 {
            return;
        }
        while self.len() >= most {
            self.drop_first(rhythm);
        }
        let Record { at, duration, result, resent, judgement, ref note, next } = *record;
        // The place in JUDGEMENTS, which two bits hold: another kind needs another format.
        let mut flags = match judgement {
            JudgementKind::Matched => 0,
            JudgementKind::Failed => 1,
            JudgementKind::Unmatched => 2,
            JudgementKind::Error => 3,
        };
        if let Some(note) = note {
            flags |= HAS_NOTE;
            if self.note.as_ref() != Some(note) {
                flags |= NEW_NOTE;
                if let Some(before) = self.note.replace(Arc::clone(note)) {
                    self.earlier.get_or_insert_default().push_back(before);
                }
            }
        }
        let (from, before) = if self.len == 0 { (rhythm.start, None) } else { (self.due, Some(self.last)) };
        let raw = Raw {
            flags,
            // No request begins before it is due. Should the clock say so, it is read back as begun when it was due.
            at: at.max(from),
            took: micros(duration),
            result: match result {
                AttemptResult::Status(status) => u32::from(status),
                AttemptResult::Error(kind) => ERRORS_FROM + u32::from(kind.code()),
            } | if resent { RESENT } else { 0 },
            next,
        };
        let packed = raw.packed(from, before, rhythm.interval);
        if self.records.capacity() - self.records.len() < packed.len {
            // From the second record on, reserve for all records that will be kept, extrapolated from the present ones.
            // Doubling, as vectors do, would fragment the heap: each of a million polls would leave pieces too small for
            // any other allocation.
            let least = self.records.len() + packed.len;
            let whole = if self.len == 0 { least } else { least.saturating_mul(most) / (self.len() + 1) };
            // Allocator size classes: a multiple of sixteen less a header of eight bytes.
            let capacity = (whole.clamp(least, least * AHEAD) + 8).next_multiple_of(16) - 8;
            self.records.reserve_exact(capacity - self.records.len());
        }
        self.records.extend_from_slice(packed.bytes());
        self.len += 1;
        self.last = raw.result;
        self.due = raw.due(from, rhythm.interval);
    }

    /// The end of the last attempt, and what follows it. Reads the numbers of all, and no note.
    pub(crate) fn last_end(&self, rhythm: Rhythm) -> Option<(Timestamp, Option<Next>)> {
        let mut reader = Reader::new(&self.records, rhythm);
        let last = (0..self.len).map(|_| reader.raw()).last()?;
        Some((last.at + Duration::from_micros(last.took), last.next))
    }

    /// Changes when the request after the last recorded attempt is due. After an attempt that no request was to follow before
    /// the deadline, one is due now too.
    pub(crate) fn move_next(&mut self, next: Timestamp, rhythm: Rhythm) {
        if self.len == 0 {
            return;
        }
        let mut reader = Reader::new(&self.records, rhythm);
        let (mut from, mut before) = (rhythm.start, None);
        for _ in 1..self.len {
            before = Some(reader.raw().result);
            from = reader.due;
        }
        let begins = reader.position;
        let last = reader.raw();
        let why = last.next.map_or(NextReason::Grid, |before| before.why);
        let last = Raw { next: Some(Next { at: next, why }), ..last };
        let packed = last.packed(from, before, rhythm.interval);
        self.records.truncate(begins);
        self.records.extend_from_slice(packed.bytes());
        self.due = last.due(from, rhythm.interval);
    }

    /// The attempts, oldest first; `last` is the number of the last one.
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
            // The second record becomes the first: its start counts from the start of the poll, without a predecessor.
            let first = reader.raw().packed(rhythm.start, None, rhythm.interval);
            let rest = reader.position;
            match rest.checked_sub(first.len) {
                // The rewritten record mostly fits into the space of the two.
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

    /// After the first record of the oldest run was dropped: moves the start of the run to its next record, or drops the run.
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

/// Errors are numbered after the statuses, which are u16.
const ERRORS_FROM: u32 = 1 << 16;
/// The bit of a result whose request was sent twice; the numbers of statuses and errors are smaller.
const RESENT: u32 = 1 << 17;

/// One packed record.
struct Packed {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Packed {
    /// One byte of flags and six numbers.
    const MOST: usize = 1 + 6 * 10;

    fn new(flags: u8) -> Self {
        let mut bytes = [0; Self::MOST];
        bytes[0] = flags;
        Self { bytes, len: 1 }
    }

    /// LEB128: seven bits per byte, lowest first; the highest bit marks that more follow.
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
    /// The due time of the next record.
    due: Timestamp,
    /// The result of the record before.
    result: u32,
    interval: Duration,
}

impl<'a> Reader<'a> {
    const fn new(records: &'a [u8], Rhythm { start, interval }: Rhythm) -> Self {
        Self { records, position: 0, due: start, result: 0, interval }
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

    fn small(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    /// The next record.
    fn raw(&mut self) -> Raw {
        let written = self.byte();
        let flags = written & !(SAME_RESULT | USUAL_NEXT | NEXT);
        let at = self.due + Duration::from_micros(self.number());
        let took = self.number();
        if written & SAME_RESULT == 0 {
            self.result = self.small();
        }
        let reason = (written & NEXT) >> NEXT_SHIFT;
        let next = (reason != 0).then(|| Next { at: self.next(at, written), why: self.why(reason) });
        self.due = next.map_or(at, |next| next.at);
        Raw { flags, at, took, result: self.result, next }
    }

    fn next(&mut self, at: Timestamp, written: u8) -> Timestamp {
        if written & USUAL_NEXT != 0 {
            return self.due + self.interval;
        }
        shifted(at + self.interval, self.number())
    }

    fn why(&mut self, reason: u8) -> NextReason {
        match reason {
            GRID => NextReason::Grid,
            RETRY => NextReason::Retry { r#try: self.small(), limit: self.small() },
            _ => NextReason::Hint,
        }
    }
}

/// How far a time is from the usual one, with the sign as the lowest bit; at most 2⁶³ µs.
fn shift(usual: Timestamp, next: Timestamp) -> u64 {
    let distance = |later: Timestamp, earlier| micros(later.since(earlier)).min(u64::MAX >> 1);
    match distance(usual, next) {
        0 => distance(next, usual) << 1,
        early => early << 1 | 1,
    }
}

/// The time that is so far from the usual one.
fn shifted(usual: Timestamp, shift: u64) -> Timestamp {
    match shift & 1 {
        0 => usual + Duration::from_micros(shift >> 1),
        _ => Timestamp::from_micros(usual.as_micros().saturating_sub(shift >> 1)),
    }
}

/// A record as numbers.
struct Raw {
    /// The judgement and the note; the other flags follow from the rest.
    flags: u8,
    at: Timestamp,
    /// The duration in microseconds.
    took: u64,
    result: u32,
    next: Option<Next>,
}

impl Raw {
    /// When the next record is due, as it is read back.
    fn due(&self, from: Timestamp, interval: Duration) -> Timestamp {
        match self.next {
            None => self.at,
            Some(next) if next.at == from + interval => next.at,
            Some(next) => shifted(self.at + interval, shift(self.at + interval, next.at)),
        }
    }

    /// The packed form behind a record with the result `before` whose `next` is `from`.
    fn packed(&self, from: Timestamp, before: Option<u32>, interval: Duration) -> Packed {
        let Self { mut flags, at, took, result, next } = *self;
        // The number of an earlier time would be that of `from`, too.
        let at = at.max(from);
        flags |= match next.map(|next| next.why) {
            None => 0,
            Some(NextReason::Grid) => GRID,
            Some(NextReason::Retry { .. }) => RETRY,
            Some(NextReason::Hint) => HINT,
        } << NEXT_SHIFT;
        if before == Some(result) {
            flags |= SAME_RESULT;
        }
        if next.is_some_and(|next| next.at == from + interval) {
            flags |= USUAL_NEXT;
        }
        let mut packed = Packed::new(flags);
        packed.number(micros(at.since(from)));
        packed.number(took);
        if flags & SAME_RESULT == 0 {
            packed.number(result.into());
        }
        if let Some(next) = next.filter(|_| flags & USUAL_NEXT == 0) {
            packed.number(shift(at + interval, next.at));
        }
        if let Some(Next { why: NextReason::Retry { r#try, limit }, .. }) = next {
            packed.number(r#try.into());
            packed.number(limit.into());
        }
        packed
    }

    fn record(&self, note: Option<Note>) -> Record {
        let resent = self.result & RESENT != 0;
        let result = match self.result & !RESENT {
            error if error >= ERRORS_FROM => {
                let code = u8::try_from(error - ERRORS_FROM).unwrap_or(u8::MAX);
                AttemptResult::Error(FetchErrorKind::from_code(code))
            }
            status => AttemptResult::Status(u16::try_from(status).unwrap_or(u16::MAX)),
        };
        let judgement = JUDGEMENTS[usize::from(self.flags & JUDGEMENT)];
        let duration = Duration::from_micros(self.took);
        Record { at: self.at, duration, result, resent, judgement, note, next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let result = prop_oneof![
            any::<u16>().prop_map(AttemptResult::Status),
            Just(AttemptResult::Status(200)),
            (0_u8..13).prop_map(|code| AttemptResult::Error(FetchErrorKind::from_code(code))),
        ];
        let judgement = proptest::sample::select(&JUDGEMENTS[..]);
        let why = prop_oneof![
            Just(NextReason::Grid),
            Just(NextReason::Hint),
            (1..u32::MAX, 1..u32::MAX).prop_map(|(r#try, limit)| NextReason::Retry { r#try, limit }),
        ];
        let note = proptest::option::of("[ab]");
        (0..1_u64 << 40, 0..1_u64 << 40, (result, any::<bool>()), judgement, note, (0..1_u64 << 50, why))
            .prop_map(|(late, took, (result, resent), judgement, note, (after, why))| Record {
                at: Timestamp::from_micros(late),
                duration: Duration::from_micros(took),
                result,
                resent,
                judgement,
                note: note.map(Into::into),
                next: Some(Next { at: Timestamp::from_micros(after), why }),
            })
    }

    proptest! {
        /// Packed and unpacked, the last attempts are what they were.
        #[test]
        fn holds_the_last_attempts(
            records in proptest::collection::vec((record(), proptest::option::weighted(0.3, 0..1_u64 << 50)), 0..40),
            most in 0_usize..8,
        ) {
            let rhythm = Rhythm { start: Timestamp::from_micros(1 << 50), interval: Duration::from_secs(30) };
            let (mut history, mut kept, mut due) = (History::default(), VecDeque::<Attempt>::new(), rhythm.start);
            for (number, (mut record, moved)) in records.into_iter().enumerate() {
                record.at = due + Duration::from_micros(record.at.as_micros());
                let next = record.next.map(|next| match next.at.as_micros() {
                    // As it mostly is: an interval after this one was due.
                    after if after % 2 == 0 => Next { at: due + rhythm.interval, ..next },
                    after => Next { at: record.at + Duration::from_micros(after), ..next },
                });
                // No request may follow before the deadline, and then one does after all.
                record.next = next.filter(|next| moved.is_none() || next.at.as_micros() % 3 != 0);
                history.push(&record, rhythm, most);
                due = record.next.map_or(record.at, |next| next.at);
                let at = record.at;
                let number = number as u32 + 1;
                kept.push_back(record.into_attempt(number));
                if kept.len() > most {
                    kept.pop_front();
                }
                if let Some(moved) = moved {
                    due = at + Duration::from_micros(moved);
                    history.move_next(due, rhythm);
                    if let Some(last) = kept.back_mut() {
                        let why = last.next.map_or(NextReason::Grid, |next| next.why);
                        last.next = Some(Next { at: due, why });
                    }
                }
                let unpacked: Vec<Attempt> = history.attempts(rhythm, number).collect();
                prop_assert_eq!(&unpacked, &Vec::from(kept.clone()));
                let end = kept.back().map(|last| (last.at + last.duration, last.next));
                prop_assert_eq!(history.last_end(rhythm), end);
                let noted = kept.iter().rev().find_map(|attempt| attempt.note.as_deref());
                prop_assert_eq!(history.last_note().map(|note| &**note), noted);
            }
        }
    }

    /// Those of the first 146,000 years.
    const TIMES: std::ops::Range<u64> = 0..1 << 62;

    proptest! {
        /// Whatever the times are, the next record counts from the time that is read back.
        #[test]
        fn any_times_can_be_read_back(
            start in TIMES,
            times in proptest::collection::vec((TIMES, any::<u64>(), proptest::option::of(TIMES)), 1..10),
            moved in TIMES,
        ) {
            let rhythm = Rhythm { start: Timestamp::from_micros(start), interval: Duration::from_secs(30) };
            let mut history = History::default();
            for (at, took, next) in times {
                let record = Record {
                    at: Timestamp::from_micros(at),
                    duration: Duration::from_micros(took),
                    result: AttemptResult::Status(u16::MAX),
                    resent: true,
                    judgement: JudgementKind::Unmatched,
                    note: None,
                    next: next.map(|at| Next { at: Timestamp::from_micros(at), why: NextReason::Hint }),
                };
                history.push(&record, rhythm, 4);
                for last in [false, true] {
                    if last {
                        history.move_next(Timestamp::from_micros(moved), rhythm);
                    }
                    let mut reader = Reader::new(&history.records, rhythm);
                    (0..history.len).for_each(|_| _ = reader.raw());
                    prop_assert_eq!((reader.due, reader.position), (history.due, history.records.len()));
                }
                let kept = history.attempts(rhythm, 4).all(|attempt| attempt.result == record.result && attempt.resent);
                prop_assert!(kept);
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
                resent: false,
                judgement: JudgementKind::Unmatched,
                note: Some(r#"status is "PENDING", expected "SUCCESS""#.into()),
                next: Some(Next { at: due + rhythm.interval, why: NextReason::Grid }),
            };
            history.push(&record, rhythm, 20);
        }
        assert!(history.records.len() <= 20 * 6 + 10, "{}", history.records.len());
        assert!(
            history.records.capacity() <= history.records.len() * 5 / 4 + 20 && history.earlier.is_none()
        );
    }
}
