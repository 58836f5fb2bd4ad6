//! How a test says that it was skipped, since the machine lacks what it needs: Rust's test harness has no such outcome.
//!
//! `cargo xtask test` names a file in the environment, and prints at its end what tests have appended there.

use std::{env, fs::OpenOptions, io::Write, path::Path};

/// The environment variable that names the file.
const VARIABLE: &str = "LANCER_SKIPPED_TESTS";

/// Says that the test around it was skipped, in part or as a whole, and why: `skip!("{} is absent", path.display())`.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        fn here() {}
        $crate::note(::std::any::type_name_of_val(&here), &::std::format!($($reason)+));
    }};
}

/// Prints that a test was skipped, and appends it to the file that the environment names. `place` is the name of a function
/// within the test.
///
/// # Panics
/// Where the file cannot be written: the test would be taken for one that has passed.
pub fn note(place: &str, reason: &str) {
    let file = env::var_os(VARIABLE);
    append(file.as_deref().map(Path::new), &test_around(place), reason);
}

/// The path of the test in which a function is.
fn test_around(place: &str) -> String {
    place.trim_end_matches("::here").replace("::{{closure}}", "")
}

fn append(file: Option<&Path>, test: &str, reason: &str) {
    eprintln!("skipped: {test}: {reason}");
    if let Some(file) = file {
        // One call for the whole line: tests are processes that append at the same time.
        let line = format!("{test}: {reason}\n");
        let opened = OpenOptions::new().create(true).append(true).open(file);
        let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("cannot append to {}: {error}", file.display()));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_appended_under_the_name_of_the_test() {
        let file = env::temp_dir().join(format!("lancer-skipped-test-{}", std::process::id()));
        append(Some(&file), "one", "no model");
        append(Some(&file), "two", "no data");
        assert_eq!(fs::read_to_string(&file).unwrap(), "one: no model\ntwo: no data\n");
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn the_test_around_is_found() {
        let within_a_closure = || {
            fn here() {}
            test_around(std::any::type_name_of_val(&here))
        };
        assert_eq!(within_a_closure(), "lancer_skipped::tests::the_test_around_is_found");
    }
}
