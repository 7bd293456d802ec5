//! Memory for the chunks of large sets, in large pages.
//!
//! A set of a million filters takes some 200 MB, of which an event looks at a handful of places. With pages of 4 KiB the
//! processor does not know where most of them are and has to look that up in tables that are themselves not in the cache;
//! with pages of 2 MiB it knows. Systems give those to whoever asks for them, and only for memory that is aligned to them.
//! So chunks of 32 KiB are cut out of regions of 2 MiB.
//!
//! Against a million rules of two exact fields (`exact2/1000000` of `benches/compare`) an event took 541 to 580 ns with it and
//! 730 to 762 without, both built into one program.
#![expect(unsafe_code, reason = "memory that is cut out of a larger piece cannot be had otherwise")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A region, which is a large page on x86-64, and on aarch64 with pages of 4 KiB.
const REGION: Layout = match Layout::from_size_align(2 << 20, 2 << 20) {
    Ok(layout) => layout,
    Err(_) => panic!("not a layout"),
};

/// What is given: 32 KiB, and a line of the cache for what goes before them.
pub(super) const BLOCK: usize = ALIGN + (32 << 10);
const ALIGN: usize = 64;
const BLOCKS: u32 = (REGION.size() / BLOCK) as u32;

/// All regions of this process. What a set gives back, another can use.
static REGIONS: Mutex<Regions> = Mutex::new(Regions { all: BTreeMap::new(), open: BTreeSet::new() });

struct Regions {
    /// By their addresses.
    all: BTreeMap<usize, Region>,
    /// Those that have free blocks.
    open: BTreeSet<usize>,
}

struct Region {
    memory: NonNull<u8>,
    /// A bit for each block.
    free: u64,
}

// SAFETY: the pointer is to memory that belongs to the region.
unsafe impl Send for Region {}

/// A bit for each block there is.
const ALL: u64 = (1 << BLOCKS) - 1;

/// Whether something fits into a block and does not leave much of it unused.
pub(super) fn suits(layout: Layout) -> bool {
    cfg!(target_os = "linux") && layout.align() <= ALIGN && (BLOCK / 8 * 7..=BLOCK).contains(&layout.size())
}

/// A block, aligned to 64 bytes, in which nothing is initialized; `None` if there is no memory.
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
    // SAFETY: there are more blocks than this one's number, so that it lies in the region.
    Some(unsafe { region.memory.add(block as usize * BLOCK) })
}

/// Takes a block back.
///
/// # Safety
/// It comes from [`take`], has not been given back since, and is used no more.
pub(super) unsafe fn give_back(block: NonNull<u8>) {
    let mut regions = lock();
    let Regions { all, open } = &mut *regions;
    let (address, offset) =
        (block.addr().get() / REGION.size() * REGION.size(), block.addr().get() % REGION.size());
    let Some(region) = all.get_mut(&address) else { return };
    region.free |= 1 << (offset / BLOCK);
    open.insert(address);
    if region.free == ALL {
        // SAFETY: it came from `alloc` with this layout, and none of its blocks is used.
        unsafe { dealloc(region.memory.as_ptr(), REGION) };
        all.remove(&address);
        open.remove(&address);
    }
}

fn lock() -> MutexGuard<'static, Regions> {
    REGIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for a large page. Where there is none to be had, it is many small ones, which serve as well but for the time.
#[cfg(target_os = "linux")]
fn advise(region: NonNull<u8>) {
    use rustix::mm::{Advice, madvise};
    // SAFETY: this advice changes no content, and the memory is ours.
    let _ = unsafe { madvise(region.as_ptr().cast(), REGION.size(), Advice::LinuxHugepage) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_: NonNull<u8>) {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ALIGN, BLOCK, BLOCKS, REGION, give_back, lock, take};

    #[test]
    fn blocks_are_apart_in_their_regions_and_go_back() {
        // More than fit into one region, and each is written whole.
        let blocks: Vec<_> = (0..2 * BLOCKS + 3).map(|_| take().unwrap()).collect();
        for (block, mark) in blocks.iter().zip(0_u8..) {
            // SAFETY: the block is ours and so long.
            unsafe { block.write_bytes(mark, BLOCK) };
        }
        let mut regions = HashSet::new();
        for (block, mark) in blocks.iter().zip(0_u8..) {
            assert_eq!(block.addr().get() % ALIGN, 0);
            let region = block.addr().get() / REGION.size() * REGION.size();
            assert!(block.addr().get() + BLOCK <= region + REGION.size());
            regions.insert(region);
            // SAFETY: all of it has been written.
            let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), BLOCK) };
            assert!(bytes.iter().all(|&byte| byte == mark));
        }
        assert!(regions.len() >= 3);
        for block in blocks {
            // SAFETY: it is used no more.
            unsafe { give_back(block) };
        }
        // Other tests may have taken blocks of these meanwhile; whatever is left is in order.
        let regions = lock();
        for (address, region) in &regions.all {
            assert_eq!(region.memory.addr().get(), *address);
            assert_ne!(region.free, super::ALL, "a region of which nothing is used is given back");
            assert_eq!(regions.open.contains(address), region.free != 0);
        }
    }
}
