//! Values larger than one entry of a store can be (Windows Credential Manager: 2,560 bytes).
//!
//! The entry with the item's own name begins with a header. What does not fit beside it lies in `<item>#a.0`, `#a.1` and
//! on, or in `#b.…`, in turns: a new value is written beside the old one, and the header, one write, switches over. A crash
//! leaves the old value or the new one, and at worst entries that the next save overwrites or sweeps away.

use keyfob_ipc::Secret;
use zeroize::Zeroizing;

use super::super::{KeychainError, MAX_VALUE};

/// A store of small entries. An absent entry is as good as deleted.
pub(super) trait Entries {
    fn get(&self, name: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError>;
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), KeychainError>;
    fn delete(&self, name: &str) -> Result<(), KeychainError>;
}

/// `1`, where the rest lies, and the value's whole length (u32, little-endian); then the value's first bytes.
const HEADER: usize = 6;
const VERSION: u8 = b'1';

/// Where the rest of a value lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nowhere,
    A,
    B,
}

impl Rest {
    fn letter(self) -> u8 {
        match self {
            Self::Nowhere => b'-',
            Self::A => b'a',
            Self::B => b'b',
        }
    }

    fn entry(self, item: &str, index: usize) -> String {
        format!("{item}#{}.{index}", char::from(self.letter()))
    }
}

/// Stores values over entries of at most `size` bytes (more than a header).
pub(super) struct Chunks<E> {
    pub(super) entries: E,
    pub(super) size: usize,
}

