//! Linux's large pages.

mod blocks;
mod mover;

use std::{fs, sync::Once, thread};

use self::mover::Mover;
use crate::LargePages;

/// Asks the system for large pages for memory that will be written and then read again and again.
///
/// What is smaller than a large page can be in one beside others that were asked for.
pub fn use_large_pages<T>(memory: &[T]) {
    let page = procfs::page_size() as usize;
    let range = memory.as_ptr_range();
    // Pages that it has in part too: else there would be gaps between pieces of memory that follow each other.
    let (start, end) = (range.start.addr() / page * page, range.end.addr().next_multiple_of(page));
    if !memory.is_empty() && LargePages::chosen() == LargePages::On {
        // A system that has no large pages says so, and all is as it was.
        #[allow(unsafe_code, reason = "a function of the system that changes no number")]
        unsafe {
            libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE);
        }
    }
}

/// Has memory that this program has filled moved into large pages from now on, by a thread of its own: what stands for
/// seconds, such as the weights of models and their KV caches, whatever library holds it. Loading takes no longer; the first
/// seconds after it share the processor with the moving.
///
/// It changes the whole program, so it is for programs to call, before they load models; only the first call does anything. It
/// needs Linux 6.1, and does nothing where the system's administrator has turned large pages off, or [`LargePages`] are.
pub fn move_into_large_pages() {
    static STARTED: Once = Once::new();
    if LargePages::chosen() == LargePages::Off {
        return;
    }
    STARTED.call_once(|| {
        if let Some(size) = size() {
            // Without the thread, all is as it was.
            let _ = thread::Builder::new().name("large pages".into()).spawn(move || Mover::new(size).run());
        }
    });
}

/// Bytes of a large page; `None` where the system has none or they are turned off.
fn size() -> Option<usize> {
    let setting = |name: &str| fs::read_to_string(format!("/sys/kernel/mm/transparent_hugepage/{name}")).ok();
    if setting("enabled")?.contains("[never]") {
        return None;
    }
    setting("hpage_pmd_size")?.trim().parse().ok().filter(|size: &usize| size.is_power_of_two())
}
