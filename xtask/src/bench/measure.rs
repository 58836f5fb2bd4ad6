//! Runs programs that print what they measured, several times in turn, and takes medians.

use std::{
    fs,
    io::Read,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::process::Failure;

/// What one run of a program took.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// The last line that it printed, which is JSON.
    pub(crate) report: Value,
    /// The most memory that it had at a time, in bytes (`VmHWM`); 0 where the system does not tell.
    pub(crate) peak_memory: u64,
}

impl Measured {
    /// A number of the report.
    pub(crate) fn number(&self, name: &str) -> Result<f64, Failure> {
        self.report[name]
            .as_f64()
            .ok_or_else(|| Failure::new(format!("no number `{name}` in what was measured: {}", self.report)))
    }
}

/// Runs each program `rounds` times, one round after the other, so that what else happens on the machine meets all.
/// Gives the measurements of each program.
pub(crate) fn in_turn(
    rounds: usize,
    programs: &mut [(&str, &mut dyn FnMut() -> Command)],
) -> Result<Vec<Vec<Measured>>, Failure> {
    let mut measured = vec![Vec::new(); programs.len()];
    for round in 1..=rounds {
        for (place, (name, command)) in programs.iter_mut().enumerate() {
            let result = measure(&mut command())?;
            eprintln!("{name}, round {round}: {}", result.report);
            measured[place].push(result);
        }
    }
    Ok(measured)
}

/// Runs a program to its end; its errors are shown.
pub(crate) fn measure(command: &mut Command) -> Result<Measured, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |why: String| Failure::new(format!("{name}: {why}"));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| failed(error.to_string()))?;
    let mut printed = child.stdout.take().ok_or_else(|| failed("its output cannot be read".into()))?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        printed.read_to_string(&mut text).map(|_| text)
    });
    let peak_memory = wait(&mut child, &failed)?;
    let text = reader.join().map_err(|_| failed("its output cannot be read".into()))?;
    let text = text.map_err(|error| failed(error.to_string()))?;
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let report = serde_json::from_str(line)
        .map_err(|error| failed(format!("printed no JSON in its last line ({error}): {line}")))?;
    Ok(Measured { report, peak_memory })
}

/// Waits for the end and gives the peak of the memory on the way.
fn wait(child: &mut Child, failed: &impl Fn(String) -> Failure) -> Result<u64, Failure> {
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        peak = peak
            .max(fs::read_to_string(&status_file).ok().and_then(|status| high_water(&status)).unwrap_or(0));
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) if status.success() => return Ok(peak),
            Some(status) => return Err(failed(status.to_string())),
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// `VmHWM` in bytes.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The median of some numbers, which are not none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { f64::midpoint(numbers[middle - 1], numbers[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_odd_and_even_counts() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(high_water("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2_097_152));
    }
}
