//! Moving what a program holds into large pages, round after round.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, thread,
    time::Duration,
};

use procfs::ProcResult;

use super::blocks;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds in a row in which a block was filled before it is moved: 8 seconds. Moving takes the time that large pages save in
/// 4 to 25 seconds of a model's work, so a program that ends soon does not pay for them, and one that goes on loses as little.
const STANDING: u32 = 8;
/// So many pauses are between two rounds at most, after some in which the system had no large page to give.
const LONGEST_PAUSE: u32 = 32;
/// Where more bytes are filled between two rounds, a model is being loaded, which moving would slow.
const LOADING: usize = 32 << 20;
/// Rounds in a row that wait for that: half a minute.
const MOST_WAITS: u32 = 30;

/// Moves what a program holds into large pages.
pub(super) struct Mover {
    /// Bytes of a large page.
    size: usize,
    /// Blocks that are filled and not moved, each with the rounds in a row in which it was.
    filled: BTreeMap<usize, u32>,
    /// Blocks that were moved, or cannot be.
    done: BTreeSet<usize>,
    /// Rounds in a row that have waited.
    waits: u32,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// What can be moved was moved, or waits for a model to be loaded.
    Done,
    /// The system has no large page now.
    NoneLeft,
}

impl Mover {
    pub(super) fn new(size: usize) -> Self {
        Self { size, filled: BTreeMap::new(), done: BTreeSet::new(), waits: 0 }
    }

    /// Makes rounds until the program ends, or until the system does not say what memory it has.
    pub(super) fn run(&mut self) {
        let mut pauses = 1;
        loop {
            thread::sleep(PAUSE * pauses);
            pauses = match self.round(moved) {
                Ok(Round::Done) => 1,
                // Looking for one takes the system long where memory is in pieces.
                Ok(Round::NoneLeft) => (pauses * 2).min(LONGEST_PAUSE),
                Err(_) => return,
            };
        }
    }

    /// Moves the blocks that have been filled for some rounds, each by `moved`, which takes its address and size.
    fn round(&mut self, mut moved: impl FnMut(usize, usize) -> io::Result<()>) -> ProcResult<Round> {
        let blocks: BTreeSet<usize> = blocks::within(&blocks::own_memory()?, self.size).collect();
        self.done.retain(|block| blocks.contains(block));
        let filled = blocks.difference(&self.done).copied().filter(|&block| is_filled(block, self.size));
        let rounds = |block: usize| self.filled.get(&block).copied().unwrap_or(0) + 1;
        self.filled = filled.map(|block| (block, rounds(block))).collect();
        let new = self.filled.values().filter(|&&rounds| rounds == 1).count();
        if new * self.size > LOADING && self.waits < MOST_WAITS {
            self.waits += 1;
            return Ok(Round::Done);
        }
        self.waits = 0;
        let standing = self.filled.iter().filter(|&(_, &rounds)| rounds > STANDING);
        let standing: Vec<usize> = standing.map(|(&block, _)| block).collect();
        for block in standing {
            // A round may take seconds: what was freed meanwhile is not to be taken for a lack of pages.
            if !is_filled(block, self.size) {
                continue;
            }
            match moved(block, self.size).map_err(|error| Refusal::of(&error)) {
                // The same error is given for memory that was freed while it was being moved.
                Err(Refusal::NoPage) if is_filled(block, self.size) => return Ok(Round::NoneLeft),
                // It is counted anew from the next round on, and tried again when it has been filled for as long.
                Err(Refusal::Busy | Refusal::NoPage) => {}
                Ok(()) | Err(Refusal::Never) => {
                    self.done.insert(block);
                }
            }
            self.filled.remove(&block);
        }
        Ok(Round::Done)
    }
}

/// Why the system did not move a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// It has no large page, or the program's share of memory is used up: no other block can be moved now.
    NoPage,
    /// Something holds a page of this block, such as a driver that reads it: others can be moved.
    Busy,
    /// This block cannot be moved.
    Never,
}

impl Refusal {
    /// What `madvise` says by an error of `MADV_COLLAPSE`.
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOMEM | libc::EBUSY) => Self::NoPage,
            Some(libc::EAGAIN) => Self::Busy,
            _ => Self::Never,
        }
    }
}

/// Whether most of a block is in memory: the rest would be filled with zeros, and take memory too.
fn is_filled(block: usize, size: usize) -> bool {
    let mut pages = vec![0_u8; size / procfs::page_size() as usize];
    // SAFETY: the list has a byte for each page of the range. A range that is no longer mapped is an error.
    #[allow(unsafe_code, reason = "a function of the system that writes one list of ours")]
    let failed = unsafe { libc::mincore(block as *mut libc::c_void, size, pages.as_mut_ptr()) } != 0;
    !failed && pages.iter().filter(|&&page| page & 1 == 1).count() >= pages.len() / 4 * 3
}

