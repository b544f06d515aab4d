//! What health checks cost: 10,000 targets in 20 pools, each asked every 10 s, which is 1,000 checks a second.
//!
//! The targets are addresses of 127.0.0.0/8 at one stub, so every check is a real one: a connection, a request, an
//! answer, an end. Counted is user and system time of the whole router process, which on loopback includes much of what
//! the stub's side of a connection costs the kernel. Beside it stands the floor: the same exchange by a loop of plain
//! blocking sockets that does nothing else.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::process::{Core, Process, cpu_of, free_port, listening, many_descriptors, own};
use crate::{median, say};

const POOLS: usize = 20;
const TARGETS: usize = 500;
const INTERVAL: Duration = Duration::from_secs(10);
const ROUNDS: usize = 3;
/// Exchanges of one measurement of the floor.
const EXCHANGES: usize = 20_000;
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Measures the checks, the router without them, and the floor, and prints a table.
pub(crate) fn run() -> Result<()> {
    many_descriptors()?;
    let mut stub = Process::start(Core::Second, &own(&["checked"])?, false)?;
    let stub_port: u16 = stub.first_line()?.parse()?;
    let (without, _) = measure(stub_port, "", 1)?;
    let check = format!("health_check = {{ path = \"/healthz\", interval = \"{INTERVAL:?}\" }}\n");
    let (with, memory) = measure(stub_port, &check, ROUNDS)?;
    let floor = floors(stub_port)?;
    say(
        "| what | us of CPU per check, median | part of a core at 1,000 checks a second | rounds |",
    );
    say("| --- | --: | --: | --- |");
    let idle = without.first().context("one round was asked for")?.share;
    say(format!(
        "| the router without checks | | {:.2} % | |",
        idle * 100.0
    ));
    row(
        "kanaria, plain HTTP",
        with.iter().map(Window::cost).collect(),
    );
    row("plain blocking sockets", floor);
    let checks: usize = with.iter().map(|window| window.checks).sum();
    say(format!(
        "{checks} checks of {} targets, {} KiB of memory",
        POOLS * TARGETS,
        memory / 1024
    ));
    Ok(())
}

fn row(name: &str, costs: Vec<f64>) {
    let rounds: Vec<_> = costs.iter().map(|cost| format!("{cost:.1}")).collect();
    let middle = median(costs);
    say(format!(
        "| {name} | {middle:.1} | {:.2} % | {} |",
        middle / 10.0,
        rounds.join(" ")
    ));
}

/// What the router spent in some time.
struct Window {
    cpu: Duration,
    /// Part of one core.
    share: f64,
    checks: usize,
}

impl Window {
    /// Microseconds a check.
    fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.checks.max(1) as f64
    }
}

/// The router's use of CPU in `rounds` windows of two intervals each, and its memory after them.
fn measure(stub: u16, check: &str, rounds: usize) -> Result<(Vec<Window>, u64)> {
    let folder = tempfile::tempdir()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let router = start(&folder, address, &file(stub, address, check))?;
    // The first round of checks is more than checks: targets become healthy, and each tells so.
    thread::sleep(INTERVAL + INTERVAL / 2);
    let mut windows = Vec::new();
    for _ in 0..rounds {
        let (cpu, checks, began) = (router.cpu()?, asked(stub)?, Instant::now());
        thread::sleep(2 * INTERVAL);
        let cpu = router.cpu()? - cpu;
        windows.push(Window {
            cpu,
            share: cpu.as_secs_f64() / began.elapsed().as_secs_f64(),
            checks: asked(stub)? - checks,
        });
    }
    let memory = router.memory()?;
    Ok((windows, memory))
}

fn start(folder: &TempDir, address: SocketAddr, file: &str) -> Result<Process> {
    let path = folder.path().join("kanaria.toml");
    fs::write(&path, file)?;
    let path = path.display().to_string();
    let command = [env!("CARGO_BIN_EXE_kanaria"), "run", "-c", &path].map(str::to_owned);
    let log = folder.path().join("stderr.log");
    let router = Process::start_with_log(Core::First, &command, &log)?;
    listening(address)?;
    Ok(router)
}

fn file(stub: u16, address: SocketAddr, check: &str) -> String {
    let mut file = format!(
        "version = 1\n[server]\nthreads = 1\n[admin]\nbind = \"127.0.0.1:0\"\n\
         [[listeners]]\nname = \"public\"\nbind = \"{address}\"\n\
         [[routes]]\nname = \"web\"\nstable = \"pool0\"\n"
    );
    for pool in 0..POOLS {
        let _ = writeln!(file, "[pools.pool{pool}]\n{check}targets = [");
        for target in 0..TARGETS {
            let (high, low) = (target / 250, target % 250 + 1);
            let _ = writeln!(file, "  \"127.{}.{high}.{low}:{stub}\",", pool + 1);
        }
        file.push_str("]\n");
    }
    file
}

/// How many checks arrived at the stub so far.
fn asked(stub: u16) -> Result<usize> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, stub))?;
    stream.write_all(b"GET /count HTTP/1.1\r\n\r\n")?;
    let mut count = String::new();
    stream.read_to_string(&mut count)?;
    Ok(count.parse()?)
}

fn floors(stub: u16) -> Result<Vec<f64>> {
    (0..ROUNDS).map(|_| floor_once(stub)).collect()
}

fn floor_once(stub: u16) -> Result<f64> {
    let role = own(&["floor", &stub.to_string()])?;
    let mut floor = Process::start(Core::First, &role, false)?;
    let cost: f64 = floor.first_line()?.parse()?;
    Ok(cost)
}

/// The role `floor PORT`: prints the microseconds of CPU that one exchange took.
pub(crate) fn floor(port: u16) -> Result<()> {
    let before = cpu_of("self")?;
    let mut answer = Vec::new();
    for number in 0..EXCHANGES {
        let (high, low) = ((number / 250 % 40) as u8, (number % 250 + 1) as u8);
        let mut stream = TcpStream::connect((Ipv4Addr::new(127, 1, high, low), port))?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        answer.clear();
        stream.read_to_end(&mut answer)?;
    }
    let spent = cpu_of("self")? - before;
    say((spent.as_secs_f64() * 1e6 / EXCHANGES as f64).to_string());
    Ok(())
}

/// The role `checked`: prints its port, then answers every connection once and closes it. `/count` tells how many came.
pub(crate) fn checked() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let listener: TcpListener = socket.listen(4096)?;
        say(listener.local_addr()?.port().to_string());
        let mut count = 0;
        loop {
            let (mut stream, _) = listener.accept().await?;
            let mut head = [0; 1024];
            // One at a time will do: a check sends its request with its connection.
            let read = stream.read(&mut head).await.unwrap_or(0);
            if head[..read].starts_with(b"GET /count ") {
                let _ = stream.write_all(count.to_string().as_bytes()).await;
            } else if read > 0 {
                count += 1;
                let _ = stream.write_all(ANSWER).await;
            }
        }
    })
}
