//! Memory for the chunks of large sets, in large pages.
//!
//! A set of a million filters takes some 200 MB, of which an event reads a handful of places. With pages of 4 KiB, the
//! processor has to look up the address of most of them in page tables that are in no cache themselves; with pages of 2 MiB
//! it does not. The system provides large pages on request, for memory aligned to them. So chunks of 32 KiB are allocated in
//! regions of 2 MiB.
//!
//! With a million rules of two exact fields (`exact2/1000000` of `benches/compare`), an event took 541 to 580 ns with regions
//! and 730 to 762 ns without, both built into one program.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A large page on x86-64, and on aarch64 with pages of 4 KiB.
const REGION: Layout = match Layout::from_size_align(2 << 20, 2 << 20) {
    Ok(layout) => layout,
    Err(_) => panic!("not a layout"),
};

/// The size of an allocation in a region: 32 KiB, and a cache line for the head of a chunk.
pub(super) const BLOCK: usize = ALIGN + (32 << 10);
const ALIGN: usize = 64;
const BLOCKS: u32 = (REGION.size() / BLOCK) as u32;

/// The regions of this process, for all sets.
static REGIONS: Mutex<Regions> = Mutex::new(Regions { all: BTreeMap::new(), open: BTreeSet::new() });

struct Regions {
    /// All regions by address.
    all: BTreeMap<usize, Region>,
    /// The addresses of regions with free blocks.
    open: BTreeSet<usize>,
}

struct Region {
    memory: NonNull<u8>,
    /// One bit per block.
    free: u64,
}

// SAFETY: the pointer is to memory that belongs to the region.
unsafe impl Send for Region {}

/// The bits of all blocks.
const ALL: u64 = (1 << BLOCKS) - 1;

/// Whether an allocation fits into a block and uses most of it.
pub(super) fn suits(layout: Layout) -> bool {
    cfg!(target_os = "linux") && layout.align() <= ALIGN && (BLOCK / 8 * 7..=BLOCK).contains(&layout.size())
}

/// A free block, aligned to 64 bytes and not initialized; `None` if there is no memory.
pub(super) fn take() -> Option<NonNull<u8>> {
    let mut regions = lock();
    let Regions { all, open } = &mut *regions;
    let address = match open.first() {
        Some(&address) => address,
        None => {
            // SAFETY: the layout is not empty.
            let memory = NonNull::new(unsafe { alloc(REGION) })?;
            advise(memory);
            let address = memory.addr().get();
            all.insert(address, Region { memory, free: ALL });
            open.insert(address);
            address
        }
    };
    let region = all.get_mut(&address)?;
    let block = region.free.trailing_zeros();
    region.free &= region.free - 1;
    if region.free == 0 {
        open.remove(&address);
    }
    // SAFETY: the block's number is below the number of blocks, so it lies in the region.
    Some(unsafe { region.memory.add(block as usize * BLOCK) })
}

/// Returns a block to its region, and an empty region to the system.
///
/// # Safety
/// The block is from [`take`], has not been returned since, and is not used any more.
pub(super) unsafe fn give_back(block: NonNull<u8>) {
    let mut regions = lock();
    let Regions { all, open } = &mut *regions;
    let (address, offset) =
        (block.addr().get() / REGION.size() * REGION.size(), block.addr().get() % REGION.size());
    let Some(region) = all.get_mut(&address) else { return };
    region.free |= 1 << (offset / BLOCK);
    open.insert(address);
    if region.free == ALL {
        // SAFETY: the region is from `alloc` with this layout, and none of its blocks is in use.
        unsafe { dealloc(region.memory.as_ptr(), REGION) };
        all.remove(&address);
        open.remove(&address);
    }
}

fn lock() -> MutexGuard<'static, Regions> {
    REGIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests a large page. Without one, the region consists of small pages, which are only slower. Miri does not know the call.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise(region: NonNull<u8>) {
    use rustix::mm::{Advice, madvise};
    // SAFETY: this advice does not change the content, and the memory belongs to the region.
    let _ = unsafe { madvise(region.as_ptr().cast(), REGION.size(), Advice::LinuxHugepage) };
}

#[cfg(any(not(target_os = "linux"), miri))]
fn advise(_: NonNull<u8>) {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ALIGN, BLOCK, BLOCKS, REGION, give_back, lock, take};

    #[test]
    fn blocks_do_not_overlap_and_return_to_their_regions() {
        // More than fit into one region.
        let blocks: Vec<_> = (0..2 * BLOCKS + 3).map(|_| take().unwrap()).collect();
        for (block, mark) in blocks.iter().zip(0_u8..) {
            // SAFETY: the block is in use here and has this length.
            unsafe { block.write_bytes(mark, BLOCK) };
        }
        let mut regions = HashSet::new();
        for (block, mark) in blocks.iter().zip(0_u8..) {
            assert_eq!(block.addr().get() % ALIGN, 0);
            let region = block.addr().get() / REGION.size() * REGION.size();
            assert!(block.addr().get() + BLOCK <= region + REGION.size());
            regions.insert(region);
            // SAFETY: all bytes of the block have been written.
            let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), BLOCK) };
            assert!(bytes.iter().all(|&byte| byte == mark));
        }
        assert!(regions.len() >= 3);
        for block in blocks {
            // SAFETY: the block is not used any more.
            unsafe { give_back(block) };
        }
        // Other tests may use blocks of these regions at the same time.
        let regions = lock();
        for (address, region) in &regions.all {
            assert_eq!(region.memory.addr().get(), *address);
            assert_ne!(region.free, super::ALL, "an empty region is returned to the system");
            assert_eq!(regions.open.contains(address), region.free != 0);
        }
    }
}
