//! The heap: one mapping, then libc's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// More than a run without surprises needs; pages that are not touched cost nothing.
const SIZE: usize = 256 * 1024;

/// Hands out the arena's memory in order and takes back only what it gave last, which is what short-lived values are.
/// When the arena is used up, libc's allocator goes on. It saves libc's heap its set-up: five system calls on the way
/// to PROGRAM, and half of the memory that rinit would hold while it waits.
#[derive(Debug)]
pub struct Heap {
    /// Null until the first allocation.
    arena: AtomicPtr<u8>,
    used: AtomicUsize,
    /// Where blocks began that are counted.
    mark: AtomicUsize,
    /// Those of them that are in use.
    live: AtomicUsize,
    /// Called when there is no memory at all: std would abort(), which is 139 in a PID 1.
    exhausted: fn() -> !,
}

impl Heap {
    /// An empty heap. `exhausted` is what ends the process when there is no memory; it can hardly allocate any.
    #[must_use]
    pub const fn new(exhausted: fn() -> !) -> Self {
        Self {
            arena: AtomicPtr::new(ptr::null_mut()),
            used: AtomicUsize::new(0),
            mark: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            exhausted,
        }
    }

    /// What the kernel or libc gave.
    fn given(&self, block: *mut u8) -> *mut u8 {
        if block.is_null() { (self.exhausted)() } else { block }
    }

    /// What is in use now is here to stay. From now on the arena goes back to this place whenever nothing is left of what
    /// came later: the same work again touches no new page.
    pub fn settle(&self) {
        self.live.store(0, Relaxed);
        self.mark.store(self.used.load(Relaxed), Relaxed);
    }

    /// Where the arena starts.
    fn base(&self) -> *mut u8 {
        let base = self.arena.load(Relaxed);
        if !base.is_null() {
            return base;
        }
        let mapped = self.given(map(SIZE).unwrap_or(ptr::null_mut()));
        // Where a second thread was faster (tests have some), its arena counts, and this one lies idle.
        self.arena.compare_exchange(base, mapped, Relaxed, Relaxed).map_or_else(|theirs| theirs, |_| mapped)
    }

    /// Where `block` starts in the arena, if it is of the arena.
    fn offset(&self, block: *const u8) -> Option<usize> {
        (block as usize).checked_sub(self.arena.load(Relaxed) as usize).filter(|offset| *offset < SIZE)
    }

    /// Moves the end of what is used from `from` to `to`; no, if somebody else has moved it or there is no room.
    fn move_end(&self, from: usize, to: usize) -> bool {
        to <= SIZE && self.used.compare_exchange(from, to, Relaxed, Relaxed).is_ok()
    }
}

/// `size` zero bytes that last as long as rinit. Pages that are not touched cost nothing. `None`: no memory.
#[must_use]
pub fn zeroed(size: usize) -> Option<&'static mut [u8]> {
    // SAFETY: the mapping has this size, is all zero, and nobody else has it or takes it away.
    map(size).map(|bytes| unsafe { std::slice::from_raw_parts_mut(bytes, size) })
}

fn map(size: usize) -> Option<*mut u8> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, in no place in particular.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    if mapped == libc::MAP_FAILED { None } else { Some(mapped.cast()) }
}

// SAFETY: blocks of the arena are aligned, do not overlap and stay where they are until they are freed; all others are
// libc's, and are given back to it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.base();
        let used = self.used.load(Relaxed);
        // The arena starts at a page, and no alignment that is asked for here is larger than that.
        let start = used.next_multiple_of(layout.align());
        // Counted first: otherwise another thread's last block could take this one along.
        self.live.fetch_add(1, Relaxed);
        match start.checked_add(layout.size()) {
            // SAFETY: the block lies in the arena, since its end does.
            Some(end) if layout.align() <= 4096 && self.move_end(used, end) => unsafe { base.add(start) },
            // SAFETY: the caller's promise.
            _ => unsafe {
                self.live.fetch_sub(1, Relaxed);
                self.given(System.alloc(layout))
            },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            Some(start) if start >= self.mark.load(Relaxed) => {
                self.move_end(start + layout.size(), start);
                // If somebody allocates meanwhile, the end is no longer there.
                let used = self.used.load(Relaxed);
                if self.live.fetch_sub(1, Relaxed) == 1 {
                    self.move_end(used, self.mark.load(Relaxed));
                }
            }
            Some(_) => {}
            // SAFETY: not of the arena, hence libc's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(start) = self.offset(block) else {
            // SAFETY: not of the arena, hence libc's.
            return self.given(unsafe { System.realloc(block, layout, size) });
        };
        // The last block grows where it is, unless it is not counted.
        let counted = start >= self.mark.load(Relaxed);
        if counted && start.checked_add(size).is_some_and(|end| self.move_end(start + layout.size(), end)) {
            return block;
        }
        // SAFETY: the caller's promise: `size` is valid for this alignment; both blocks are as large as is copied.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_apart_and_given_back() {
        let heap = Box::leak(Box::new(Heap::new(|| panic!())));
        let byte = Layout::new::<u8>();
        let page = Layout::from_size_align(4096, 64).unwrap();
        // SAFETY: valid layouts, and each block is used and freed with its own.
        unsafe {
            let small = heap.alloc(byte);
            let large = heap.alloc(page);
            assert!((large as usize).is_multiple_of(64) && large as usize > small as usize);
            large.write_bytes(0xaa, 4096);
            let same = heap.realloc(large, page, 8192);
            assert_eq!(same, large, "the last block grows in place");
            let after = heap.alloc(byte);
            assert!(after as usize >= large as usize + 8192);
            let moved = heap.realloc(same, Layout::from_size_align(8192, 64).unwrap(), 16384);
            assert_ne!(moved, same);
            assert_eq!(std::slice::from_raw_parts(moved, 4096), &[0xaa; 4096][..]);
            heap.dealloc(moved, Layout::from_size_align(16384, 64).unwrap());
            let again = heap.alloc(byte);
            assert_eq!(again, moved, "what was given last was taken back");
            // In any order: with the last one of them all is given back, but never what was there before.
            heap.settle();
            let blocks = [(); 3].map(|()| heap.alloc(page));
            blocks.iter().for_each(|block| heap.dealloc(*block, page));
            heap.dealloc(again, byte);
            assert_eq!(heap.alloc(page), blocks[0]);
        }
    }

    #[test]
    fn beyond_the_arena_libc_goes_on() {
        let heap = Box::leak(Box::new(Heap::new(|| panic!())));
        let layout = Layout::from_size_align(SIZE / 2, 1).unwrap();
        // SAFETY: as above.
        unsafe {
            let blocks = [heap.alloc(layout), heap.alloc(layout), heap.alloc(layout)];
            assert!(heap.offset(blocks[1]).is_some() && heap.offset(blocks[2]).is_none());
            blocks[2].write_bytes(1, SIZE / 2);
            let grown = heap.realloc(blocks[2], layout, SIZE);
            assert_eq!(*grown.add(SIZE / 2 - 1), 1);
            heap.dealloc(grown, Layout::from_size_align(SIZE, 1).unwrap());
            assert!(heap.alloc(Layout::from_size_align(1, 1).unwrap()) as usize != 0);
        }
    }
}
