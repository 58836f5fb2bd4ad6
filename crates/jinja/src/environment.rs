//! What templates can use: minijinja's filters, tests and functions and Python's methods, bounded.

use minijinja::{Environment, escape_formatter};

use crate::{
    budget::{Budget, MAX_STEPS},
    filters, operators,
};

/// An environment for a [`Template`](crate::Template). Functions and filters that are added to it are not bounded: they must
/// be safe for any arguments.
///
/// minijinja's function `debug` is left out, and templates cannot include others.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    filters::add_to(&mut environment);
    filters::add_tests_to(&mut environment);
    filters::add_functions_to(&mut environment);
    operators::add_to(&mut environment);
    environment.set_formatter(|output, state, value| {
        Budget::of(state).charge_values(std::slice::from_ref(value))?;
        escape_formatter(output, state, value)
    });
    environment.set_fuel(Some(MAX_STEPS));
    environment
}
