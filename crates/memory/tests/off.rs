//! Large pages that are turned off: nothing is asked of the system, and no thread moves memory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::fs;

use lancer_memory::{LargePages, move_into_large_pages, use_large_pages};
use procfs::process::{Process, VmFlags};

/// Whether this program has asked for large pages in the memory that holds the first of these numbers.
fn is_asked_for(memory: &[u8]) -> bool {
    let address = memory.as_ptr().addr() as u64;
    let maps = Process::myself().unwrap().smaps().unwrap();
    let around = maps.into_iter().find(|map| (map.address.0..map.address.1).contains(&address)).unwrap();
    around.extension.vm_flags.contains(VmFlags::HG)
}

/// Threads of this program. A new one has its name only after a while.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// One test: the choice is the whole program's.
#[test]
fn what_is_turned_off_does_nothing() {
    LargePages::Off.choose();
    let memory = vec![1_u8; 64 << 20];
    use_large_pages(&memory);
    assert!(!is_asked_for(&memory));
    let before = threads();
    move_into_large_pages();
    assert_eq!(threads(), before);

    LargePages::On.choose();
    use_large_pages(&memory);
    // A Linux without large pages knows no such mark.
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    assert_eq!(is_asked_for(&memory), setting.is_ok());
    move_into_large_pages();
    let moves = setting.is_ok_and(|setting| !setting.contains("[never]"));
    assert_eq!(threads(), before + usize::from(moves));
}
