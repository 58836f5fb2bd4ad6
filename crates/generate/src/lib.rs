//! Writing new prompts and responses with a language model.
