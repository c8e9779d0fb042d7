//! The heap of the process, as the operating system sees it.

/// Gives what was freed back to the system. The allocator of glibc keeps whatever was freed in pieces, so without this a stage needs its memory on top of that of the stage before it.
/// It walks the whole heap, which takes milliseconds: for the ends of stages. Other allocators give back by themselves, and nothing happens.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes the locks of the allocator itself, may be called from any thread at any time, and touches only pages that no living allocation has a byte in.
    unsafe {
        libc::malloc_trim(0);
    }
}
