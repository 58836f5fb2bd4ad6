//! `report.html`: a run as one page that needs nothing else.
//!
//! The page holds its data as JSON and draws itself. Its scripts put text into the page as text only, so nothing that a
//! record says can become markup; [`json_in_script`] sees to it that nothing can end the element that holds the data.

mod data;

use std::path::{Path, PathBuf};

use lancer_output::{Existing, OutputError, Place};

use self::data::PageData;
use crate::{error::EvolveError, ledger::Ledger};

/// The report's file within a run's folder.
const FILE: &str = "report.html";

const PAGE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/page.css");
const SCRIPTS: [&str; 7] = [
    include_str!("report/elements.js"),
    include_str!("report/charts.js"),
    include_str!("report/figures.js"),
    include_str!("report/texts.js"),
    include_str!("report/overview.js"),
    include_str!("report/history.js"),
    include_str!("report/browser.js"),
];

/// Writes the report of a run, whole or interrupted, into its folder and returns the file.
///
/// # Errors
/// What reading the ledger gives, and [`EvolveError::Output`] where the file cannot be written.
pub fn write_report(ledger: &Ledger, folder: &Path) -> Result<PathBuf, EvolveError> {
    write_report_to(ledger, folder, &report_place(folder)?)?;
    Ok(folder.join(FILE))
}

/// Where the report of a run is written, if nothing else is said.
///
/// # Errors
/// Where the run's folder cannot be written.
pub fn report_place(folder: &Path) -> Result<Place, OutputError> {
    Place::file(&folder.join(FILE), Existing::Own)
}

/// Writes the report of the run in `folder` to any place.
///
/// The page loads nothing, so it can be sent and opened anywhere. It holds every text of the run.
///
/// # Errors
/// What reading the ledger gives, and [`EvolveError::Io`] where the file cannot be written.
pub fn write_report_to(ledger: &Ledger, folder: &Path, to: &Place) -> Result<(), EvolveError> {
    let page = page(&PageData::of(ledger, folder)?);
    to.write(|scratch| {
        let failed = |source| EvolveError::Io { action: "write", path: to.path().into(), source };
        std::fs::write(scratch, page).map_err(failed)
    })
}

fn page(data: &PageData) -> String {
    let scripts = SCRIPTS.concat();
    let parts =
        [("<!--style-->", STYLE), ("<!--data-->", &json_in_script(data)), ("<!--script-->", &scripts)];
    let (mut page, mut rest) = (String::new(), PAGE);
    // In one pass, so that a place's name within what was put in is left alone.
    for (place, part) in parts {
        if let Some((before, after)) = rest.split_once(place) {
            page.push_str(before);
            page.push_str(part);
            rest = after;
        }
    }
    page + rest
}

/// A value as JSON that can stand within an HTML `script` element.
///
/// The characters by which a script element could end, a comment begin, or a line of JavaScript break occur in JSON only
/// within texts, where their escapes mean the same.
fn json_in_script(value: &impl serde::Serialize) -> String {
    let mut escaped = String::new();
    for character in crate::ledger::json(value).chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{Origin, Record},
        summary::hand_filled,
    };

    /// The text between the tags of the data element.
    fn data_of(page: &str) -> &str {
        let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
        rest.split_once("</script>").unwrap().0
    }

    #[test]
    fn the_page_holds_the_whole_ledger_and_loads_nothing() {
        let run = hand_filled::whole();
        let file = write_report(&run.ledger, run.folder.path()).unwrap();
        let page = std::fs::read_to_string(&file).unwrap();
        let data: serde_json::Value = serde_json::from_str(data_of(&page)).unwrap();
        let rows = |name: &str| data[name].as_array().unwrap().len();
        assert_eq!((rows("records"), rows("samples"), rows("reviews")), (10, 10, 8));
        assert_eq!((rows("verdicts"), rows("sft"), rows("pairs")), (6, 3, 2));
        assert_eq!(data["pairs"][0]["iteration"], 1);
        assert_eq!(data["summary"]["seeds"], 4);
        assert_eq!(data["funnels"][0][1]["parts"][0][0], "sources of new prompts");
        for outside in ["http://", "https://", "src=", "url(", "import(", "fetch(", "innerHTML", "<!--data"] {
            let without_names = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!without_names.contains(outside), "{outside}");
        }
        assert!(page.ends_with("</html>\n"));
    }

    #[test]
    fn no_text_of_a_record_leaves_the_data() {
        let run = hand_filled::whole();
        let hostile = "</script><script>alert(1)</script><!-- <!--script--> ]]> \u{2028}\u{2029} \" ' \\ \0 &lt; {{data}}";
        let record = Record {
            key: "</SCRIPT x=\"<!--data-->".into(),
            iteration: 1,
            origin: Origin::NewPrompt,
            source: None,
            seed: hostile.into(),
            sample: None,
            prompt: hostile.into(),
            response: hostile.into(),
            conversation: None,
            fields: serde_json::Map::new(),
        };
        run.ledger.add_record(&record).unwrap();
        let file = write_report(&run.ledger, run.folder.path()).unwrap();
        let page = std::fs::read_to_string(file).unwrap();
        let text = data_of(&page);
        for character in ['<', '>', '&', '\u{2028}', '\u{2029}', '\0', '\n'] {
            assert!(!text.contains(character), "{character:?}");
        }
        let data: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut found = data["records"].as_array().unwrap().iter().filter(|found| found["key"] == record.key);
        let found = found.next().unwrap();
        assert_eq!((&found["prompt"], &found["response"]), (&hostile.into(), &hostile.into()));
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.to_ascii_lowercase().matches("</script").count(), 2);
    }

    #[test]
    fn an_interrupted_run_has_a_report() {
        for run in [hand_filled::empty(), hand_filled::stopped_while_generating()] {
            let file = write_report(&run.ledger, run.folder.path()).unwrap();
            let page = std::fs::read_to_string(file).unwrap();
            serde_json::from_str::<serde_json::Value>(data_of(&page)).unwrap();
        }
    }
}
