//! Jinja templates from files that nobody has to trust: their steps, their memory and their output are bounded, and they reach
//! no file.
//!
//! [minijinja] counts steps (its *fuel*) and bounds recursion. What a single step may do it does not bound: `s ~ s` doubles a
//! text, `s.replace('a', s)` squares its length, and a list times a number has any length. Here each operator, filter, test
//! and method that does more work for longer operands draws on the budget of its rendering ([`MAX_WORK_BYTES`]), before the work is done.
//!
//! ```
//! use lancer_jinja::{Template, environment};
//! use minijinja::context;
//!
//! let template = Template::new(environment(), "{{ greeting ~ ', ' ~ name|upper }}")?;
//! assert_eq!(template.render(context! { greeting => "Hello", name => "Ada" })?, "Hello, ADA");
//!
//! let doubling = "{% set n = namespace(s='ha') %}{% for i in range(100) %}{% set n.s = n.s ~ n.s %}{% endfor %}";
//! let error = Template::new(environment(), doubling)?.render(context! {}).unwrap_err();
//! assert!(error.to_string().contains("bytes"), "{error}");
//! # Ok::<(), minijinja::Error>(())
//! ```

mod budget;
mod environment;
mod filters;
mod growth;
mod operators;
mod slice;
mod source;
mod template;

pub use budget::{MAX_STEPS, MAX_VALUE_BYTES, MAX_WORK_BYTES, charge, charge_reading};
pub use environment::environment;
pub use filters::call_method;
pub use source::{MAX_EXPRESSION_TOKENS, MAX_SOURCE_BYTES};
pub use template::Template;

/// The example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
