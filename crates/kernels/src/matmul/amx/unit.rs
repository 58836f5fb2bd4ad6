//! The unit itself: what it can do, and the sums of one block.
//!
//! It multiplies two tiles of 1 KB, 16 × 32 numbers by 32 × 16, and adds the product to a third: several times what AVX-512
//! does in the same time. Four sums of 16 × 16 stay in it while it goes along the inner dimension (Intel 64 and IA-32
//! Architectures Optimization Reference Manual, chapter on AMX).

use std::{arch::asm, sync::OnceLock};

use half::bf16;

/// Rows of a tile, and columns of a sum.
pub(crate) const SIDE: usize = 16;
/// Inner numbers of a tile.
pub(crate) const DEPTH: usize = 32;
/// Rows and columns of the sums that are in the unit at once: two tiles by two.
pub(crate) const BLOCK: usize = 2 * SIDE;

/// The numbers of a tile. Its rows are cache lines: across two lines each it takes more than twice as long to load.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Tile(pub(crate) [bf16; SIDE * DEPTH]);

impl Tile {
    pub(crate) const ZERO: Self = Self([bf16::ZERO; SIDE * DEPTH]);
}

/// The sums of a block, `[BLOCK, BLOCK]`.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Sums(pub(crate) [[f32; BLOCK]; BLOCK]);

impl Sums {
    pub(crate) const ZERO: Self = Self([[0.0; BLOCK]; BLOCK]);
}

/// The order in which the unit reads the tiles of a first factor along the inner dimension: the indices of the tiles of the upper
/// 16 rows, and how far behind each of them the tile of the lower 16 rows is.
pub(crate) struct Path {
    /// Indices of the upper tiles.
    upper: Vec<usize>,
    /// From an upper tile to the lower one.
    lower: usize,
    /// The tile after the last.
    end: usize,
}

impl Path {
    pub(crate) fn new(upper: Vec<usize>, lower: usize) -> Self {
        let end = upper.iter().max().map_or(0, |last| last + lower + 1);
        Self { upper, lower, end }
    }

    /// All upper tiles one after another, then all lower ones.
    pub(crate) fn straight(steps: usize) -> Self {
        Self::new((0..steps).collect(), steps)
    }
}

/// Whether this process may use the unit. Linux is asked once, since it keeps more state for each thread that does.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| cfg!(target_os = "linux") && is_built_in() && is_permitted())
}

/// Whether leaf 7 of `cpuid` reports AMX-BF16 and AMX-TILE.
fn is_built_in() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    const WANTED: u32 = (1 << 22) | (1 << 24);
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & WANTED == WANTED
}

/// Asks Linux for the state of the tiles: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
#[allow(unsafe_code, reason = "a system call that reads and writes no memory of ours")]
fn is_permitted() -> bool {
    let mut result = 158_i64;
    // SAFETY: beside its result, a system call changes `rcx` and `r11`, and this one touches no memory of the program.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") 0x1023_u64,
            in("rsi") 18_u64,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// All tiles of this thread are of 16 rows of 64 bytes from here on.
#[allow(unsafe_code, reason = "an instruction that reads 64 bytes")]
pub(crate) fn configure() {
    #[repr(align(64))]
    struct Configuration([u8; 64]);

    let mut configuration = Configuration([0; 64]);
    configuration.0[0] = 1;
    for tile in 0..8 {
        configuration.0[16 + 2 * tile] = 64;
        configuration.0[48 + tile] = SIDE as u8;
    }
    // SAFETY: callers have checked `is_available`, and the instruction reads the 64 bytes of `configuration`.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly));
    }
}

/// Frees the tiles, so that the system need not keep them for this thread.
#[allow(unsafe_code, reason = "an instruction that touches no memory")]
pub(crate) fn release() {
    // SAFETY: callers have checked `is_available`; the instruction touches no memory.
    unsafe {
        asm!("tilerelease", options(nostack, nomem));
    }
}

/// Asks for tiles that will be multiplied soon.
#[allow(unsafe_code, reason = "an instruction that reads nothing")]
pub(crate) fn prefetch(tiles: &[Tile]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    for row in tiles.iter().flat_map(|tile| tile.0.as_chunks::<DEPTH>().0) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().cast()) };
    }
}

/// The sums of a block: 32 rows of the first factor, whose tiles lie along `path`, by 32 columns of the second: the tiles of its
/// left 16, then those of its right 16.
#[allow(unsafe_code, reason = "instructions that go along both factors' tiles and write the sums")]
pub(crate) fn add_up(one: &[Tile], path: &Path, two: &[Tile], sums: &mut Sums) {
    let steps = path.upper.len();
    assert!(steps > 0 && path.end <= one.len() && two.len() == 2 * steps, "tiles that are there");
    let (left, right) = (two.as_ptr(), two[steps..].as_ptr());
    // SAFETY: each step reads an index of `upper`, two tiles there in `one`, which is long enough for all, and a tile at `left` and one at
    // `right`, which are moved by a tile of 1,024 bytes; there are `steps` of each. The sums are 32 rows of 128 bytes. The
    // thread's tiles are configured by `configure`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {tile}, [{upper}]",
            "shl {tile}, 10",
            "add {tile}, {one}",
            "tileloadd tmm4, [{tile} + {row}]",
            "tileloadd tmm6, [{left} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{right} + {row}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "add {tile}, {lower}",
            "tileloadd tmm5, [{tile} + {row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 8",
            "add {left}, 1024",
            "add {right}, 1024",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {width}], tmm0",
            "tilestored [{sums} + {width} + 64], tmm1",
            "add {sums}, 2048",
            "tilestored [{sums} + {width}], tmm2",
            "tilestored [{sums} + {width} + 64], tmm3",
            tile = out(reg) _,
            one = in(reg) one.as_ptr(),
            upper = inout(reg) path.upper.as_ptr() => _,
            lower = in(reg) path.lower * size_of::<Tile>(),
            left = inout(reg) left => _,
            right = inout(reg) right => _,
            steps = inout(reg) steps => _,
            sums = inout(reg) sums.0.as_mut_ptr() => _,
            row = in(reg) 64_usize,
            width = in(reg) 4 * BLOCK,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