impl<E: Entries> Chunks<E> {
    pub(super) fn load(&self, item: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError> {
        let Some(head) = self.entries.get(item)? else { return Ok(None) };
        let damaged = || KeychainError::Failed(format!("the entries of `{item}` do not belong together"));
        let (rest, length, first) = parse(head.expose()).ok_or_else(damaged)?;
        let mut value = Zeroizing::new(Vec::with_capacity(length));
        value.extend_from_slice(first);
        let mut index = 0;
        while value.len() < length && rest != Rest::Nowhere {
            let chunk = self.entries.get(&rest.entry(item, index))?.ok_or_else(damaged)?;
            if chunk.expose().is_empty() {
                return Err(damaged());
            }
            value.extend_from_slice(chunk.expose());
            index += 1;
        }
        if value.len() != length {
            return Err(damaged());
        }
        Ok(Some(Secret::new(std::mem::take(&mut *value))))
    }

    pub(super) fn store(&self, item: &str, value: &[u8]) -> Result<(), KeychainError> {
        let before = self.entries.get(item)?;
        let before =
            before.as_ref().and_then(|head| parse(head.expose())).map_or(Rest::Nowhere, |head| head.0);
        let (first, more) = value.split_at(value.len().min(self.size - HEADER));
        let rest = match before {
            _ if more.is_empty() => Rest::Nowhere,
            Rest::A => Rest::B,
            Rest::B | Rest::Nowhere => Rest::A,
        };
        for (index, chunk) in more.chunks(self.size).enumerate() {
            self.entries.put(&rest.entry(item, index), chunk)?;
        }
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes();
        let head = Zeroizing::new([&[VERSION, rest.letter()], &length[..], first].concat());
        self.entries.put(item, &head)?;
        for other in [Rest::A, Rest::B] {
            let kept = if other == rest { more.chunks(self.size).len() } else { 0 };
            self.sweep(item, other, kept)?;
        }
        Ok(())
    }

    /// The header first: what follows is invisible from then on, and swept also where only it was left.
    pub(super) fn remove(&self, item: &str) -> Result<(), KeychainError> {
        self.entries.delete(item)?;
        self.sweep(item, Rest::A, 0)?;
        self.sweep(item, Rest::B, 0)
    }

    /// Deletes the chunks from `index` on, the last one first, so that a crash leaves no gap to stop at.
    fn sweep(&self, item: &str, rest: Rest, index: usize) -> Result<(), KeychainError> {
        let mut end = index;
        while self.entries.get(&rest.entry(item, end))?.is_some() {
            end += 1;
        }
        (index..end).rev().try_for_each(|index| self.entries.delete(&rest.entry(item, index)))
    }
}

fn parse(head: &[u8]) -> Option<(Rest, usize, &[u8])> {
    let (header, first) = head.split_at_checked(HEADER)?;
    let [VERSION, letter, length @ ..] = header else { return None };
    let rest = [Rest::Nowhere, Rest::A, Rest::B].into_iter().find(|rest| rest.letter() == *letter)?;
    let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    (length <= MAX_VALUE).then_some((rest, length, first))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Shelved = BTreeMap<String, Vec<u8>>;

    /// Entries of limited size, and a crash before the write that brings `left` to nothing.
    #[derive(Default)]
    struct Shelf {
        entries: RefCell<Shelved>,
        left: Cell<Option<usize>>,
    }

    impl Shelf {
        fn write(&self) -> Result<(), KeychainError> {
            match self.left.get() {
                Some(0) => return Err(KeychainError::Failed("crash".to_owned())),
                Some(left) => self.left.set(Some(left - 1)),
                None => {}
            }
            Ok(())
        }
    }

    impl Entries for Shelf {
        fn get(&self, name: &str) -> Result<Option<Secret<Vec<u8>>>, KeychainError> {
            Ok(self.entries.borrow().get(name).cloned().map(Secret::new))
        }

        fn put(&self, name: &str, bytes: &[u8]) -> Result<(), KeychainError> {
            assert!(bytes.len() <= SIZE);
            self.write()?;
            self.entries.borrow_mut().insert(name.to_owned(), bytes.to_vec());
            Ok(())
        }

        fn delete(&self, name: &str) -> Result<(), KeychainError> {
            self.write()?;
            self.entries.borrow_mut().remove(name);
            Ok(())
        }
    }

    const SIZE: usize = 16;

    fn chunks() -> Chunks<Shelf> {
        Chunks { entries: Shelf::default(), size: SIZE }
    }

    fn loaded(chunks: &Chunks<Shelf>) -> Option<Vec<u8>> {
        chunks.load("item").unwrap().map(|value| value.expose().clone())
    }

    #[test]
    fn every_length_comes_back_and_leaves_no_entry_behind() {
        let chunks = chunks();
        for length in (0..100).chain((0..100).rev()) {
            let value: Vec<u8> = (0..length).collect();
            chunks.store("item", &value).unwrap();
            assert_eq!(loaded(&chunks), Some(value));
            let expected = 1 + usize::from(length).saturating_sub(SIZE - HEADER).div_ceil(SIZE);
            assert_eq!(chunks.entries.entries.borrow().len(), expected);
        }
        chunks.remove("item").unwrap();
        assert!(chunks.entries.entries.borrow().is_empty());
        assert_eq!(loaded(&chunks), None);
    }

    #[test]
    fn entries_that_do_not_belong_together_are_an_error() {
        let damages: [fn(&mut Shelved); 6] = [
            |entries| drop(entries.remove("item#a.1")),
            |entries| drop(entries.insert("item#a.1".to_owned(), Vec::new())),
            |entries| drop(entries.insert("item#a.2".to_owned(), vec![0; SIZE])),
            |entries| drop(entries.insert("item".to_owned(), vec![b'1', b'a'])),
            |entries| drop(entries.insert("item".to_owned(), vec![b'1', b'-', 255, 255, 255, 255])),
            |entries| drop(entries.insert("item".to_owned(), b"2a0000".to_vec())),
        ];
        for damage in damages {
            let chunks = chunks();
            chunks.store("item", &[7; 50]).unwrap();
            damage(&mut chunks.entries.entries.borrow_mut());
            assert!(matches!(chunks.load("item"), Err(KeychainError::Failed(_))));
        }
    }

    proptest! {
        /// Whatever was stored before, and wherever the crash comes: the old value or the new one, and the next calls mend.
        #[test]
        fn a_crash_leaves_the_old_value_or_the_new_one(
            lengths in proptest::collection::vec(0_usize..90, 1..5),
            new in 0_usize..90,
            crash in 0_usize..16,
        ) {
            let chunks = chunks();
            for (index, length) in lengths.iter().enumerate() {
                chunks.store("item", &vec![index as u8; *length]).unwrap();
            }
            let (old, new) = (loaded(&chunks), vec![99; new]);
            chunks.entries.left.set(Some(crash));
            let done = chunks.store("item", &new).is_ok();
            chunks.entries.left.set(None);
            let found = loaded(&chunks);
            prop_assert!(found.as_ref() == Some(&new) || (!done && found == old));

            chunks.entries.left.set(Some(crash / 2));
            let _ = chunks.remove("item");
            chunks.entries.left.set(None);
            let left = loaded(&chunks);
            prop_assert!(left.is_none() || left == found);
            chunks.remove("item").unwrap();
            prop_assert!(chunks.entries.entries.borrow().is_empty());
        }
    }
}
