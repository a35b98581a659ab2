//! Zeroed memory from the operating system, in huge pages where it is large.
//!
//! **Invariant:** the memory is zero when handed out, aligned to a cache line, and never moves.
#![allow(unsafe_code)]

use std::alloc::Layout;

use memmap2::MmapMut;

/// The size of a huge page on x86-64 and aarch64; smaller pieces gain nothing from the advice.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// A piece of zeroed memory that is given back when it is dropped.
pub(crate) struct Pages {
    map: MmapMut,
    start: usize,
    bytes: usize,
}

impl Pages {
    /// Maps at least `bytes` of zeroed memory; ends the process as `Vec` does when there is none.
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.max(1);
        let slack = if bytes >= HUGE_PAGE { HUGE_PAGE } else { 0 };
        let Ok(map) = MmapMut::map_anon(bytes + slack) else {
            std::alloc::handle_alloc_error(Layout::new::<[u8; HUGE_PAGE]>())
        };
        let address = map.as_ptr() as usize;
        let start = if slack == 0 { 0 } else { address.next_multiple_of(HUGE_PAGE) - address };
        #[cfg(target_os = "linux")]
        if slack > 0 {
            // Without huge pages nearly every bucket costs a walk of the page table; a kernel that
            // refuses the advice leaves the index correct and slower, so the answer is not looked at.
            let _ = map.advise_range(memmap2::Advice::HugePage, start, bytes);
        }
        Self { map, start, bytes }
    }

    /// The first byte; valid for reads and writes of `bytes()` while `self` lives.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        // SAFETY: `start` is at most the slack that was mapped on top of `bytes`, so the result
        // points into the mapping.
        unsafe { self.map.as_ptr().cast_mut().add(self.start) }
    }

    /// How many bytes were asked for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
