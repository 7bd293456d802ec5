//! Items by number, with the numbers of removed items used again.

use std::sync::Arc;

use super::chunked::Chunked;

/// Items by number. Clones share all data that does not change; see [`Chunked`].
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

    /// An arena with an item for each of these, removed ones included, that gives out the same numbers from now on.
    pub(in crate::set) fn map<U: Clone + Default>(&self, make: impl FnMut(&T) -> U) -> Arena<U> {
        let mut items = Chunked::default();
        self.items.iter().map(make).for_each(|item| items.push(item));
        Arena { items, free: Arc::clone(&self.free) }
    }

    /// Removes an item; a later one may get its number.
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

    /// Prefetches the item with a number, if there is one.
    #[inline]
    pub(in crate::set) fn prefetch(&self, number: u32) {
        self.items.prefetch(number as usize);
    }

    pub(in crate::set) fn at_mut(&mut self, number: u32) -> &mut T {
        self.items.get_mut(number as usize).expect("invariant: a number comes from this arena")
    }

    /// The greatest number so far, plus one.
    pub(in crate::set) fn len(&self) -> usize {
        self.items.len()
    }

    /// The number of items.
    pub(in crate::set) fn live(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// All items by number, with the default in place of removed ones.
    pub(in crate::set) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// Memory in bytes, without the heap memory of items.
    pub(in crate::set) fn bytes(&self) -> usize {
        self.items.bytes() + self.free.capacity() * size_of::<u32>()
    }
}
