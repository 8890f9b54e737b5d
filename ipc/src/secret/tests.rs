use std::borrow::Borrow;
use std::fmt::{Binary, Display, LowerHex, Write};
use std::hash::Hash;
use std::ops::{Deref, DerefMut, Index, RangeFull};

use serde::Serialize;

use super::*;

trait Otherwise {
    const _IT: bool = false;
}

impl<T: ?Sized> Otherwise for T {}

/// Whether a type implements a trait: a constant of the type itself goes before one of a trait, and is there only where the
/// bound holds.
macro_rules! implements {
    ($type:ty: $($bound:tt)+) => {{
        struct Asked<T: ?Sized>(std::marker::PhantomData<T>);
        impl<T: ?Sized + $($bound)+> Asked<T> {
            const _IT: bool = true;
        }
        Asked::<$type>::_IT
    }};
}

/// What text or bytes have and a secret must not; each line is proven by the plain type.
macro_rules! keeps_from {
    ($($plain:ty, $bound:path;)+) => {
        $(
            assert!(implements!($plain: $bound), "the check would not see {}", stringify!($bound));
            assert!(!implements!(Secret<$plain>: $bound), "a secret has {}", stringify!($bound));
        )+
    };
}

#[test]
fn there_is_one_way_out() {
    keeps_from! {
        String, Display;
        String, ToString;
        String, Write;
        String, Serialize;
        String, Deref<Target = str>;
        String, DerefMut;
        String, Index<RangeFull>;
        String, AsRef<str>;
        String, AsRef<[u8]>;
        String, Borrow<str>;
        String, Into<String>;
        String, Into<Vec<u8>>;
        String, Into<Box<dyn std::error::Error>>;
        String, PartialEq<str>;
        String, PartialEq<&'static str>;
        String, PartialOrd;
        String, Ord;
        String, Hash;
        String, Extend<char>;
        Vec<u8>, AsRef<[u8]>;
        Vec<u8>, AsMut<[u8]>;
        Vec<u8>, IntoIterator;
        Vec<u8>, Deref<Target = [u8]>;
        u64, Copy;
        u64, LowerHex;
        u64, Binary;
    }
    assert!(implements!(Secret<String>: Clone) && implements!(Secret<String>: fmt::Debug));
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", Some(Secret::from("aw_1"))), "Some((secret))");
    assert_eq!(format!("{:#?}", Secret::new(vec![1_u8])), "(secret)");
}

#[test]
fn secrets_are_equal_by_every_byte() {
    let secret = Secret::from("aw_1");
    for (other, is_equal) in
        [("aw_1", true), ("", false), ("aw_", false), ("aw_12", false), ("bw_1", false), ("aw_2", false)]
    {
        assert_eq!(secret == Secret::from(other), is_equal, "{other}");
    }
    assert_eq!(Secret::<String>::default(), Secret::from(""));
}
