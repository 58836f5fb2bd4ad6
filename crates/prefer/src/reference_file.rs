//! Log-probabilities under the reference in a file beside the checkpoints, for a training without a ledger.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::TrainingError,
    loss::{PairLogProb, ResponseLogProb},
    reference::{Mismatched, ReferenceLogProbs, ReferenceStore},
    sealed,
};

/// The file's name within the folder of checkpoints.
pub(crate) const NAME: &str = "references.jsonl";

/// A [`ReferenceStore`] in the folder of a training's checkpoints. Each line has its hash: what a kill or a disk left of the
/// others is not read.
///
/// Give it to the training that has its checkpoints in the same folder, which checks to which training the folder belongs.
#[derive(Debug)]
pub struct ReferenceFile {
    path: PathBuf,
    known: HashMap<String, ReferenceLogProbs>,
    file: Option<File>,
    failed: Option<io::Error>,
}

/// A line. Numbers are texts, since JSON's are not always read back to the last bit.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    chosen: Number,
    rejected: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mismatched: Option<(String, Number)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    sum: String,
    tokens: usize,
}

impl Number {
    fn of(log_prob: ResponseLogProb) -> Self {
        Self { sum: log_prob.sum.to_string(), tokens: log_prob.tokens }
    }

    fn read(&self) -> Option<ResponseLogProb> {
        Some(ResponseLogProb { sum: self.sum.parse().ok()?, tokens: self.tokens })
    }
}

impl ReferenceFile {
    /// Reads what is there in a folder for checkpoints; nothing where the folder is absent.
    ///
    /// # Errors
    /// [`TrainingError::CheckpointFolder`] where the file is there and cannot be read.
    pub fn within(folder: &Path) -> Result<Self, TrainingError> {
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(TrainingError::CheckpointFolder { action: "read", path, source }),
        };
        let known = bytes.split(|&byte| byte == b'\n').filter_map(read).collect();
        Ok(Self { path, known, file: None, failed: None })
    }

    /// What the system said where a reference could not be kept, after which the training has ended.
    pub fn failure(self) -> Option<TrainingError> {
        let Self { path, failed, .. } = self;
        failed.map(|source| TrainingError::CheckpointFolder { action: "write", path, source })
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
                // The line before may have been cut by a kill.
                file.write_all(b"\n")?;
                none.insert(file)
            }
        };
        file.write_all(line.as_bytes())
    }

    fn keep(&mut self, written: io::Result<()>) -> ControlFlow<()> {
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn read(line: &[u8]) -> Option<(String, ReferenceLogProbs)> {
    let line = sealed::unsealed_line(std::str::from_utf8(line).ok()?)?;
    let Line { key, chosen, rejected, mismatched } = serde_json::from_str(line).ok()?;
    let mismatched = match mismatched {
        Some((response_of, number)) => Some(Mismatched { response_of, log_prob: number.read()? }),
        None => None,
    };
    let pair = PairLogProb { chosen: chosen.read()?, rejected: rejected.read()? };
    Some((key, ReferenceLogProbs { pair, mismatched }))
}

impl ReferenceStore for ReferenceFile {
    fn get(&mut self, key: &str) -> Option<ReferenceLogProbs> {
        self.known.get(key).cloned()
    }

    fn put(&mut self, key: &str, log_probs: &ReferenceLogProbs) -> ControlFlow<()> {
        let ReferenceLogProbs { pair, mismatched } = log_probs;
        let line = Line {
            key: key.into(),
            chosen: Number::of(pair.chosen),
            rejected: Number::of(pair.rejected),
            mismatched: mismatched
                .as_ref()
                .map(|other| (other.response_of.clone(), Number::of(other.log_prob))),
        };
        let written = self.append(&sealed::sealed_line(&sealed::json(&line)));
        self.known.insert(key.into(), log_probs.clone());
        self.keep(written)
    }

    fn commit(&mut self) -> ControlFlow<()> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_all);
        self.keep(synced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_to_the_last_bit_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let of = |sum: f64, tokens| ResponseLogProb { sum, tokens };
        let references: Vec<(String, ReferenceLogProbs)> = (1..40)
            .map(|number| {
                let sum = -100.0 / f64::from(number) - 0.1;
                let mismatched = (number % 2 == 0).then(|| Mismatched {
                    response_of: "another\n\"one\"".into(),
                    log_prob: of(sum / 7.0, 3),
                });
                let pair = PairLogProb { chosen: of(sum / 3.0, 4), rejected: of(sum, 9) };
                (format!("pair {number}"), ReferenceLogProbs { pair, mismatched })
            })
            .collect();
        for half in references.chunks(20) {
            let mut file = ReferenceFile::within(folder.path()).unwrap();
            for (key, value) in half {
                assert!(file.put(key, value).is_continue());
            }
            assert!(file.commit().is_continue() && file.failure().is_none());
        }
        let mut read = ReferenceFile::within(folder.path()).unwrap();
        for (key, value) in &references {
            assert_eq!(read.get(key).as_ref(), Some(value));
        }

        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        // A flipped bit within the first line, and a last line that was cut.
        let mut damaged = whole[..whole.len() - 9].to_vec();
        damaged[90] ^= 4;
        fs::write(&path, &damaged).unwrap();
        let mut read = ReferenceFile::within(folder.path()).unwrap();
        assert_eq!(read.get("pair 1"), None);
        assert_eq!(read.get("pair 39"), None);
        assert_eq!(read.get("pair 38").as_ref(), Some(&references[37].1));
        assert!(read.put("pair 39", &references[38].1).is_continue());
        drop(read);
        let mut again = ReferenceFile::within(folder.path()).unwrap();
        assert_eq!(again.get("pair 39").as_ref(), Some(&references[38].1));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(ReferenceFile::within(folder.path()).is_err());
    }
}
