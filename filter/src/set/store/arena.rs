//! Items with numbers, which are used again once their items are gone.

use std::sync::Arc;

use super::chunked::Chunked;

/// Items by number. Copies share what does not change; see [`Chunked`].
#[derive(Clone, Debug)]
pub(in crate::set) struct Arena<T> {
    items: Chunked<T>,
    free: Arc<Vec<u32>>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { items: Chunked::default(), free: Arc::default() }
    }
}

impl<T: Clone + Default> Arena<T> {
    pub(in crate::set) fn add(&mut self, item: T) -> u32 {
        if let Some(number) = (!self.free.is_empty()).then(|| Arc::make_mut(&mut self.free).pop()).flatten() {
            *self.at_mut(number) = item;
            return number;
        }
        let number =
            u32::try_from(self.items.len()).expect("invariant: fewer than 2³² parts fit into memory");
        self.items.push(item);
        number
    }

    /// Takes an item out; its number may be given to another.
    pub(in crate::set) fn take(&mut self, number: u32) -> T {
        Arc::make_mut(&mut self.free).push(number);
        std::mem::take(self.at_mut(number))
    }

    #[inline]
    pub(in crate::set) fn get(&self, number: u32) -> Option<&T> {
        self.items.get(number as usize)
    }

    #[inline]
    pub(in crate::set) fn at(&self, number: u32) -> &T {
        self.items.get(number as usize).expect("invariant: a number comes from this arena")
    }

    /// Has the processor fetch an item that is wanted soon; nothing where there is none of that number.
    #[inline]
    pub(in crate::set) fn prefetch(&self, number: u32) {
        self.items.prefetch(number as usize);
    }

    pub(in crate::set) fn at_mut(&mut self, number: u32) -> &mut T {
        self.items.get_mut(number as usize).expect("invariant: a number comes from this arena")
    }

    /// One more than the greatest number there has been.
    pub(in crate::set) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many items there are.
    pub(in crate::set) fn live(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// All items; in the place of one that is gone is the default.
    pub(in crate::set) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// The memory that it takes, in bytes, without what items own.
    pub(in crate::set) fn bytes(&self) -> usize {
        self.items.bytes() + self.free.capacity() * size_of::<u32>()
    }
}