/// Moves a block into a large page.
fn moved(block: usize, size: usize) -> io::Result<()> {
    // SAFETY: the numbers that stand there stay as they are, and a range that is no longer mapped is an error.
    #[allow(unsafe_code, reason = "a function of the system that changes no number")]
    let failed = unsafe { libc::madvise(block as *mut libc::c_void, size, libc::MADV_COLLAPSE) } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use lancer_skipped::skip;
    use procfs::{
        KernelVersion,
        process::{MemoryMap, Process},
    };

    use super::*;
    use crate::large_pages::size;

    /// Bytes of this program in large pages, among the addresses of `memory`.
    fn large(memory: &[u32]) -> u64 {
        let range = memory.as_ptr_range();
        let (start, end) = (range.start.addr() as u64, range.end.addr() as u64);
        let overlaps = |map: &MemoryMap| map.address.0 < end && start < map.address.1;
        let maps = Process::myself().unwrap().smaps().unwrap();
        let bytes = |map: MemoryMap| map.extension.map.get("AnonHugePages").copied().unwrap_or(0);
        maps.into_iter().filter(overlaps).map(bytes).sum()
    }

    #[test]
    fn what_stands_for_some_rounds_is_moved_and_stays_what_it_was() {
        const COUNT: u32 = 8 << 20;
        let memory: Vec<u32> = (0..COUNT).collect();
        // What a program has that was never written is left alone.
        let reserved: Vec<u32> = Vec::with_capacity(COUNT as usize);
        let mut mover = Mover::new(size().unwrap_or(2 << 20));
        for _ in 0..STANDING {
            assert_eq!(mover.round(moved).unwrap(), Round::Done);
            assert!(mover.done.is_empty());
        }
        let outcome = mover.round(moved).unwrap();
        assert!(memory.iter().copied().eq(0..COUNT));
        let can_move = size().is_some() && KernelVersion::current().unwrap() >= KernelVersion::new(6, 1, 0);
        if !can_move {
            skip!(
                "this system moves nothing into large pages: they are turned off, or Linux is older than 6.1"
            );
        } else if outcome == Round::NoneLeft {
            skip!("this system has no large page to give");
        } else {
            let bytes = large(&memory);
            assert!(bytes >= u64::from(COUNT) * 4 / 2, "{bytes} bytes of {} are in large pages", COUNT * 4);
        }
        assert_eq!(reserved.capacity(), COUNT as usize);
        assert!(!is_filled(reserved.as_ptr().addr().next_multiple_of(2 << 20), 2 << 20));
    }

    #[test]
    fn what_is_no_longer_there_is_left_alone() {
        let block = {
            let memory = vec![1_u8; 64 << 20];
            memory.as_ptr().addr().next_multiple_of(2 << 20)
        };
        // Nothing breaks either way.
        if is_filled(block, 2 << 20) {
            skip!("another thread has memory at the same address by now");
        } else {
            assert!(moved(block, 2 << 20).is_err());
        }
    }

    const SIZE: usize = 2 << 20;

    /// A mover that moves blocks in its next round, and its blocks within `memory`.
    fn ready(memory: &[u8]) -> (Mover, Vec<usize>) {
        let mut mover = Mover::new(SIZE);
        for _ in 0..STANDING {
            mover.round(|_, _| panic!("too early")).unwrap();
        }
        let range = memory.as_ptr_range();
        let addresses = range.start.addr()..range.end.addr();
        let blocks: Vec<usize> = blocks::within(std::slice::from_ref(&addresses), SIZE).collect();
        assert!(blocks.len() >= 15 && blocks.iter().all(|block| mover.filled[block] == STANDING));
        (mover, blocks)
    }

    fn error(number: i32) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(number))
    }

    #[test]
    fn a_block_that_is_held_does_not_end_the_round() {
        let memory = vec![1_u8; 32 << 20];
        let (mut mover, blocks) = ready(&memory);
        let held = blocks[0];
        let outcome = mover.round(|block, _| if block == held { error(libc::EAGAIN) } else { Ok(()) });
        assert_eq!(outcome.unwrap(), Round::Done);
        assert!(blocks[1..].iter().all(|block| mover.done.contains(block)));
        assert!(!mover.done.contains(&held));
        // It is tried again, as late as a new block; one that can never be moved is left alone from then on.
        let mut tried = Vec::new();
        for round in 1..=3 * STANDING {
            let outcome = mover.round(|block, _| {
                if block != held {
                    return Ok(());
                }
                tried.push(round);
                error(libc::EINVAL)
            });
            assert_eq!(outcome.unwrap(), Round::Done);
        }
        assert_eq!(tried, [STANDING + 1]);
        drop(memory);
    }

    #[test]
    fn without_a_large_page_the_round_ends_and_nothing_is_given_up() {
        for number in [libc::ENOMEM, libc::EBUSY] {
            let memory = vec![1_u8; 32 << 20];
            let (mut mover, blocks) = ready(&memory);
            let outcome = mover.round(|_, _| error(number));
            assert_eq!(outcome.unwrap(), Round::NoneLeft);
            assert!(
                blocks.iter().all(|block| !mover.done.contains(block) && mover.filled.contains_key(block))
            );
            drop(memory);
        }
    }
}
