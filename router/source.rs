//! Where the configuration comes from: the file, the files it includes, and the environment.
//!
//! It reads and finds; what the texts mean is the business of crate `config`.

mod stamp;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use config::load::{Loaded, Main, Text};
use config::model::{Admin, CertificateSource, Config, Listener, STDOUT};
use config::problem::{self, Fault, Problem};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub use stamp::Stamp;
pub use watched::{Mark, Watched};

/// More than any configuration needs, and little enough to read by mistake.
const LARGEST: u64 = 64 << 20;

/// The longest fixed answer: it is kept in memory, and sent again and again.
const LARGEST_BODY: u64 = 1 << 20;

/// Reads the file at `path` and the files it includes.
///
/// # Errors
/// When a file cannot be read, or the main one says so little that its includes are unknown.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    let main = read(path).map_err(|message| vec![Problem::of_file(shown(path), message)])?;
    let main = Main::read(main);
    let Ok(patterns) = main.includes(&environment) else {
        return Err(main.load(Vec::new(), &environment).problems);
    };
    let mut found = Found::default();
    for (position, pattern) in patterns.iter().enumerate() {
        found.include(path, pattern, position);
    }
    let loaded = main.load(found.texts, &environment);
    if found.problems.is_empty() && found.faults.is_empty() {
        return Ok(loaded);
    }
    let mut problems = loaded.problems.clone();
    problems.extend(found.faults.iter().map(|fault| loaded.place(fault)));
    problems.append(&mut found.problems);
    Err(problems)
}

/// `path`, as it is meant in the file at `file`.
pub fn beside(file: &Path, path: &Path) -> PathBuf {
    folder(file).join(path)
}

/// Makes the relative paths of a configuration paths from the folder of its file.
pub fn anchor(config: &mut Config, file: &Path) {
    let folder = folder(file);
    let server = &mut config.server;
    anchor_path(folder, &mut server.state_dir);
    anchor_path(folder, &mut server.secret_file);
    if let Some(socket) = config.admin.bind.strip_prefix("unix:") {
        config.admin.bind = format!("unix:{}", folder.join(socket).display());
    }
    anchor_listeners(&mut config.listeners, file);
    anchor_admin(&mut config.admin, file);
    for (_, pool) in &mut config.pools.0 {
        if let Some(targets) = &mut pool.file {
            anchor_path(folder, targets);
        }
        if let Some(ca) = pool.tls.as_mut().and_then(|tls| tls.ca.as_mut()) {
            anchor_path(folder, ca);
        }
    }
    let files = config
        .access_log
        .iter_mut()
        .filter(|log| log.path != STDOUT);
    for log in files {
        log.path = shown(&folder.join(&log.path));
    }
}

/// The content of each `body_file`, by the position of its route.
///
/// # Errors
/// Files that cannot be read, or are longer than a body may be.
pub fn bodies(config: &Config, file: &Path) -> Result<BTreeMap<usize, Vec<u8>>, Vec<Fault>> {
    let routes = problem::Path::default().key("routes");
    let (mut bodies, mut faults) = (BTreeMap::new(), Vec::new());
    for (position, route) in config.routes.iter().enumerate() {
        let Some(respond) = &route.respond else {
            continue;
        };
        let Some(path) = respond.body_file.as_ref().map(|it| folder(file).join(it)) else {
            continue;
        };
        match body(&path) {
            Ok(body) => drop(bodies.insert(position, body)),
            Err(message) => {
                let key = routes.index(position).key("respond").key("body_file");
                faults.push(key.fault(format!("`{}`: {message}", path.display())));
            }
        }
    }
    if faults.is_empty() {
        Ok(bodies)
    } else {
        Err(faults)
    }
}

/// Pictures by the positions of their route and flag.
pub type Favicons = BTreeMap<(usize, usize), Vec<u8>>;

/// The content of each `favicon`, by the positions of its route and flag.
///
/// # Errors
/// Files that cannot be read, or are longer than a body may be.
pub fn favicons(config: &Config, file: &Path) -> Result<Favicons, Vec<Fault>> {
    let routes = problem::Path::default().key("routes");
    let (mut favicons, mut faults) = (BTreeMap::new(), Vec::new());
    for (route, written) in config.routes.iter().enumerate() {
        for (flag, written) in written.flags.iter().enumerate() {
            let Some(path) = written.favicon.as_ref().map(|it| folder(file).join(it)) else {
                continue;
            };
            match body(&path) {
                Ok(bytes) => drop(favicons.insert((route, flag), bytes)),
                Err(message) => {
                    let key = routes.index(route).key("flags").index(flag).key("favicon");
                    faults.push(key.fault(format!("`{}`: {message}", path.display())));
                }
            }
        }
    }
    if faults.is_empty() {
        Ok(favicons)
    } else {
        Err(faults)
    }
}

