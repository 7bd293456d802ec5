//! A vector in chunks that clones share.

use super::chunk::Chunk;
use super::prefetch::prefetch;

/// A vector whose clones share its chunks: cloning copies the list of chunks, and changing an item copies its chunk at most.
/// Reading an item takes two steps through memory.
#[derive(Clone, Debug)]
pub(super) struct Chunked<T> {
    chunks: Vec<Chunk<T>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunked<T> {
    /// Items per chunk, except for the first one, which grows up to it, so that small vectors are small. A chunk of 32 KiB is
    /// copied in a microsecond, and chunks are few enough that their list and reference counts stay in the cache.
    const CHUNK: usize = 1 << Self::BITS;
    const BITS: u32 = 15 - size_of::<T>().next_power_of_two().ilog2();

    /// This many chunks are allocated on the heap, later ones in regions: beyond half a megabyte, large pages pay.
    const HEAP_CHUNKS: usize = 16;
}

impl<T: Clone + Default> Chunked<T> {
    /// Appends default items until there are at least `least`, in whole chunks except for the last one of `most`.
    #[inline]
    pub(super) fn fill_to(&mut self, least: usize, most: usize) {
        while self.len < least {
            let size = Self::CHUNK.min(most - self.len);
            self.chunks.push(Chunk::new(size, self.chunks.len() >= Self::HEAP_CHUNKS, |_| T::default()));
            self.len += size;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index >> Self::BITS)?.get(index & (Self::CHUNK - 1))
    }

    #[inline]
    pub(super) fn prefetch(&self, index: usize) {
        if let Some(item) = self.get(index) {
            prefetch(item);
        }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index >> Self::BITS)?.make_mut().get_mut(index & (Self::CHUNK - 1))
    }

    pub(super) fn push(&mut self, item: T) {
        let (chunk, place) = (self.len >> Self::BITS, self.len & (Self::CHUNK - 1));
        let chunks = &mut self.chunks;
        if chunk == chunks.len() {
            let size = if chunk == 0 { 2 } else { Self::CHUNK };
            chunks.push(Chunk::new(size, chunk >= Self::HEAP_CHUNKS, |_| T::default()));
        } else if place == chunks[chunk].len() {
            let old = &chunks[chunk];
            let grown = (place * 2).min(Self::CHUNK);
            chunks[chunk] = Chunk::new(grown, false, |at| old.get(at).cloned().unwrap_or_default());
        }
        chunks[chunk].make_mut()[place] = item;
        self.len += 1;
    }

    /// Passes each item to `take`, and frees a chunk when all of its items have been taken.
    pub(super) fn into_each(self, mut take: impl FnMut(T)) {
        let mut left = self.len;
        for chunk in self.chunks {
            chunk.iter().take(left).cloned().for_each(&mut take);
            left = left.saturating_sub(chunk.len());
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).take(self.len)
    }

    /// Memory in bytes, without the heap memory of items.
    pub(super) fn bytes(&self) -> usize {
        let items: usize = self.chunks.iter().map(Chunk::bytes).sum();
        items + self.chunks.capacity() * size_of::<Chunk<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::Chunked;

    #[test]
    fn clones_do_not_see_changes() {
        let mut original = Chunked::default();
        for n in 0..1000_usize {
            original.push(n);
        }
        let mut copy = original.clone();
        *copy.get_mut(500).unwrap() = 0;
        copy.push(1000);
        assert_eq!((original.len(), copy.len()), (1000, 1001));
        assert!(original.iter().copied().eq(0..1000));
        assert_eq!(copy.get(500), Some(&0));
        assert_eq!(copy.get(999), Some(&999));
        assert_eq!(copy.get(1000), Some(&1000));
        assert_eq!(original.get(1024), None);
    }
}
