//! Recipes as TOML: reading, changing single settings, comparing.

use std::{fs, path::Path};

use toml::{Table, Value};

use super::{Method, Recipe, with_changes, wording::in_words};
use crate::{error::EvolveError, identity::NAME};

impl Recipe {
    /// Reads a TOML file; what it leaves out has its default. The `run` of a run's own file, which says whose it is, is no
    /// setting and is passed over.
    ///
    /// # Errors
    /// [`EvolveError::Recipe`] with the line and the field, and what the field may be.
    pub fn load(path: &Path) -> Result<Self, EvolveError> {
        let text = fs::read_to_string(path).map_err(|source| EvolveError::Io {
            action: "read",
            path: path.into(),
            source,
        })?;
        Self::parse(&text).map_err(|reason| EvolveError::Recipe { path: path.into(), reason })
    }

    /// The recipe that a text in TOML changes the default into.
    fn parse(text: &str) -> Result<Self, String> {
        let mut given: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        if given.get(NAME).is_some_and(Value::is_str) {
            given.remove(NAME);
        }
        // A section that is given in part keeps this recipe's defaults for the rest, not those of its type: fine-tuning and
        // preference training have one type and other learning rates.
        let method = given.get("recipe").cloned().map(Value::try_into::<Method>).transpose();
        let method = method.map_err(|error| format!("recipe: {}", in_words(error.message())))?;
        let mut table = Self::default().table();
        merge(&mut table, method.unwrap_or_default().table());
        merge(&mut table, given);
        // What is wrong is looked for in the text itself first, where the error can show the line.
        table.try_into().map_err(|error: toml::de::Error| match toml::from_str::<Self>(&without_name(text)) {
            Err(in_text) => in_words(&in_text.to_string()),
            Ok(_) => in_words(error.message()),
        })
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        // Maps have string keys and every value is one that TOML has.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// The recipe with single settings changed, each as `section.name=value`, the value in TOML (a bare word is text).
    /// Another `recipe` brings its settings, whatever was set before, and the other changes come after it.
    ///
    /// # Errors
    /// [`EvolveError::Recipe`] naming the setting that does not exist or whose value does not fit.
    pub fn with(self, changes: &[String]) -> Result<Self, EvolveError> {
        let before = self.recipe;
        let recipe = with_changes(&self, changes)?;
        if recipe.recipe == before {
            Ok(recipe)
        } else {
            with_changes(&self.following(recipe.recipe), changes)
        }
    }

    /// The recipe with the settings that make a recipe of the literature what it is; all others stay.
    #[must_use]
    pub fn following(self, method: Method) -> Self {
        let mut table = self.table();
        merge(&mut table, method.table());
        // The files of the methods are a part of this crate, and a test reads them all.
        table.try_into().unwrap_or(self)
    }

    /// The settings in which two recipes differ, as `name: theirs, now ours`.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare("", &Value::Table(other.table()), &Value::Table(self.table()), &mut found);
        found
    }

    pub(super) fn table(&self) -> Table {
        Table::try_from(self).unwrap_or_default()
    }
}

impl Method {
    /// Its settings and its name.
    fn table(self) -> Table {
        let mut table: Table = toml::from_str(self.settings()).unwrap_or_default();
        table.insert("recipe".into(), Value::String(self.name().into()));
        table
    }
}

/// The text without the line of the run's name, which becomes an empty one, so that all others keep their numbers.
fn without_name(text: &str) -> String {
    let is_name = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == NAME);
    text.lines().map(|line| if is_name(line) { "\n".to_owned() } else { format!("{line}\n") }).collect()
}

/// Puts `given` over `table`, section by section.
fn merge(table: &mut Table, given: Table) {
    for (name, value) in given {
        match (table.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(given)) if !is_choice(&name, &given) => {
                merge(inner, given);
            }
            (_, value) => {
                table.insert(name, value);
            }
        }
    }
}

/// Whether a table says which of several forms is meant, so that nothing of the default's form may stay.
fn is_choice(name: &str, given: &Table) -> bool {
    match name {
        "batch" | "method" => true,
        "loss" => given.contains_key("kind"),
        _ => false,
    }
}

