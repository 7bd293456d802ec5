//! Asking for memory before it is needed.

/// Has the processor fetch the line of its cache in which something begins, and goes on without waiting for it; nothing
/// on processors other than x86-64.
#[inline(always)]
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "no safe function of the standard library does it")
)]
pub(in crate::set) fn prefetch<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction has no effect that a program can see and faults on no address, and this address is of a
        // reference. It belongs to SSE, which every x86-64 has.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}
