//! Attention that reaches back only so far (Beltagy et al. 2020, arXiv 2004.05150).

use crate::Rotary;

/// Attention that reaches back only so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlidingWindow {
    /// A token sees itself and the `tokens - 1` before it; at least 1.
    pub tokens: usize,
    /// Which layers have it.
    pub layers: WindowedLayers,
    /// The rotary embedding of these layers.
    pub rotary: Rotary,
}

/// Which layers have a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowedLayers {
    /// All.
    All,
    /// All but the last of every so many, at least 2.
    AllButEvery(usize),
}

impl WindowedLayers {
    /// Those of a model in which every `pattern`th layer has no window; `None` where no layer has one.
    pub(crate) fn from_pattern(pattern: usize) -> Option<Self> {
        match pattern {
            0 => Some(Self::All),
            1 => None,
            period => Some(Self::AllButEvery(period)),
        }
    }

    /// Those of a list that says of each layer whether it has a window; `None` where none has.
    pub(crate) fn from_list(windowed: &[bool]) -> Result<Option<Self>, String> {
        let pattern = windowed.iter().position(|windowed| !windowed).map_or(0, |first| first + 1);
        let layers = Self::from_pattern(pattern);
        let same = |(layer, &windowed): (usize, &bool)| {
            windowed == layers.is_some_and(|layers| layers.contains(layer))
        };
        if windowed.iter().enumerate().all(same) {
            Ok(layers)
        } else {
            Err("the layers with a sliding window follow no pattern: every so-many-th must be without".into())
        }
    }

    fn contains(self, layer: usize) -> bool {
        match self {
            Self::All => true,
            Self::AllButEvery(period) => !(layer + 1).is_multiple_of(period),
        }
    }
}

impl SlidingWindow {
    /// Whether the layer of this index has it.
    pub fn is_in(&self, layer: usize) -> bool {
        self.layers.contains(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_by_a_list_or_by_a_pattern() {
        let list =
            |text: &str| WindowedLayers::from_list(&text.chars().map(|c| c == 's').collect::<Vec<_>>());
        assert_eq!(list("ssfssfs"), Ok(Some(WindowedLayers::AllButEvery(3))));
        assert_eq!(list("sss"), Ok(Some(WindowedLayers::All)));
        assert_eq!(list("fff"), Ok(None));
        assert!(list("sffs").is_err());
        assert!(list("fs").is_err());
        assert_eq!(WindowedLayers::from_pattern(6), Some(WindowedLayers::AllButEvery(6)));
    }
}