fn compare(name: &str, before: &Value, now: &Value, found: &mut Vec<String>) {
    let (Value::Table(one), Value::Table(two)) = (before, now) else {
        if before != now {
            found.push(format!("{name}: {before}, now {now}"));
        }
        return;
    };
    let mut keys: Vec<&String> = one.keys().chain(two.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        match (one.get(key), two.get(key)) {
            (Some(before), Some(now)) => compare(&name, before, now, found),
            (Some(before), None) => found.push(format!("{name}: {before}, now absent")),
            (None, Some(now)) => found.push(format!("{name}: absent, now {now}")),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<Recipe, EvolveError> {
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        Recipe::default().with(&changes)
    }

    #[test]
    fn the_default_is_written_and_read() {
        let recipe = Recipe::default();
        assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
        assert_eq!(Recipe::parse("").unwrap(), recipe);
        let of_a_run = crate::identity::recipe_file(&recipe, "0a1b");
        assert_eq!(Recipe::parse(&of_a_run).unwrap(), recipe);
        let error = Recipe::parse(&of_a_run.replace("format", "formet")).unwrap_err();
        assert!(error.contains("formet") && error.contains("line"), "{error}");
    }

    #[test]
    fn a_section_that_is_given_in_part_keeps_the_recipes_defaults() {
        let text =
            "[preference.train]\nmax_length = 99\nbatch = { tokens = 512 }\n[preference.loss]\nbeta = 0.3";
        let recipe = Recipe::parse(text).unwrap();
        let default = Recipe::default();
        assert_eq!(recipe.preference.train.max_length, 99);
        assert_eq!(recipe.preference.train.optimizer, default.preference.train.optimizer);
        assert_eq!(recipe.preference.train.checkpoint_every, default.preference.train.checkpoint_every);
        assert_eq!(recipe.preference.train.batch, lancer_prefer::BatchSize::Tokens(512));
        let other = Recipe::parse("[preference.loss]\nkind = \"simpo\"").unwrap();
        assert_eq!(other.preference.loss.name(), "simpo");
        assert_eq!(changed(&["preference.loss.kind=orpo"]).unwrap().preference.loss.name(), "orpo");
        let error = Recipe::parse("[sft.train]\nepoch = 3").unwrap_err();
        assert!(error.contains("epoch = 3") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn every_method_is_a_valid_recipe_and_the_file_has_the_last_word() {
        use lancer_review::ModeSetting;
        for method in Method::ALL {
            let text = format!("recipe = \"{method}\"\nmodel = \"a.gguf\"\nseeds = \"a.jsonl\"");
            let recipe = Recipe::parse(&text).unwrap();
            recipe.validate().unwrap();
            assert_eq!(recipe.recipe, method);
            let followed = Recipe { model: "a.gguf".into(), seeds: "a.jsonl".into(), ..Recipe::default() };
            assert_eq!(followed.following(method), recipe, "{method}");
            assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
        }
        let text = "recipe = \"spin\"\n[expand]\nworse_responses = 3";
        let spin = Recipe::parse(text).unwrap();
        assert_eq!((spin.expand.worse_responses, spin.review.mode), (3, ModeSetting::None));
        // A change of the recipe comes before the other changes and over the file.
        let back = spin.with(&["expand.prompts=2".into(), "recipe=self-instruct".into()]).unwrap();
        assert_eq!((back.recipe, back.preference.max_pairs), (Method::SelfInstruct, Some(0)));
        assert_eq!(back.expand.prompts, 2);
        let error = Recipe::parse("recipe = \"lence\"").unwrap_err();
        assert!(error.contains("lence") && error.contains("self-rewarding"), "{error}");
        let error = changed(&["model=a", "seeds=b", "review.mode=none"]).unwrap().validate().unwrap_err();
        assert!(error.to_string().contains("expand.to"), "{error}");
    }

    #[test]
    fn single_settings_are_changed() {
        let recipe = changed(&[
            "iterations=3",
            "expand.worse_over = 6.5",
            "preference.loss.beta=0.2",
            "model=/models/a b.gguf",
            "sft.learner.activations=keep",
            "expand.sources=4",
        ])
        .unwrap();
        assert_eq!((recipe.iterations, recipe.expand.sources), (3, Some(4)));
        assert!((recipe.expand.worse_over - 6.5).abs() < 1e-12);
        assert_eq!(recipe.model, Path::new("/models/a b.gguf"));
        assert_eq!(recipe.sft.learner["activations"].as_str(), Some("keep"));
        let found = recipe.differences(&Recipe::default());
        assert_eq!(found.len(), 6, "{found:?}");
        assert!(found.contains(&"preference.loss.beta: 0.1, now 0.2".to_owned()), "{found:?}");
        assert!(recipe.differences(&recipe).is_empty());
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (change, said) in [
            ("itertions=3", "itertions"),
            ("expand.worse=3", "worse"),
            ("iterations=many", "iterations"),
            ("preference.loss.kind=ppo", "ppo"),
            ("iterations", "section.name=value"),
            ("seed.a=1", "not a section"),
        ] {
            let error = changed(&[change]).unwrap_err().to_string();
            assert!(error.contains(said), "{change}: {error}");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let valid = ["model=a.gguf", "seeds=a.jsonl"];
        changed(&valid).unwrap().validate().unwrap();
        for (change, said) in [
            ("iterations=0", "iterations"),
            ("expand.worse_over=11.0", "worse_over"),
            ("merge.threshold=-1.0", "merge.threshold"),
            ("sft.train.epochs=0", "epochs"),
            ("preference.loss.beta=0.0", "beta"),
            ("model=''", "model"),
        ] {
            let error = changed(&[valid[0], valid[1], change]).unwrap().validate().unwrap_err().to_string();
            assert!(error.contains(said), "{change}: {error}");
        }
    }
}
