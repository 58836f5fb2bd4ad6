//! What glibc's allocator does with memory that is freed.

/// Tells the allocator of this program to keep memory that is freed. Each tensor of a training step takes memory and frees it;
/// by default large pieces go back to the system each time, which clears every page that it hands out again: up to a quarter
/// of a step's time. Other programs then get less of what this one once had.
///
/// It changes the whole program, so it is for programs to call, before they train. It does nothing where the allocator is not
/// glibc's.
pub fn keep_freed_memory() {
    // More than any tensor has; old versions take 32 MB at most.
    const LIMITS: [i32; 2] = [1 << 30, 32 << 20];
    // `mallopt` takes numbers, may be called at any time, and gives 0 where it does not take a number.
    #[allow(unsafe_code, reason = "a function of the system that reads and writes no memory of ours")]
    let set = |limit: i32| unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, limit) != 0 };
    if LIMITS.into_iter().any(set) {
        // As before.
        #[allow(unsafe_code, reason = "a function of the system that reads and writes no memory of ours")]
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        }
    }
}

/// Gives memory that was freed back to the system. It does nothing where the allocator is not glibc's.
pub fn give_back_freed_memory() {
    #[allow(unsafe_code, reason = "a function of the system that touches no memory that is used")]
    unsafe {
        libc::malloc_trim(0);
    }
}
