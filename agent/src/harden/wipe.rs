//! Memory that is given back holds nothing.
//!
//! What Keyfob itself keeps is wiped by its type ([`keyfob_ipc::Secret`]). Libraries for TLS, HTTP, JSON and D-Bus
//! copy a secret into buffers of their own, grow these, and give them back as they are.
#![expect(unsafe_code, reason = "an allocator has no safe form; each block says why it is sound")]

use std::alloc::{GlobalAlloc, Layout, System};

/// An allocator that overwrites every block before it gives it back to the one behind it.
///
/// A block that grows or shrinks is moved: `realloc` is the trait's own, which allocates, copies, and gives the old
/// block back through [`Wiping::dealloc`](GlobalAlloc::dealloc). An allocator that resizes in place leaves what it cuts off as it was.
#[derive(Debug)]
pub struct Wiping<A = System>(A);

impl Wiping {
    /// Over the system's allocator.
    pub const SYSTEM: Self = Self(System);
}

// SAFETY: every call goes to the allocator behind with the caller's own arguments. What is added, a write to a block
// that its owner has given up, allocates nothing and cannot unwind.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what the allocator behind asks for.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that the block has this size and that nobody uses it any more. The slice is made of
        // bytes that were just written, and is gone before the block is.
        unsafe {
            block.write_bytes(0, layout.size());
            // The compiler knows what freeing means, and would drop a write that nobody reads.
            zeroize::optimization_barrier(std::slice::from_raw_parts(block, layout.size()));
        }
        // SAFETY: the caller promises what the allocator behind asks for.
        unsafe { self.0.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Notes what is in every block that it gets back, beside its alignment.
    #[derive(Default)]
    struct Noting(RefCell<Vec<(Vec<u8>, usize)>>);

    // SAFETY: blocks are the system's; what is noted is allocated elsewhere.
    unsafe impl GlobalAlloc for Noting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promises are the same.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: these tests fill every block that they allocate.
            let content = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            self.0.borrow_mut().push((content.to_vec(), layout.align()));
            // SAFETY: the caller's promises are the same.
            unsafe { System.dealloc(block, layout) };
        }
    }

    /// A block full of secrets, grown or shrunk to each size in turn, then given back. Gives what came back behind
    /// `allocator`, and checks that the content came along.
    fn life(allocator: &impl GlobalAlloc, align: usize, sizes: &[usize]) {
        let layout = |size| Layout::from_size_align(size, align).unwrap();
        // SAFETY: every layout has a size, every block is written as far as it goes before it is read or resized, and
        // given back once with the layout that it has then.
        unsafe {
            let mut size = sizes[0];
            let mut block = allocator.alloc(layout(size));
            block.write_bytes(0xAA, size);
            for next in &sizes[1..] {
                block = allocator.realloc(block, layout(size), *next);
                assert_eq!(block.addr() % align, 0);
                let kept = std::slice::from_raw_parts(block, size.min(*next));
                assert!(kept.iter().all(|byte| *byte == 0xAA), "the content moves along");
                size = *next;
                block.write_bytes(0xAA, size);
            }
            allocator.dealloc(block, layout(size));
        }
    }

    const SIZES: [usize; 6] = [1, 24, 7, 4096, 300_000, 100];

    #[test]
    fn every_block_is_empty_when_it_is_given_back() {
        for align in [1, 8, 64, 4096] {
            let wiping = Wiping(Noting::default());
            life(&wiping, align, &SIZES);
            let noted = wiping.0.0.into_inner();
            let sizes: Vec<usize> = noted.iter().map(|(content, _)| content.len()).collect();
            assert_eq!(sizes, SIZES, "every block comes back whole");
            for (content, noted) in noted {
                assert_eq!(noted, align);
                assert!(content.iter().all(|byte| *byte == 0), "{} bytes", content.len());
            }
        }
    }

    #[test]
    fn without_it_they_are_full() {
        let noting = Noting::default();
        life(&noting, 8, &SIZES);
        assert!(noting.0.into_inner().iter().all(|(content, _)| content.iter().all(|byte| *byte == 0xAA)));
    }

    #[test]
    fn zeroed_memory_is_zero() {
        let layout = Layout::from_size_align(300_000, 16).unwrap();
        // SAFETY: the layout has a size; the block is read as the zeroes that it was asked for with, and given back once.
        unsafe {
            let block = Wiping::SYSTEM.alloc_zeroed(layout);
            assert!(std::slice::from_raw_parts(block, layout.size()).iter().all(|byte| *byte == 0));
            Wiping::SYSTEM.dealloc(block, layout);
        }
    }
}
