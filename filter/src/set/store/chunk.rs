//! A slice that clones share.
//!
//! `Arc<Vec<T>>` does the same without `unsafe`, but reading an item takes one more step through memory: with a million rules of
//! two exact fields (`exact2/1000000` of `benches/compare`, without regions) an event took 1958 ns with it and 1374 ns
//! with this. `Arc<[T]>` cannot use memory of a [region].
#![expect(unsafe_code, reason = "the standard `Arc<[T]>` supports no other allocator")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::process::abort;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use super::region;

/// An `Arc<[T]>` without weak references, and optionally with memory in a [region].
pub(super) struct Chunk<T> {
    /// `len` items follow it in memory, all of them initialized.
    head: NonNull<Head>,
    len: usize,
    owned: PhantomData<T>,
}

struct Head {
    holders: AtomicUsize,
    /// Whether the memory is a block of a region.
    in_region: bool,
}

// SAFETY: as for `Arc<[T]>`: every holder of a chunk can read its items, and the last one drops them.
unsafe impl<T: Send + Sync> Send for Chunk<T> {}
// SAFETY: the same.
unsafe impl<T: Send + Sync> Sync for Chunk<T> {}

impl<T> Chunk<T> {
    /// The offset of the items.
    const ITEMS: usize = size_of::<Head>().next_multiple_of(align_of::<T>());

    /// Creates `len` items from their indexes; in a block of a region if `in_region` and if they nearly fill one.
    pub(super) fn new(len: usize, in_region: bool, mut item: impl FnMut(usize) -> T) -> Self {
        let mut filling = Filling { chunk: Self::reserve(len, in_region), done: 0 };
        while filling.done < len {
            let item = item(filling.done);
            // SAFETY: the memory has room for `len` items, and nothing else refers to it yet.
            unsafe { filling.chunk.items().add(filling.done).write(item) };
            filling.done += 1;
        }
        let head = ManuallyDrop::new(filling).chunk.head;
        Self { head, len, owned: PhantomData }
    }

    /// A chunk whose items are not initialized.
    fn reserve(len: usize, in_region: bool) -> ManuallyDrop<Self> {
        let layout = Self::layout(len);
        let in_region = in_region && region::suits(layout);
        let memory = if in_region {
            region::take()
        } else {
            // SAFETY: the layout is not empty, since it includes the head.
            NonNull::new(unsafe { alloc(layout) })
        };
        let Some(memory) = memory else { handle_alloc_error(layout) };
        let head = memory.cast::<Head>();
        // SAFETY: both kinds of memory fit this layout, which begins with a head.
        unsafe { head.write(Head { holders: AtomicUsize::new(1), in_region }) };
        ManuallyDrop::new(Self { head, len, owned: PhantomData })
    }

    fn layout(len: usize) -> Layout {
        let items =
            Layout::array::<T>(len).expect("invariant: a chunk is far smaller than what can be addressed");
        let (layout, offset) = Layout::new::<Head>()
            .extend(items)
            .expect("invariant: a chunk is far smaller than what can be addressed");
        debug_assert_eq!(offset, Self::ITEMS);
        layout.pad_to_align()
    }

    fn head(&self) -> &Head {
        // SAFETY: the head is initialized when the chunk is created and lives as long as any holder.
        unsafe { self.head.as_ref() }
    }

    #[inline]
    fn items(&self) -> *mut T {
        // SAFETY: the items are at this offset of the same allocation.
        unsafe { self.head.cast::<u8>().add(Self::ITEMS) }.cast().as_ptr()
    }

    /// Frees the memory.
    ///
    /// # Safety
    /// The head and the items are not used any more.
    unsafe fn free(&self) {
        let memory = self.head.cast::<u8>();
        if self.head().in_region {
            // SAFETY: the memory is from `region::take`.
            unsafe { region::give_back(memory) };
        } else {
            // SAFETY: the memory is from `alloc` with this layout.
            unsafe { dealloc(memory.as_ptr(), Self::layout(self.len)) };
        }
    }

    /// Memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        if self.head().in_region { region::BLOCK } else { Self::layout(self.len).size() }
    }
}

impl<T: Clone> Chunk<T> {
    /// The items to modify, copied first if there are other holders.
    #[inline]
    pub(super) fn make_mut(&mut self) -> &mut [T] {
        // `Acquire`: everything that former holders did with the items happens before this.
        if self.head().holders.load(Ordering::Acquire) != 1 {
            self.unshare();
        }
        // SAFETY: all items are initialized, and there is no other holder: one could only be created through `self`, which is
        // borrowed.
        unsafe { slice::from_raw_parts_mut(self.items(), self.len) }
    }

