//! A list of numbers that is mostly short.

use std::sync::Arc;

/// How many are held in place.
const FEW: usize = 3;

/// Numbers in no particular order, in 16 bytes; a few of them take no memory of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::set) enum List {
    Few { len: u8, numbers: [u32; FEW] },
    Many(Arc<Vec<u32>>),
}

impl Default for List {
    fn default() -> Self {
        Self::Few { len: 0, numbers: [0; FEW] }
    }
}

impl List {
    #[inline]
    pub(in crate::set) fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few { len, numbers } => numbers.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(numbers) => numbers,
        }
    }

    pub(in crate::set) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub(in crate::set) fn push(&mut self, number: u32) {
        match self {
            Self::Few { len, numbers } => match numbers.get_mut(usize::from(*len)) {
                Some(place) => {
                    *place = number;
                    *len += 1;
                }
                None => {
                    let mut many = numbers.to_vec();
                    many.push(number);
                    *self = Self::Many(Arc::new(many));
                }
            },
            Self::Many(numbers) => Arc::make_mut(numbers).push(number),
        }
    }

    /// Removes a number, once; linear in the length.
    pub(in crate::set) fn remove(&mut self, number: u32) {
        let Some(place) = self.as_slice().iter().position(|&other| other == number) else { return };
        match self {
            Self::Few { .. } => {
                *self = self
                    .as_slice()
                    .iter()
                    .enumerate()
                    .filter(|&(at, _)| at != place)
                    .map(|(_, &n)| n)
                    .collect();
            }
            Self::Many(numbers) => {
                Arc::make_mut(numbers).swap_remove(place);
                if numbers.len() <= FEW {
                    *self = numbers.iter().copied().collect();
                }
            }
        }
    }

    /// The memory that it owns, in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        match self {
            Self::Many(numbers) => numbers.capacity() * size_of::<u32>() + 5 * size_of::<usize>(),
            Self::Few { .. } => 0,
        }
    }
}

impl FromIterator<u32> for List {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut list = Self::default();
        numbers.into_iter().for_each(|number| list.push(number));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn grows_and_shrinks() {
        assert_eq!(size_of::<List>(), 16);
        let mut list = List::default();
        for number in 0..6 {
            list.push(number);
            assert_eq!(list.as_slice().len(), number as usize + 1);
        }
        for number in [3, 0, 5, 1, 2, 4] {
            assert!(list.as_slice().contains(&number));
            list.remove(number);
            assert!(!list.as_slice().contains(&number));
        }
        assert_eq!(list, List::default());
    }
}
