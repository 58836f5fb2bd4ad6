//! The parts of a long command: each is announced when it begins, and at the end the time of each is printed.

use std::time::{Duration, Instant};

use crate::process::Failure;

/// The parts that have been run.
#[derive(Default)]
pub(crate) struct Parts(Vec<(&'static str, Duration)>);

impl Parts {
    /// Runs a part to its end, and takes its time whether it fails or not.
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let result = work();
        self.0.push((name, start.elapsed()));
        result
    }

    /// The time of each part in a line.
    pub(crate) fn times(&self) -> String {
        let parts: Vec<String> =
            self.0.iter().map(|(name, time)| format!("{name} {}", written(*time))).collect();
        let total = self.0.iter().map(|(_, time)| *time).sum();
        format!("time: {}; together {}", parts.join(", "), written(total))
    }
}

/// A time for people to read.
fn written(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_added_and_a_failed_part_has_one() {
        let mut parts =
            Parts(vec![("lints", Duration::from_secs(65)), ("tests", Duration::from_millis(3_400))]);
        assert_eq!(parts.times(), "time: lints 1 min 05 s, tests 3 s; together 1 min 08 s");
        assert!(parts.run("more", || Err::<(), _>(Failure::new("no"))).is_err());
        assert!(parts.times().contains("more 0 s"));
    }
}
