//! Cleaning of instruction data.
//!
//! * [`rouge`] gives ROUGE-L as the field's Python packages compute it, to the last digit.
//! * [`near_copies`] finds the texts that are near copies of others.
//!
//! ```
//! use lancer_data::{NearCopy, near_copies, rouge::Definition};
//!
//! let pool = ["Name three kinds of bread.", "Why is the sky blue?"];
//! let new = ["Name three kinds of bread, please.", "What is a comet?"];
//! let found = near_copies(Definition::RougeScore, &pool, &new, 0.7);
//! assert_eq!(found.iter().map(|copy| (copy.new, copy.pool)).collect::<Vec<_>>(), [(0, 0)]);
//! ```

mod near;
pub mod rouge;

pub use near::{NearCopy, near_copies};
