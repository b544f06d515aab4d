//! The router as a child process, and its command line.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::admin::Admin;
use super::client::Client;
use super::file::File;
use super::{DEADLINE, until, within};

/// A running router; it is killed with this value.
pub(crate) struct Kanaria {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) admin: Admin,
    bound: Vec<(String, SocketAddr)>,
    folder: TempDir,
}

/// A process of a router beside the one that serves; it is killed with this value.
pub(crate) struct Process(Child);

/// What the binary is called with, unless a test says otherwise.
const RUN: [&str; 3] = ["run", "-c", "kanaria.toml"];

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Kanaria {
    /// Starts one with `file` in a folder of its own and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(file: &File) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), file)
    }

    /// As `start`, in `folder`, whose state it finds.
    #[track_caller]
    pub(crate) fn start_in(folder: TempDir, file: &File) -> Self {
        fs::write(folder.path().join("kanaria.toml"), file.text()).expect("the folder is ours");
        Self::start_there(folder, &[])
    }

    /// As `start_in`, with the file that is there and with `environment`.
    #[track_caller]
    pub(crate) fn start_there(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        let child = spawn(folder.path(), &RUN, environment);
        Self::adopt(child, folder)
    }

    #[track_caller]
    fn adopt(mut child: Child, folder: TempDir) -> Self {
        let lines = lines_of(&mut child);
        let listeners = fs::read_to_string(folder.path().join("kanaria.toml"))
            .expect("written by the test")
            .matches("[[listeners]]")
            .count();
        let bound: Vec<_> = (0..=listeners)
            .map_while(|_| bound_address(&lines))
            .collect();
        let find = |name: &str| bound.iter().find(|(own, _)| own == name).map(|(_, at)| *at);
        let (Some(public), Some(address)) = (find("public"), find("admin")) else {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "not listening: {bound:?} {status:?}\n{}",
                log_of(folder.path())
            );
        };
        let kanaria = Self {
            child,
            public,
            admin: Admin { address },
            bound,
            folder,
        };
        until("/readyz answers 200", || kanaria.ready().then_some(()));
        kanaria
    }

    /// As `start_in`, with an admin API that speaks TLS: only its address is of use.
    #[track_caller]
    pub(crate) fn start_guarded(folder: TempDir, file: &File) -> Self {
        fs::write(folder.path().join("kanaria.toml"), file.text()).expect("the folder is ours");
        let mut child = spawn(folder.path(), &RUN, &[]);
        let lines = lines_of(&mut child);
        let (Some((_, public)), Some((_, address))) =
            (bound_address(&lines), bound_address(&lines))
        else {
            let _ = child.kill();
            panic!("not listening\n{}", log_of(folder.path()));
        };
        Self {
            child,
            public,
            admin: Admin { address },
            bound: vec![("public".into(), public)],
            folder,
        }
    }

    /// As `start_there`, with an admin API that listens on a socket file; `admin` is not usable then.
    #[track_caller]
    pub(crate) fn start_unix(folder: TempDir) -> Self {
        let mut child = spawn(folder.path(), &RUN, &[]);
        let Some((_, public)) = bound_address(&lines_of(&mut child)) else {
            let _ = child.kill();
            panic!("not listening\n{}", log_of(folder.path()));
        };
        let socket = folder.path().join("admin.sock");
        until("the admin socket is there", || {
            socket.exists().then_some(())
        });
        Self {
            child,
            public,
            admin: Admin { address: public },
            bound: vec![("public".into(), public)],
            folder,
        }
    }

    /// Starts one that is given `socket` as systemd gives it, under `name`.
    #[track_caller]
    pub(crate) fn start_activated(folder: TempDir, socket: &TcpListener, name: &str) -> Self {
        Self::adopt(spawn_activated(folder.path(), socket, name), folder)
    }

    /// Another process in the same folder that is given `socket`.
    pub(crate) fn spawn_activated(&self, socket: &TcpListener, name: &str) -> Process {
        Process(spawn_activated(self.folder.path(), socket, name))
    }

    /// The address of a listener.
    #[track_caller]
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        let bound = self.bound.iter().find(|(own, _)| own == name);
        bound.expect("a listener of this file").1
    }

    /// Starts a process that takes over, and waits until it has; the old one, which is killed with its value.
    #[track_caller]
    #[must_use]
    pub(crate) fn upgrade(&mut self) -> Process {
        let upgrade = ["run", "--upgrade", "-c", "kanaria.toml"];
        let n_left = || self.stderr().matches("another process serves now").count();
        let n_before = n_left();
        let mut child = spawn(self.folder.path(), &upgrade, &[]);
        let lines = lines_of(&mut child);
        let text = fs::read_to_string(self.path("kanaria.toml")).expect("written by the test");
        let has_port = !text.contains("bind = \"unix:");
        let n = text.matches("[[listeners]]").count() + usize::from(has_port);
        let bound: Vec<_> = (0..n).map_while(|_| bound_address(&lines)).collect();
        let public = bound.iter().find(|(name, _)| name == "public");
        let Some((_, public)) = public else {
            panic!("not taken over: {:?}\n{}", child.wait(), self.stderr());
        };
        assert_eq!(*public, self.public, "the socket is the same");
        until("the old process leaves", || {
            (n_left() > n_before).then_some(())
        });
        self.bound = bound;
        Process(std::mem::replace(&mut self.child, child))
    }

    /// Another process in the same folder, called as a test likes.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Process {
        Process(spawn(self.folder.path(), arguments, &[]))
    }

    /// As `spawn`, with a standard output of the test's own.
    pub(crate) fn spawn_saying_to(&self, arguments: &[&str], stdout: impl Into<Stdio>) -> Process {
        let mut called = called(self.folder.path(), arguments);
        Process(called.stdout(stdout).spawn().expect("the binary is built"))
    }

    /// One in the place of this one, which has ended, called as a test likes.
    #[track_caller]
    pub(crate) fn again(self, arguments: &[&str]) -> Self {
        let folder = self.kill();
        let child = spawn(folder.path(), arguments, &[]);
        Self::adopt(child, folder)
    }

    /// A new connection to the public listener.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.public)
    }

    pub(crate) fn ready(&self) -> bool {
        self.admin
            .try_call("GET", "/readyz", &Value::Null)
            .is_some_and(|answer| answer.status == 200)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("the child has not been waited for");
    }

    /// Memory that is resident, in KiB.
    pub(crate) fn resident_kib(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the router runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let number = number.and_then(|kib| kib.parse().ok());
        number.expect("a number of KiB")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would, and hands out its folder.
    pub(crate) fn kill(mut self) -> TempDir {
        self.end();
        std::mem::replace(
            &mut self.folder,
            tempfile::tempdir().expect("a temporary folder"),
        )
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the router ends", || {
            child.try_wait().expect("the child is ours")
        })
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_some()
    }

    /// Runs a verb against it.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let url = format!("http://{}", self.admin.address);
        let mut all = arguments.to_vec();
        all.extend(["--admin", &url]);
        command(self.folder.path(), &all)
    }

    /// The verb's `--json` document.
    #[track_caller]
    pub(crate) fn run_json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let outcome = self.run(&all);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        serde_json::from_str(&outcome.stdout).expect("--json prints one document")
    }

    /// The lines of the access log so far, whole ones only.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("access.json")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).expect("a log line is one JSON object"))
            .collect()
    }

    /// The access log once it has `n` lines.
    #[track_caller]
    pub(crate) fn log_of(&self, n: usize) -> Vec<Value> {
        let log = within(Duration::from_secs(5), || {
            Some(self.log()).filter(|log| log.len() >= n)
        });
        log.unwrap_or_else(|| {
            panic!(
                "{} lines, expected {n}: {:#?}",
                self.log().len(),
                self.log()
            )
        })
    }

    /// What it wrote for operators so far.
    pub(crate) fn stderr(&self) -> String {
        log_of(self.folder.path())
    }

    /// Overwrites its file.
    pub(crate) fn rewrite(&self, text: &str) {
        fs::write(self.path("kanaria.toml"), text).expect("the folder is ours");
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the process ends", || {
            self.0.try_wait().expect("the child is ours")
        })
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        self.0.try_wait().expect("the child is ours").is_some()
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Drop for Kanaria {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.stderr();
            let from = log.len().saturating_sub(4000);
            println!("router said:\n{}", log.get(from..).unwrap_or(&log));
        }
        self.end();
    }
}

