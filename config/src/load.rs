//! From texts to a configuration, with everything wrong reported at once. It is total: any text has an answer.
//!
//! The texts are arguments; who reads files and the environment is the caller.

mod follow;

use std::collections::HashSet;

use serde::Deserialize;

use crate::check;
use crate::document::{self, Node, Value};
use crate::interpolate::interpolate;
use crate::model::Config;
use crate::problem::{Fault, Path, Problem, Trail};
use crate::schema;
use crate::text::{Finding, Texts};
use crate::walk::walk;

use follow::Wrong;

pub use crate::interpolate::{Environment, filled};

/// A file that has been read: JSON when its name ends in `.json`, else TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its name, as problems show it.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// What was read, and what is wrong with its form.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; where something is wrong, something harmless stands in. `None` when a text is not TOML or JSON at all.
    pub config: Option<Config>,
    /// Everything wrong with the form, in the order of the texts.
    pub problems: Vec<Problem>,
    findings: Vec<Finding>,
    texts: Texts,
    root: Node,
    /// Paths whose value was wrong or missing.
    wrong: Vec<Path>,
}

/// A main file that has been read, before anybody knows what it includes.
#[derive(Debug)]
pub struct Main {
    texts: Texts,
    findings: Vec<Finding>,
    /// `None` when the text is not TOML or JSON at all.
    root: Option<Node>,
}

impl Main {
    /// Reads the form of `text`; what it means is not asked.
    pub fn read(text: Text) -> Self {
        let (mut texts, mut findings) = (Texts::default(), Vec::new());
        let root = read(text, &mut texts, &mut findings);
        Self {
            texts,
            findings,
            root,
        }
    }

    /// The patterns of `include`; one that is no string is left to `load` to report.
    ///
    /// # Errors
    /// When the text is not TOML or JSON, or a pattern refers to a variable that is not set.
    pub fn includes(&self, environment: Environment<'_>) -> Result<Vec<String>, Vec<Problem>> {
        let Some(root) = &self.root else {
            return Err(self.texts.problems(self.findings.clone()));
        };
        let Some(mut include) = root.get("include").cloned() else {
            return Ok(Vec::new());
        };
        let mut findings = Vec::new();
        let top = Trail::default();
        let path = top.key("include");
        interpolate(&path, &mut include, &self.texts, environment, &mut findings);
        if !findings.is_empty() {
            return Err(self.texts.problems(findings));
        }
        let Value::List(items) = &include.value else {
            return Ok(Vec::new());
        };
        Ok(items.iter().map(pattern).collect())
    }

    /// The main file with the files it includes, merged in the order of their names.
    pub fn load(self, mut included: Vec<Text>, environment: Environment<'_>) -> Loaded {
        let Self {
            mut texts,
            mut findings,
            root,
        } = self;
        included.sort_by(|a, b| a.name.cmp(&b.name));
        let others: Vec<_> = included
            .into_iter()
            .map(|text| read(text, &mut texts, &mut findings))
            .collect();
        match root.and_then(|root| merged(root, others, &texts, &mut findings)) {
            Some(root) => interpret(root, texts, findings, environment),
            None => Loaded {
                config: None,
                problems: texts.problems(findings.clone()),
                findings,
                texts,
                root: Node::default(),
                wrong: Vec::new(),
            },
        }
    }
}

/// An entry that is no string keeps its position, and matches nothing.
fn pattern(item: &Node) -> String {
    match &item.value {
        Value::Text(text) => text.clone(),
        _ => String::new(),
    }
}

/// Reads a main file and the files it includes, which are known already.
pub fn load(main: Text, included: Vec<Text>, environment: Environment<'_>) -> Loaded {
    Main::read(main).load(included, environment)
}

fn read(text: Text, texts: &mut Texts, findings: &mut Vec<Finding>) -> Option<Node> {
    let is_json = text.name.ends_with(".json");
    let file = texts.add(text.name, text.text);
    document::read(texts, file, is_json, findings)
}

/// One tree of all; `None` when one of them could not be read, because then nobody knows what is missing.
fn merged(
    mut root: Node,
    others: Vec<Option<Node>>,
    texts: &Texts,
    findings: &mut Vec<Finding>,
) -> Option<Node> {
    let others: Option<Vec<_>> = others.into_iter().collect();
    for other in others? {
        document::merge(&mut root, other, texts, findings);
    }
    Some(root)
}

fn interpret(
    mut root: Node,
    texts: Texts,
    mut findings: Vec<Finding>,
    environment: Environment<'_>,
) -> Loaded {
    let top = Trail::default();
    interpolate(&top, &mut root, &texts, environment, &mut findings);
    let walked = walk(&root, schema::shared(), &mut findings);
    let config = Config::deserialize(walked.value);
    if let Err(error) = &config {
        // The walk and the model come from one definition, so this says that the walk misses a rule of the model.
        findings.push(Finding {
            place: root.place_of(&Path::default()),
            path: Path::default(),
            message: error.to_string(),
        });
    }
    Loaded {
        config: config.ok(),
        problems: texts.problems(findings.clone()),
        findings,
        texts,
        root,
        wrong: walked.wrong,
    }
}

impl Loaded {
    /// A fault by its place in the texts: that of its key, or of the nearest table around it that was written.
    pub fn place(&self, fault: &Fault) -> Problem {
        self.texts.problem(self.finding(fault))
    }

    fn finding(&self, fault: &Fault) -> Finding {
        Finding {
            place: self.root.place_of(&fault.path),
            path: fault.path.clone(),
            message: fault.message.clone(),
        }
    }
}

/// Judges what was read: the settings here, and whatever `compile` makes of the rest.
///
/// # Errors
/// Everything wrong, of form and of meaning, in the order of the texts.
pub fn finish<T>(
    loaded: Loaded,
    compile: impl FnOnce(&Config) -> Result<T, Vec<Fault>>,
) -> Result<(Config, T), Vec<Problem>> {
    let Some(config) = &loaded.config else {
        return Err(loaded.problems);
    };
    let compiled = compile(config);
    let mut faults = check::settings(config);
    let settled: HashSet<_> = faults.iter().map(|fault| fault.path.clone()).collect();
    if let Err(more) = &compiled {
        // One fault a key is enough: whoever looked first said it.
        let is_new = |fault: &&Fault| !settled.contains(&fault.path);
        faults.extend(more.iter().filter(is_new).cloned());
    }
    let wrong = Wrong::new(&loaded.wrong);
    faults.retain(|fault| !wrong.explains(fault));
    let mut findings = loaded.findings.clone();
    findings.extend(faults.iter().map(|fault| loaded.finding(fault)));
    match (findings.is_empty(), compiled, loaded.config) {
        (true, Ok(compiled), Some(config)) => Ok((config, compiled)),
        _ => Err(loaded.texts.problems(findings)),
    }
}
