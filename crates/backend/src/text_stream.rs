//! The text of a sample while it is written: stop strings across token borders, UTF-8 across tokens.

/// Collects the bytes of a sample's tokens and finds the first stop string in them.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    bytes: Vec<u8>,
    stops: Vec<Vec<u8>>,
    longest: usize,
}

/// Whether a sample goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// No stop string yet.
    Open,
    /// A stop string has appeared; the text ends before it.
    Stopped,
}

impl TextStream {
    /// An empty text that ends at any of `stops`. Empty stop strings are left out.
    pub fn new(stops: &[String]) -> Self {
        let stops: Vec<Vec<u8>> =
            stops.iter().filter(|stop| !stop.is_empty()).map(|stop| stop.clone().into_bytes()).collect();
        let longest = stops.iter().map(Vec::len).max().unwrap_or(0);
        Self { bytes: Vec::new(), stops, longest }
    }

    /// Adds a token's bytes. After [`StreamState::Stopped`] nothing more is to be added.
    pub fn push(&mut self, token: &[u8]) -> StreamState {
        // A stop string that is complete now began at the earliest so many bytes before the new ones.
        let from = self.bytes.len().saturating_sub(self.longest.saturating_sub(1));
        self.bytes.extend_from_slice(token);
        let first = self.stops.iter().filter_map(|stop| find(&self.bytes[from..], stop)).min();
        match first {
            Some(at) => {
                self.bytes.truncate(from + at);
                StreamState::Stopped
            }
            None => StreamState::Open,
        }
    }

    /// The text so far; bytes that are not UTF-8 become U+FFFD.
    pub fn into_text(self) -> String {
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    text.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_may_be_split_between_tokens() {
        let mut stream = TextStream::new(&[]);
        for byte in "né".bytes() {
            assert_eq!(stream.push(&[byte]), StreamState::Open);
        }
        assert_eq!(stream.into_text(), "né");
    }

    proptest! {
        #[test]
        fn the_text_ends_before_the_first_stop_string_however_it_is_cut(
            text in "[ab\n]{0,40}", stops in prop::collection::vec("[ab\n]{1,3}", 1..3), size in 1_usize..5,
        ) {
            let mut stream = TextStream::new(&stops);
            let mut stopped = false;
            for token in text.as_bytes().chunks(size) {
                if stream.push(token) == StreamState::Stopped {
                    stopped = true;
                    break;
                }
            }
            // Tokens end at multiples of `size`: a stop string that the same token completes earlier in the text wins.
            let completed = |end: usize| end.div_ceil(size);
            let expected = stops
                .iter()
                .flat_map(|stop| text.match_indices(stop.as_str()).map(move |(at, _)| (at, at + stop.len())))
                .min_by_key(|&(at, end)| (completed(end), at));
            prop_assert_eq!(stopped, expected.is_some());
            prop_assert_eq!(stream.into_text(), expected.map_or(text.as_str(), |(at, _)| &text[..at]));
        }
    }
}
