//! `lancer settings`: every setting of a run, what it is for and which values it takes.

use clap::Args;
use lancer_evolve::{Recipe, settings_schema};

use crate::{engines, failure::Failure};

/// Show the settings of a run: what each is for, its default and the values it takes.
///
/// What is printed is a recipe file; `--set NAME=VALUE` of `evolve` changes one setting by its full name.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One setting or one section, such as `review` or `preference.loss.beta`; all of them if left out.
    name: Option<String>,
    /// Print the JSON Schema of a recipe file instead, with which editors complete and check it.
    #[arg(long, conflicts_with = "name")]
    schema: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let learner = engines::learner_schema();
    if arguments.schema {
        let schema = serde_json::to_string_pretty(&settings_schema(learner.as_ref()))
            .map_err(|error| Failure::failed(error.to_string()))?;
        outln!("{schema}");
        return Ok(());
    }
    let name = arguments.name.as_deref();
    if let Some(text) = Recipe::default().commented(name, learner.as_ref()) {
        outln!("{}", text.trim_end());
    } else {
        let name = name.unwrap_or_default();
        let known = Recipe::setting_names(learner.as_ref());
        let nearest = lancer_evolve::nearest(name, known.iter().map(String::as_str));
        let hint = nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
        return Err(Failure::usage(format!(
            "there is no setting `{name}`{hint} `lancer settings` lists all of them"
        )));
    }
    Ok(())
}
