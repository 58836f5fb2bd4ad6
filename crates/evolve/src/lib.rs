//! The loop: recipe, ledger, resuming and reports.
