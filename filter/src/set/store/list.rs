//! A list for mostly few items.

use std::sync::Arc;

use super::prefetch::prefetch;

/// Items in no particular order: up to `FEW` in place, more on the heap.
#[derive(Clone, Debug)]
pub(in crate::set) enum List<T, const FEW: usize> {
    Few {
        len: u8,
        items: [T; FEW],
    },
    /// The first `len` items are in use; the rest is spare capacity.
    Many {
        len: u32,
        items: Arc<[T]>,
    },
}

impl<T: Copy + Default, const FEW: usize> Default for List<T, FEW> {
    fn default() -> Self {
        Self::Few { len: 0, items: [T::default(); FEW] }
    }
}

impl<T: Copy + Default, const FEW: usize> List<T, FEW> {
    #[inline]
    pub(in crate::set) fn as_slice(&self) -> &[T] {
        match self {
            Self::Few { len, items } => items.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many { len, items } => items.get(..*len as usize).unwrap_or_default(),
        }
    }

    pub(in crate::set) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Prefetches the items that are not in place.
    #[inline]
    pub(in crate::set) fn prefetch(&self) {
        if let Self::Many { items, .. } = self {
            items.first().inspect(|first| prefetch(*first));
        }
    }

    pub(in crate::set) fn push(&mut self, item: T) {
        match self {
            Self::Few { len, items } => match items.get_mut(usize::from(*len)) {
                Some(place) => {
                    *place = item;
                    *len += 1;
                }
                None => {
                    let items = items.iter().copied().chain([item]);
                    let room = std::iter::repeat_n(T::default(), FEW.saturating_sub(1));
                    *self = Self::Many { len: FEW as u32 + 1, items: items.chain(room).collect() };
                }
            },
            Self::Many { len, items } => {
                let place = *len as usize;
                if place == items.len() {
                    let room = std::iter::repeat_n(T::default(), place);
                    *items = items.iter().copied().chain(room).collect();
                }
                Arc::make_mut(items)[place] = item;
                *len = u32::try_from(place + 1).expect("invariant: fewer than 2³² parts fit into memory");
            }
        }
    }

    /// Removes the first item for which `is` holds, in time linear in the length.
    pub(in crate::set) fn remove(&mut self, is: impl Fn(T) -> bool) {
        self.remove_near(usize::MAX, is);
    }

    /// As [`remove`](Self::remove), in constant time if the item is at the place `likely`. The last item takes the place of the
    /// removed one; returns that place.
    pub(in crate::set) fn remove_near(&mut self, likely: usize, is: impl Fn(T) -> bool) -> Option<usize> {
        let likely = Some(likely).filter(|&likely| self.as_slice().get(likely).is_some_and(|&item| is(item)));
        let place = likely.or_else(|| self.as_slice().iter().position(|&item| is(item)))?;
        let last = self.as_slice().len() - 1;
        match self {
            Self::Few { len, items } => {
                items.swap(place, last);
                *len -= 1;
            }
            Self::Many { items, .. } if last <= FEW || last * 4 < items.len() => {
                let kept = self.as_slice().iter().enumerate().take(last);
                let moved = self.as_slice()[last];
                *self = kept.map(|(at, &item)| if at == place { moved } else { item }).collect();
            }
            Self::Many { len, items } => {
                Arc::make_mut(items).swap(place, last);
                *len -= 1;
            }
        }
        Some(place)
    }

    /// Heap memory in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        match self {
            Self::Many { items, .. } => size_of_val::<[T]>(items) + 2 * size_of::<usize>(),
            Self::Few { .. } => 0,
        }
    }
}

impl<T: Copy + Default, const FEW: usize> FromIterator<T> for List<T, FEW> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::default();
        items.into_iter().for_each(|item| list.push(item));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn grows_and_shrinks() {
        let mut list = List::<u64, 2>::default();
        assert_eq!(size_of_val(&list), 24);
        for number in 0..40 {
            list.push(number);
            assert_eq!(list.as_slice().len() as u64, number + 1);
        }
        for number in (20..40).chain(0..20).rev() {
            assert!(list.as_slice().contains(&number));
            // A wrong place does no harm.
            let (likely, last) = (number as usize / 2, list.as_slice().last().copied());
            let place = list.remove_near(likely, |other| other == number);
            assert!(!list.as_slice().contains(&number));
            let moved = place.and_then(|place| list.as_slice().get(place).copied());
            assert!(moved == last || last == Some(number), "{number}: {moved:?}");
            assert_eq!(list.remove_near(likely, |other| other == number), None);
        }
        assert!(list.is_empty() && list.bytes() == 0);
    }
}
