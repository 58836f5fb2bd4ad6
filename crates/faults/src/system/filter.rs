//! The filter that hands system calls to the handler, as a program for the kernel's packet filter.

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

use super::raw;

/// `AUDIT_ARCH_X86_64`.
const ARCHITECTURE: u32 = 0xc000_003e;

// Where the kernel's `seccomp_data` has what.
const NUMBER: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const POINTER: u32 = 8;

/// Calls that are handed over.
const TRAPPED: [i64; 29] = [
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
];

/// Calls that are handed over where time is the plan's: those by which a thread waits, and wakes others.
const WAITING: [i64; 3] = [libc::SYS_futex, libc::SYS_nanosleep, libc::SYS_clock_nanosleep];

/// Installs the filter for this thread and those that it will start.
pub(super) fn install(is_virtual: bool) {
    let mut program = program(is_virtual);
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: both calls change what this process may do and nothing in its memory; the kernel copies the program.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, u64::from(libc::SECCOMP_MODE_FILTER), &raw const filter) == 0
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

fn program(is_virtual: bool) -> Vec<sock_filter> {
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
    if is_virtual {
        for number in WAITING {
            program.extend([branch(number as u32, 0, 1), trap]);
        }
    }
    program.push(allow);
    program
}
