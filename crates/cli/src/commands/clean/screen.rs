//! What is asked of each pair alone, before pairs are compared: personal data and quality rules.

use std::{fs, path::Path};

use clap::ValueEnum;
use lancer_backend::Message;
use lancer_data::{Handling, PersonalDataSettings, QualitySettings, Record, Treated, treat_personal_data};

use super::Dropped;
use crate::failure::Failure;

/// What is done with e-mail addresses, phone numbers, card numbers, IP addresses, keys and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PersonalDataOption {
    /// Nothing.
    Keep,
    /// Its kind in angle brackets stands in its place, such as `<email>`.
    Mask,
    /// The pair is dropped.
    Drop,
}

impl PersonalDataOption {
    fn settings(self) -> PersonalDataSettings {
        PersonalDataSettings::all(match self {
            Self::Keep => Handling::Keep,
            Self::Mask => Handling::Mask,
            Self::Drop => Handling::Drop,
        })
    }
}

/// What pairs are screened for.
pub(crate) struct Screen {
    personal_data: PersonalDataSettings,
    quality: Option<QualitySettings>,
}

impl Screen {
    /// `quality` is a TOML file of limits.
    pub(crate) fn new(personal_data: PersonalDataOption, quality: Option<&Path>) -> Result<Self, Failure> {
        let quality = match quality {
            None => None,
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
                let settings = QualitySettings::parse(&text);
                Some(settings.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?)
            }
        };
        Ok(Self { personal_data: personal_data.settings(), quality })
    }

    /// The records that pass, what is personal masked in them; those that do not go to `dropped`.
    pub(crate) fn pass(&self, records: Vec<Record>, dropped: &mut Vec<Dropped>) -> Vec<Record> {
        records.into_iter().filter_map(|record| self.pass_one(record, dropped)).collect()
    }

    fn pass_one(&self, record: Record, dropped: &mut Vec<Dropped>) -> Option<Record> {
        let mut conversation = record.conversation().clone();
        let mut found = None;
        for text in conversation.messages.iter_mut().flat_map(texts) {
            match treat_personal_data(text, &self.personal_data) {
                Treated::AsItIs => {}
                Treated::Masked(masked, _) => *text = masked,
                Treated::Dropped(kind) => {
                    found = Some(kind);
                    break;
                }
            }
        }
        if let Some(kind) = found {
            dropped.push(Dropped::new(record.pair(), "personal_data", None, kind.as_str().into()));
            return None;
        }
        let record = record.with_conversation(conversation);
        let pair = record.pair();
        let broken = self
            .quality
            .as_ref()
            .map_or_else(Vec::new, |quality| quality.broken(&pair.prompt, &pair.response));
        if broken.is_empty() {
            return Some(record);
        }
        dropped.push(Dropped::by_quality(pair, broken));
        None
    }
}

/// What is said and thought in a turn.
fn texts(message: &mut Message) -> impl Iterator<Item = &mut String> {
    [Some(&mut message.content), message.reasoning_content.as_mut()].into_iter().flatten()
}
