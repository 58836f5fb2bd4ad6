//! Progress bars: the stage, the count, the rate and the time left.

use std::{ops::ControlFlow, time::Duration};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use lancer_evolve::{Progress, Stage};

use crate::{interrupt, output::Output};

/// A bar for the work at hand; no bar where the output is JSON. Where standard error is no terminal, a line at the
/// beginning and one at the end of each piece of work instead.
pub(crate) struct Bars {
    output: Output,
    bar: ProgressBar,
    title: String,
    tokens: u64,
}

impl Bars {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, bar: ProgressBar::hidden(), title: String::new(), tokens: 0 }
    }

    /// Begins a bar, of which `done` units are there already.
    pub(crate) fn start(&mut self, title: String, unit: &'static str, done: usize, total: usize) {
        let target = match self.output {
            Output::Text => ProgressDrawTarget::stderr(),
            Output::Json => ProgressDrawTarget::hidden(),
        };
        self.bar = ProgressBar::with_draw_target(Some(total as u64), target);
        self.bar.set_position(done as u64);
        self.bar.reset_eta();
        self.bar.set_style(style());
        self.bar.set_prefix(title.clone());
        self.bar.set_message(unit);
        self.bar.enable_steady_tick(Duration::from_millis(200));
        (self.title, self.tokens) = (title, 0);
        self.plain(&format!("{}: {done} of {total} {unit}", self.title));
    }

    /// `units` more are done and `tokens` more tokens were computed; `Break` once the user has asked to stop.
    pub(crate) fn add(&mut self, units: usize, tokens: usize) -> ControlFlow<()> {
        self.bar.inc(units as u64);
        self.tokens += tokens as u64;
        if tokens > 0 {
            let seconds = self.bar.elapsed().as_secs_f64();
            if seconds > 0.5 {
                let unit = self.bar.message();
                let unit = unit.split(',').next().unwrap_or_default().to_owned();
                self.bar.set_message(format!("{unit}, {:.0} tokens/s", self.tokens as f64 / seconds));
            }
        }
        interrupt::flow()
    }

    /// Ends the bar and leaves a line of what it took.
    pub(crate) fn stop(&mut self) {
        let (done, elapsed) = (self.bar.position(), self.bar.elapsed());
        let line = format!(
            "{}: {done} {} in {}",
            self.title,
            self.bar.message(),
            if elapsed.as_secs() < 1 {
                "under a second".to_owned()
            } else {
                HumanDuration(elapsed).to_string()
            }
        );
        if self.bar.is_hidden() {
            self.plain(&line);
        } else {
            self.bar.println(&line);
        }
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    /// A line beside the bar.
    pub(crate) fn say(&self, text: &str) {
        if self.bar.is_hidden() {
            errln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// A line where there is no terminal to draw a bar on.
    fn plain(&self, line: &str) {
        if self.output == Output::Text && self.bar.is_hidden() {
            errln!("{line}");
        }
    }
}

impl Progress for Bars {
    fn begin(&mut self, iteration: u32, stage: Stage, unit: &'static str, done: usize, total: usize) {
        let title = if iteration == 0 { stage.to_string() } else { format!("[{iteration}] {stage}") };
        self.start(title, unit, done, total);
    }

    fn advance(&mut self, units: usize, tokens: usize) -> ControlFlow<()> {
        self.add(units, tokens)
    }

    fn end(&mut self) {
        self.stop();
    }

    fn note(&mut self, text: &str) {
        self.say(&format!("note: {text}"));
    }
}

fn style() -> ProgressStyle {
    let left = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let left = state.eta();
        let _ = if state.pos() == 0 {
            write!(text, "…")
        } else {
            write!(text, "{:#} left", HumanDuration(left))
        };
    };
    // The template is a constant of this program.
    ProgressStyle::with_template("{prefix:<24} {bar:24} {pos}/{len} {msg}, {left}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", left)
}
