//! The one place from which system calls are made past the filter.

use std::arch::global_asm;

// The filter lets calls through whose instruction ends at `lancer_faults_passed`.
global_asm!(
    ".globl lancer_faults_call",
    ".hidden lancer_faults_call",
    ".globl lancer_faults_passed",
    ".hidden lancer_faults_passed",
    "lancer_faults_call:",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "mov r10, r8",
    "mov r8, r9",
    "mov r9, [rsp + 8]",
    "syscall",
    "lancer_faults_passed:",
    "ret",
);

unsafe extern "C" {
    fn lancer_faults_call(number: i64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64;
    static lancer_faults_passed: u8;
}

/// Makes a system call; a negative result is an error number.
pub(super) fn call(number: i64, arguments: [u64; 6]) -> i64 {
    // SAFETY: the kernel checks the numbers and addresses that it is given. Those that come from the program's own calls are as
    // right as they were; those that are made here point to memory that lives until the call has returned.
    unsafe {
        lancer_faults_call(
            number,
            arguments[0],
            arguments[1],
            arguments[2],
            arguments[3],
            arguments[4],
            arguments[5],
        )
    }
}

/// Where the instruction pointer stands in a call that is made here.
pub(super) fn passed() -> u64 {
    (&raw const lancer_faults_passed) as u64
}

/// Makes a system call of up to three arguments.
pub(super) fn call_3(number: i64, a: u64, b: u64, c: u64) -> i64 {
    call(number, [a, b, c, 0, 0, 0])
}