/// Reads one byte more than is allowed, so that a file that grows is no way around the bound.
fn body(path: &Path) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| reason(&error))?;
    if file.metadata().is_ok_and(|about| about.is_dir()) {
        return Err("this is a folder, not a file".into());
    }
    let mut body = Vec::new();
    let read = file.take(LARGEST_BODY + 1).read_to_end(&mut body);
    read.map_err(|error| reason(&error))?;
    if body.len() as u64 > LARGEST_BODY {
        return Err("this file is larger than 1 MiB".into());
    }
    Ok(body)
}

/// Makes the relative paths of listeners paths from the folder of their file.
pub fn anchor_listeners(listeners: &mut [Listener], file: &Path) {
    let folder = folder(file);
    for tls in listeners.iter_mut().filter_map(|it| it.tls.as_mut()) {
        for source in &mut tls.certificates {
            match source {
                CertificateSource::Folder(path) => anchor_path(folder, path),
                CertificateSource::Pair { cert, key } => {
                    anchor_path(folder, cert);
                    anchor_path(folder, key);
                }
            }
        }
        let files = [&mut tls.ticket_keys, &mut tls.client_ca];
        for file in files.into_iter().flatten() {
            anchor_path(folder, file);
        }
    }
}

/// Files of `pools.*.tls.ca` that hold no certificate.
pub fn unreadable_authorities(config: &Config, file: &Path) -> Vec<Fault> {
    let pools = problem::Path::default().key("pools");
    let fault = |(name, pool): (&str, &config::model::Pool)| {
        let ca = folder(file).join(pool.tls.as_ref()?.ca.as_ref()?);
        let message = match CertificateDer::pem_file_iter(&ca).map(|mut found| found.next()) {
            Ok(Some(Ok(_))) => return None,
            Ok(None) => "has no certificate in it".to_owned(),
            Ok(Some(Err(error))) | Err(error) => format!("cannot be read: {error}"),
        };
        let path = pools.key(name).key("tls").key("ca");
        Some(path.fault(format!("`{}` {message}", ca.display())))
    };
    config.pools.iter().filter_map(fault).collect()
}

/// Makes the relative paths of the admin API's TLS paths from the folder of its file.
pub fn anchor_admin(admin: &mut Admin, file: &Path) {
    let folder = folder(file);
    if let Some(tls) = &mut admin.tls {
        anchor_path(folder, &mut tls.cert);
        anchor_path(folder, &mut tls.key);
        if let Some(authority) = &mut tls.client_ca {
            anchor_path(folder, authority);
        }
    }
}

fn anchor_path(folder: &Path, path: &mut PathBuf) {
    *path = folder.join(&*path);
}

/// The folder of a file; empty for one in the current folder, so that paths stay as short as they were written.
fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new(""))
}

/// A variable that is not UTF-8 counts as not set: no key can take it.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path) -> Result<Text, String> {
    let about = fs::metadata(path).map_err(|error| reason(&error))?;
    if about.is_dir() {
        return Err("this is a folder, not a file".into());
    }
    if about.len() > LARGEST {
        return Err("this file is larger than 64 MiB".into());
    }
    let bytes = fs::read(path).map_err(|error| reason(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        format!("line {line} is not UTF-8")
    })?;
    Ok(Text {
        name: shown(path),
        text,
    })
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "permission to read this file is denied".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The included files, and what is wrong with including them.
#[derive(Default)]
struct Found {
    paths: BTreeSet<PathBuf>,
    texts: Vec<Text>,
    /// Wrong with the pattern; it has a place in the main file.
    faults: Vec<Fault>,
    /// Wrong with a file found.
    problems: Vec<Problem>,
}

impl Found {
    /// Takes in the files of one pattern. A pattern with wildcards may find none: `routes.d` may be empty.
    fn include(&mut self, main: &Path, pattern: &str, position: usize) {
        let fault = |message: String| {
            let path = problem::Path::default();
            path.key("include").index(position).fault(message)
        };
        if pattern.is_empty() {
            return;
        }
        let found = match matches(main, pattern) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("{pattern:?} is not a pattern: {}", error.msg);
                self.faults.push(fault(message));
                return;
            }
        };
        let (paths, unreadable): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
        for error in unreadable.into_iter().filter_map(Result::err) {
            let problem = Problem::of_file(shown(error.path()), reason(error.error()));
            self.problems.push(problem);
        }
        if paths.is_empty() && !pattern.contains(['*', '?', '[']) {
            self.faults
                .push(fault(format!("there is no file {pattern:?}")));
        }
        for path in paths.into_iter().flatten() {
            if !is_same(&path, main) {
                self.take(path);
            }
        }
    }

    /// Takes in a file, once however many patterns find it.
    fn take(&mut self, path: PathBuf) {
        if self.paths.contains(&path) {
            return;
        }
        match read(&path) {
            Ok(text) => self.texts.push(text),
            Err(message) => self.problems.push(Problem::of_file(shown(&path), message)),
        }
        self.paths.insert(path);
    }
}