    /// Separate, so that `make_mut` is inlined: most chunks that change have one holder.
    #[cold]
    fn unshare(&mut self) {
        *self = Self::new(self.len, self.head().in_region, |at| self[at].clone());
    }
}

impl<T> Deref for Chunk<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: all items are initialized, and change only if there is one holder, through a mutable borrow of it.
        unsafe { slice::from_raw_parts(self.items(), self.len) }
    }
}

impl<T> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        // Only leaked clones can reach this count. Continuing could overflow it to 0.
        if self.head().holders.fetch_add(1, Ordering::Relaxed) > isize::MAX as usize {
            abort();
        }
        Self { head: self.head, len: self.len, owned: PhantomData }
    }
}

impl<T> Drop for Chunk<T> {
    fn drop(&mut self) {
        if self.head().holders.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Everything that other holders did with the items happens before they are dropped.
        fence(Ordering::Acquire);
        // SAFETY: all items are initialized, and this was the last holder.
        unsafe { ptr::drop_in_place(ptr::slice_from_raw_parts_mut(self.items(), self.len)) };
        // SAFETY: there is no holder any more.
        unsafe { self.free() };
    }
}

impl<T: fmt::Debug> fmt::Debug for Chunk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A chunk whose first `done` items are initialized. It drops them if creating an item panics.
struct Filling<T> {
    chunk: ManuallyDrop<Chunk<T>>,
    done: usize,
}

impl<T> Drop for Filling<T> {
    fn drop(&mut self) {
        // SAFETY: the first `done` items are initialized, and there is no holder.
        unsafe { ptr::drop_in_place(ptr::slice_from_raw_parts_mut(self.chunk.items(), self.done)) };
        // SAFETY: there is no holder.
        unsafe { self.chunk.free() };
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::thread;

    use super::Chunk;

    /// Chunks with both kinds of memory.
    fn kinds() -> impl Iterator<Item = (bool, usize)> {
        [(false, 5), (true, 4096)].into_iter()
    }

    #[test]
    fn every_item_is_dropped_once() {
        for (in_region, len) in kinds() {
            let counted = Arc::new(());
            let mut chunk = Chunk::new(len, in_region, |_| counted.clone());
            let copy = chunk.clone();
            assert_eq!(Arc::strong_count(&counted), 1 + len);
            chunk.make_mut()[0] = Arc::default();
            assert_eq!(Arc::strong_count(&counted), 2 * len);
            drop(copy);
            assert_eq!(Arc::strong_count(&counted), len);
            drop(chunk);
            assert_eq!(Arc::strong_count(&counted), 1);
        }
    }

    #[test]
    fn only_shared_items_are_copied() {
        for (in_region, len) in kinds() {
            let mut chunk = Chunk::new(len, in_region, |at| at);
            let place = chunk.as_ptr();
            chunk.make_mut()[1] = 10;
            assert_eq!((chunk.as_ptr(), chunk[1]), (place, 10));
            let copy = chunk.clone();
            chunk.make_mut()[1] = 20;
            assert_eq!((copy[1], chunk[1]), (10, 20));
            assert_eq!((copy[0], chunk[len - 1]), (0, len - 1));
        }
    }

    #[test]
    fn items_are_dropped_if_creating_one_panics() {
        for (in_region, len) in kinds() {
            let counted = Arc::new(());
            let result = catch_unwind(AssertUnwindSafe(|| {
                Chunk::new(len, in_region, |at| if at == 3 { panic!("expected") } else { counted.clone() })
            }));
            assert!(result.is_err());
            assert_eq!(Arc::strong_count(&counted), 1);
        }
    }

    #[test]
    fn items_are_aligned_and_may_have_no_size() {
        #[derive(Clone, Default)]
        #[repr(align(256))]
        struct Wide(u8);
        let wide = Chunk::new(64, true, |at| Wide(at as u8));
        assert!(wide.iter().zip(0..).all(|(wide, at)| wide.0 == at));
        assert_eq!(wide.as_ptr().addr() % 256, 0);
        assert_eq!(Chunk::new(7, true, |_| ()).len(), 7);
        assert_eq!(Chunk::new(0, false, |at| at).len(), 0);
    }

    #[test]
    fn threads_share_chunks() {
        for (in_region, len) in kinds() {
            let chunk = Chunk::new(len, in_region, |at| vec![at]);
            thread::scope(|scope| {
                for thread in 0..4 {
                    let mut mine = chunk.clone();
                    scope.spawn(move || {
                        for at in 0..len {
                            mine.make_mut()[at].push(thread);
                        }
                        assert!(mine.iter().enumerate().all(|(at, item)| *item == [at, thread]));
                    });
                }
            });
            assert!(chunk.iter().enumerate().all(|(at, item)| *item == [at]));
        }
    }
}
