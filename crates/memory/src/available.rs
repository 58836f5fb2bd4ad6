//! How much memory there is.

use std::fs;

/// Bytes of memory that a program can take without others losing theirs: what Linux holds to be available, or what is left of
/// this program's control group where that is less. `None` where the system does not say.
pub fn available_memory() -> Option<u64> {
    let of_system = of_field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    let number = |file: &str| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let of_group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, taken)| most.saturating_sub(taken));
    Some(of_group.map_or(of_system, |left| left.min(of_system)))
}

/// The bytes of a line such as `MemAvailable:   23 kB`.
fn of_field(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_and_others_are_not() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   23000 kB\n";
        assert_eq!(of_field(text, "MemAvailable:"), Some(23_000 * 1024));
        assert_eq!(of_field(text, "MemFree:"), None);
        assert_eq!(of_field("MemAvailable: much", "MemAvailable:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn there_is_some_here() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
