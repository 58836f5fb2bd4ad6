//! Reviewing prompt and response pairs with a language model.
