//! Evaluation of language models on held-out tasks.