/// The files that a pattern of `main` stands for. The folder's own name may contain what a pattern reads as a wildcard.
fn matches(main: &Path, pattern: &str) -> Result<glob::Paths, glob::PatternError> {
    let folder = glob::Pattern::escape(&shown(folder(main)));
    glob::glob(&shown(&Path::new(&folder).join(pattern)))
}

/// Whether a pattern has found the main file itself.
fn is_same(path: &Path, main: &Path) -> bool {
    match (path.canonicalize(), main.canonicalize()) {
        (Ok(path), Ok(main)) => path == main,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[track_caller]
    fn problems(folder: &tempfile::TempDir) -> String {
        let path = folder.path().join("kanaria.toml");
        let problems = match load(&path) {
            Ok(loaded) => loaded.problems,
            Err(problems) => problems,
        };
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let prefix = format!("{}/", folder.path().display());
        shown.join("\n").replace(&prefix, "")
    }

    #[test]
    fn included_files_are_found_beside_the_file_and_merged() {
        let folder = folder_with(&[
            (
                "kanaria.toml",
                "version = 1\ninclude = [\"*.toml\", \"r.d/*.toml\", \"r.d/1*\", \"none.d/*\"]\n",
            ),
            (
                "r.d/10.toml",
                "[[listeners]]\nname = 'b'\nbind = '127.0.0.1:2'\n",
            ),
            (
                "r.d/09.toml",
                "[[listeners]]\nname = 'a'\nbind = '127.0.0.1:1'\n",
            ),
        ]);
        let loaded = load(&folder.path().join("kanaria.toml")).unwrap();
        assert_eq!(loaded.problems, []);
        let names = loaded.config.unwrap().listeners.into_iter().map(|l| l.name);
        assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_a_problem() {
        let folder = folder_with(&[]);
        assert_eq!(problems(&folder), "kanaria.toml: there is no such file");
    }

    #[test]
    fn a_file_that_is_not_utf8_is_a_problem() {
        let folder = folder_with(&[]);
        fs::write(folder.path().join("kanaria.toml"), b"version = 1\n# \xff").unwrap();
        assert_eq!(problems(&folder), "kanaria.toml: line 2 is not UTF-8");
    }

    #[test]
    fn an_include_that_cannot_be_had_is_shown_in_its_place() {
        let folder = folder_with(&[
            (
                "kanaria.toml",
                "version = 1\ninclude = [\"no.toml\", \"a**b\", \"folder\"]\n",
            ),
            ("folder/x", ""),
        ]);
        insta::assert_snapshot!(problems(&folder), @r#"
        kanaria.toml:2:12: include[0]: there is no file "no.toml"
          |
        2 | include = ["no.toml", "a**b", "folder"]
          |            ^^^^^^^^^
        kanaria.toml:2:23: include[1]: "a**b" is not a pattern: recursive wildcards must form a single path component
          |
        2 | include = ["no.toml", "a**b", "folder"]
          |                       ^^^^^^
        folder: this is a folder, not a file
        "#);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = folder_with(&[(
            "kanaria.toml",
            "version = 1\nadmin.bind = 'unix:a.sock'\naccess_log = [{ path = 'stdout' }, { path = 'a.json' }]\n\
             [server]\nsecret_file = '/etc/secret'\n[pools.ec2]\ntargets = ['127.0.0.1:1']\ntls.ca = 'ca.pem'\n\
             [pools.ecs]\nfile = 'ecs.json'\n",
        )]);
        let path = folder.path().join("kanaria.toml");
        let mut config = load(&path).unwrap().config.unwrap();
        anchor(&mut config, &path);
        let inside = |name: &str| folder.path().join(name);
        assert_eq!(config.server.state_dir, inside("state"));
        assert_eq!(config.server.secret_file, Path::new("/etc/secret"));
        assert_eq!(
            config.admin.bind,
            format!("unix:{}", shown(&inside("a.sock")))
        );
        assert_eq!(config.access_log[0].path, "stdout");
        assert_eq!(config.access_log[1].path, shown(&inside("a.json")));
        let tls = config.pools.0[0].1.tls.clone().unwrap();
        assert_eq!(tls.ca, Some(inside("ca.pem")));
        assert_eq!(config.pools.0[1].1.file, Some(inside("ecs.json")));
    }
}
