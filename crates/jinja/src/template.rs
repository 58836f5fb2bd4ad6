//! A template that is rendered within bounds.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use minijinja::{
    AutoEscape, Environment, Error, Value,
    machinery::{Instructions, Vm, get_compiled_template, make_string_output},
};
use serde::Serialize;

use crate::{budget::refused, operators, source};

/// The name under which the one template of an environment is kept.
const NAME: &str = "template";

/// A compiled template.
#[derive(Debug, Clone)]
pub struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Compiles `source` for an [`environment`](crate::environment), to which functions may have been added.
    ///
    /// # Errors
    /// What is wrong with the template's syntax, or which bound it exceeds.
    pub fn new(mut environment: Environment<'static>, source: &str) -> Result<Self, Error> {
        source::check(source)?;
        environment.add_template_owned(NAME, source.to_owned())?;
        let template = Self { environment };
        // What cannot be bounded is refused here, before anything is rendered.
        template.bounded(|_, _, _| Ok(()))?;
        Ok(template)
    }

    /// The names that the template uses and does not set.
    pub fn names(&self) -> Vec<String> {
        let names = self.environment.get_template(NAME).map(|template| template.undeclared_variables(false));
        let mut names: Vec<String> = names.unwrap_or_default().into_iter().collect();
        names.sort();
        names
    }

    /// Renders the template with the fields of `context`.
    ///
    /// # Errors
    /// What failed, with the line, or which bound was exceeded.
    pub fn render(&self, context: impl Serialize) -> Result<String, Error> {
        let root = Value::from_serialize(&context);
        self.bounded(|instructions, blocks, auto_escape| {
            let mut text = String::new();
            let mut output = make_string_output(&mut text);
            // What the library did not foresee is the template's failure and not the program's.
            let run = AssertUnwindSafe(|| {
                Vm::new(&self.environment)
                    .eval(instructions, root, blocks, &mut output, auto_escape)
                    .map(|_| ())
            });
            catch_unwind(run)
                .unwrap_or_else(|_| Err(refused("the template engine failed over it".into())))?;
            Ok(text)
        })
    }

    /// Hands over the template's bounded instructions.
    fn bounded<'e, T>(
        &'e self,
        run: impl FnOnce(&Instructions<'e>, &BTreeMap<&'e str, Instructions<'e>>, AutoEscape) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let template = self.environment.get_template(NAME)?;
        let compiled = get_compiled_template(&template);
        let instructions = operators::bounded(&compiled.instructions)?;
        let blocks = compiled.blocks.iter().map(|(name, block)| Ok((*name, operators::bounded(block)?)));
        let blocks = blocks.collect::<Result<BTreeMap<_, _>, Error>>()?;
        run(&instructions, &blocks, compiled.initial_auto_escape)
    }
}
