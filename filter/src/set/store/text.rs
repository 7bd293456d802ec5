//! A byte string that is mostly short.

/// The number of bytes that fit in place.
const INLINE: usize = 22;

/// A byte string that takes 24 bytes and no heap memory if it is short, as most literals in filters are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::set) enum Text {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl Text {
    pub(in crate::set) fn new(text: &[u8]) -> Self {
        Self::of_both(text, &[])
    }

    /// The concatenation of two byte strings.
    pub(in crate::set) fn of_both(front: &[u8], back: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        let length = front.len() + back.len();
        match (bytes.get_mut(..length), u8::try_from(length)) {
            (Some(place), Ok(len)) => {
                let (first, second) = place.split_at_mut(front.len());
                first.copy_from_slice(front);
                second.copy_from_slice(back);
                Self::Inline { len, bytes }
            }
            _ => Self::Heap([front, back].concat().into()),
        }
    }

    #[inline]
    pub(in crate::set) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }

    /// Heap memory in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn holds_bytes_of_any_length() {
        assert_eq!(size_of::<Text>(), 24);
        for length in 0..50 {
            let bytes = vec![b'x'; length];
            assert_eq!(Text::new(&bytes).as_bytes(), bytes);
        }
    }
}