/// Runs the binary with `folder` as working directory.
#[track_caller]
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kanaria"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("KANARIA_ADMIN")
        .env_remove("KANARIA_TOKEN")
        .env("NO_COLOR", "1");
    outcome(&mut command).expect("the binary is built")
}

/// Runs `command` to its end, or kills it at the end of `DEADLINE`; an error when it cannot be started.
pub(crate) fn outcome(command: &mut Command) -> std::io::Result<Outcome> {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = pid(&child);
    let (done, over) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        if over.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let stderr = child.stderr.take().expect("piped");
    let errors = thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
    let stdout = child.stdout.take().expect("piped");
    let stdout = std::io::read_to_string(stdout).unwrap_or_default();
    let status = child.wait().expect("the child is ours");
    let took = began.elapsed();
    drop(done);
    guard.join().expect("the guard does not panic");
    Ok(Outcome {
        code: status.code(),
        stdout,
        stderr: errors.join().expect("reading does not panic"),
        took,
    })
}

fn spawn(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    called(folder, arguments)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary is built")
}

/// The binary as a test calls it.
fn called(folder: &Path, arguments: &[&str]) -> Command {
    let mut called = Command::new(env!("CARGO_BIN_EXE_kanaria"));
    called
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(log_in(folder));
    called
}

/// The shell moves the socket to descriptor 3, where sd_listen_fds(3) has it, and tells whose it is.
fn spawn_activated(folder: &Path, socket: &TcpListener, name: &str) -> Child {
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=$1; exec \"$2\" run -c kanaria.toml";
    let socket = OwnedFd::from(socket.try_clone().expect("a descriptor is free"));
    Command::new("sh")
        .args(["-c", script, "sh", name, env!("CARGO_BIN_EXE_kanaria")])
        .current_dir(folder)
        .stdin(socket)
        .stdout(Stdio::piped())
        .stderr(log_in(folder))
        .spawn()
        .expect("there is a shell")
}

fn log_in(folder: &Path) -> fs::File {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("stderr.log"))
        .expect("the folder is ours")
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let stdout = child.stdout.take().expect("piped");
    let (line, lines) = mpsc::channel();
    thread::spawn(move || {
        for text in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Whoever no longer listens has what they wanted; the pipe must be read on all the same.
            let _ = line.send(text);
        }
    });
    lines
}

/// The next `listening NAME ADDRESS`.
fn bound_address(lines: &Receiver<String>) -> Option<(String, SocketAddr)> {
    loop {
        let line = lines.recv_timeout(DEADLINE).ok()?;
        let mut words = line.split_whitespace();
        if words.next() != Some("listening") {
            continue;
        }
        let name = words.next()?.to_owned();
        // A socket file has no port to tell.
        if let Ok(address) = words.next()?.parse() {
            return Some((name, address));
        }
    }
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("stderr.log")).unwrap_or_default()
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}
