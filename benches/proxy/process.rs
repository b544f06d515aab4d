//! Child processes: started on a core, asked for CPU and memory, ended with their owner.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// Where a process runs, on a machine with more than one core.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    /// Proxies.
    First,
    /// Load and backends.
    Second,
}

/// A child that ends with this value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` on `core`; `quiet` drops what it prints.
    pub(crate) fn start(core: Core, command: &[String], quiet: bool) -> Result<Self> {
        let pinned = pinned(core, command);
        let output = |quiet: bool| if quiet { Stdio::null() } else { Stdio::piped() };
        let child = Command::new(&pinned[0])
            .args(&pinned[1..])
            .stdin(Stdio::null())
            .stdout(output(quiet))
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| pinned.join(" "))?;
        Ok(Self { child })
    }

    /// As `start`, with `stderr` written to a file.
    pub(crate) fn start_with_log(
        core: Core,
        command: &[String],
        log: &std::path::Path,
    ) -> Result<Self> {
        let pinned = pinned(core, command);
        let child = Command::new(&pinned[0])
            .args(&pinned[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(log)?)
            .spawn()
            .with_context(|| pinned.join(" "))?;
        Ok(Self { child })
    }

    /// The first line it prints.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let stdout = self.child.stdout.take().context("started quiet")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_of(&self.child.id().to_string())
    }

    /// Memory that is its own, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let map = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = map
            .lines()
            .find(|line| line.starts_with("Pss:"))
            .context("no Pss in smaps_rollup")?;
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .context("no number")?
            .parse()?;
        Ok(kib * 1024)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits for its end, which must be a success.
    pub(crate) fn done(mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("a load ended with {status}");
        }
        Ok(())
    }

    /// Waits for its end, at most `time`.
    pub(crate) fn ended_within(&mut self, time: Duration) -> Result<bool> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.child.try_wait()?.is_some() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of the process `id`, or `self`.
pub(crate) fn cpu_of(id: &str) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no command in stat")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()?;
    // Linux counts in USER_HZ, which is 100 on every platform we build for.
    Ok(Duration::from_millis(ticks * 10))
}

/// This binary in another role.
pub(crate) fn own(role: &[&str]) -> Result<Vec<String>> {
    let binary = std::env::current_exe()?.display().to_string();
    let mut command = vec![binary];
    command.extend(role.iter().map(|word| (*word).to_owned()));
    Ok(command)
}

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits until something listens at `address`.
pub(crate) fn listening(address: SocketAddr) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("nothing listens at {address} after 60 s")
}

/// Whether `program` can be run here.
pub(crate) fn installed(program: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&search).collect();
    folders.push("/usr/sbin".into());
    folders.iter().any(|folder| folder.join(program).is_file())
}

/// Takes as many file descriptors as the system gives; children inherit it.
pub(crate) fn many_descriptors() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(65_536);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        },
    )?;
    Ok(most)
}

fn pinned(core: Core, command: &[String]) -> Vec<String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 || !installed("taskset") {
        return command.to_vec();
    }
    let number = match core {
        Core::First => "0",
        Core::Second => "1",
    };
    let mut pinned: Vec<String> = ["taskset", "-c", number].map(str::to_owned).to_vec();
    pinned.extend_from_slice(command);
    pinned
}
