//! Prefetching memory.

/// Makes the processor load the cache line at the beginning of an item, without waiting for it. Does nothing on processors
/// other than x86-64.
#[inline(always)]
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the standard library has no safe function for it")
)]
pub(in crate::set) fn prefetch<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction has no visible effect and does not fault on any address. It belongs to SSE, which every
        // x86-64 has.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

/// The bytes of a cache line.
const LINE: usize = 64;

/// The beginning of an event that is prefetched: the processor prefetches the rest by itself.
const AHEAD: usize = 1024;

/// Prefetches an event whose first line is about to be read. In a stream of events, each is in no cache when its turn comes.
#[inline(always)]
pub(in crate::set) fn prefetch_event(event: &[u8]) {
    for at in (LINE..event.len().min(AHEAD)).step_by(LINE) {
        prefetch(&event[at]);
    }
}
