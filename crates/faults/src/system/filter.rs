//! The filter that hands system calls to the handler, as a program for the kernel's packet filter.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

use super::raw;

/// `AUDIT_ARCH_X86_64`.
const ARCHITECTURE: u32 = 0xc000_003e;

// Where the kernel's `seccomp_data` has what.
const NUMBER: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const POINTER: u32 = 8;
const ARGUMENTS: u32 = 16;

/// Calls that are handed over whatever their arguments are.
const TRAPPED: [i64; 31] = [
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_creat,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_rmdir,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_getrandom,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
];

/// Installs the filter for this thread and those that it will start.
pub(super) fn install() {
    let mut program = program();
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: both calls change what this process may do and nothing in its memory; the kernel copies the program.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
    };
    if !installed {
        eprintln!("error: this system does not let a program filter its own system calls");
        std::process::exit(2);
    }
}

fn statement(code: u32, value: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k: value }
}

/// Goes on `yes` or `no` instructions further.
fn branch(value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt: yes, jf: no, k: value }
}

fn load(at: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, at)
}

fn program() -> Vec<sock_filter> {
    let allow = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW);
    let trap = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_TRAP);
    let passed = raw::passed();
    let mut program = vec![
        load(ARCHITECTURE_AT),
        branch(ARCHITECTURE, 1, 0),
        allow,
        // What the handler itself calls.
        load(POINTER),
        branch(passed as u32, 0, 3),
        load(POINTER + 4),
        branch((passed >> 32) as u32, 0, 1),
        allow,
        load(NUMBER),
    ];
    for number in TRAPPED {
        program.extend([branch(number as u32, 0, 1), trap]);
    }
    // Of waiting on a word of memory, only what ends at a time: FUTEX_WAIT_BITSET (9) with a time.
    let time = ARGUMENTS + 3 * 8;
    program.extend([
        branch(libc::SYS_futex as u32, 1, 0),
        allow,
        load(ARGUMENTS + 8),
        statement(BPF_ALU | BPF_AND | BPF_K, 0x7f),
        branch(libc::FUTEX_WAIT_BITSET as u32, 1, 0),
        allow,
        load(time),
        branch(0, 0, 2),
        load(time + 4),
        branch(0, 1, 0),
        trap,
        allow,
    ]);
    program
}
