//! From a text to a scenario, with everything wrong reported at once.

use serde::Deserialize;

use super::{Scenario, check, schema};
use crate::document::{self, Node};
use crate::load::Text;
use crate::problem::{Fault, Path, Problem};
use crate::text::{Finding, Texts};
use crate::walk::walk;

/// A scenario, and the text it was written in.
#[derive(Debug)]
pub struct Written {
    /// What it says.
    pub scenario: Scenario,
    texts: Texts,
    root: Node,
}

/// Reads a scenario: JSON when the name of `text` ends in `.json`, else TOML.
///
/// # Errors
/// Everything wrong with it, in the order of the text.
pub fn read(text: Text) -> Result<Written, Vec<Problem>> {
    let (mut texts, mut findings) = (Texts::default(), Vec::new());
    let is_json = text.name.ends_with(".json");
    let file = texts.add(text.name, text.text);
    let Some(root) = document::read(&texts, file, is_json, &mut findings) else {
        return Err(texts.problems(findings));
    };
    let walked = walk(&root, schema(), &mut findings);
    let finding = |fault: Fault| Finding {
        place: root.place_of(&fault.path),
        path: fault.path,
        message: fault.message,
    };
    match Scenario::deserialize(walked.value) {
        // What was wrong has something harmless in its place, which is not the operator's to answer for.
        Ok(scenario) if findings.is_empty() => {
            findings.extend(check::faults(&scenario).into_iter().map(finding));
            if findings.is_empty() {
                return Ok(Written {
                    scenario,
                    texts,
                    root,
                });
            }
        }
        Ok(_) => {}
        Err(error) => findings.push(finding(Path::default().fault(error.to_string()))),
    }
    Err(texts.problems(findings))
}

impl Written {
    /// A fault by its place in the text.
    pub fn place(&self, fault: &Fault) -> Problem {
        self.texts.problem(Finding {
            place: self.root.place_of(&fault.path),
            path: fault.path.clone(),
            message: fault.message.clone(),
        })
    }
}
