//! Settings of a library, with changes from the command line.

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use crate::{failure::Failure, options::Changes};

/// The defaults, with the changes of `--set`.
pub(crate) fn changed<T: Default + Serialize + DeserializeOwned>(changes: &Changes) -> Result<T, Failure> {
    let mut table = Table::try_from(T::default()).map_err(|error| Failure::Failed(error.into()))?;
    for change in &changes.set {
        let (name, value) = change
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("{change}: a setting is changed as `name=value`")))?;
        set(&mut table, name.trim(), value.trim());
    }
    table.try_into().map_err(|error: toml::de::Error| {
        Failure::usage(format!("{}: {}", changes.set.join(", "), error.message()))
    })
}

fn set(table: &mut Table, name: &str, value: &str) {
    match name.split_once('.') {
        None => {
            let parsed = toml::from_str::<Table>(&format!("value = {value}"));
            let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
            table.insert(name.to_owned(), parsed.unwrap_or_else(|| Value::String(value.to_owned())));
        }
        Some((section, rest)) => {
            if let Value::Table(inner) = table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
                set(inner, rest, value);
            }
        }
    }
}
