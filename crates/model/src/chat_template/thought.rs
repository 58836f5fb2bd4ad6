//! Thoughts that a template opens with the model's turn, as the templates of reasoning models do.

/// What opens a thought, and what closes it.
pub(super) const OPEN: &str = "<think>";
pub(super) const CLOSE: &str = "</think>";

/// Whether a chat whose model's turn is opened ends within a thought.
pub(super) fn is_open(chat: &str) -> bool {
    chat.trim_end().ends_with(OPEN)
}

/// The chat with the thought closed in which it ends, as Qwen 3's template has it where thinking is switched off.
pub(super) fn closed(mut chat: String) -> String {
    if is_open(&chat) {
        chat.truncate(chat.trim_end().len());
        chat.extend(["\n\n", CLOSE, "\n\n"]);
    }
    chat
}
