//! systemd, as far as its protocols go: what it is told, and sockets that it opened.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{DEADLINE, File, Kanaria, Load, Stub, get, until};

/// A folder with a file in it, and a socket that hears what systemd would.
fn folder(file: &File) -> (TempDir, UnixDatagram) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kanaria.toml"), file.text()).unwrap();
    let heard = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    heard.set_read_timeout(Some(DEADLINE)).unwrap();
    (folder, heard)
}

fn start(file: &File) -> (Kanaria, UnixDatagram) {
    let (folder, heard) = folder(file);
    let path = folder.path().join("notify").display().to_string();
    let kanaria = Kanaria::start_there(folder, &[("NOTIFY_SOCKET", &path)]);
    (kanaria, heard)
}

/// The next message, as its lines.
#[track_caller]
fn next(heard: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 4096];
    let length = heard.recv(&mut buffer).expect("systemd is told something");
    let text = String::from_utf8_lossy(&buffer[..length]);
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn hears(heard: &UnixDatagram, lines: &[&str]) -> Vec<String> {
    let message = next(heard);
    for line in lines {
        assert!(
            message.iter().any(|own| own.starts_with(line)),
            "{line}: {message:?}"
        );
    }
    message
}

#[test]
fn ready_reloading_and_stopping_are_told_as_notify_reload_needs_them() {
    let ec2 = Stub::start("ec2");
    let (mut kanaria, heard) = start(&File::single(&ec2));
    hears(
        &heard,
        &[
            "READY=1",
            &format!("MAINPID={}", kanaria.id()),
            "STATUS=serving",
        ],
    );
    kanaria.signal(Signal::HUP);
    let reloading = hears(&heard, &["RELOADING=1", "MONOTONIC_USEC="]);
    let time = reloading
        .iter()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(time.unwrap().parse::<u64>().unwrap() > 0);
    hears(&heard, &["READY=1"]);
    kanaria.rewrite("version = 1\nnonsense = 1\n");
    kanaria.signal(Signal::HUP);
    hears(&heard, &["RELOADING=1"]);
    let ready = hears(
        &heard,
        &["READY=1", "STATUS=serving; the file on disk is refused"],
    );
    assert!(ready.iter().all(|line| !line.is_empty()));
    kanaria.signal(Signal::TERM);
    hears(&heard, &["STOPPING=1"]);
    assert_eq!(kanaria.wait().code(), Some(0));
}

#[test]
fn a_process_that_takes_over_becomes_the_main_one() {
    let ec2 = Stub::start("ec2");
    let (mut kanaria, heard) = start(&File::single(&ec2));
    hears(&heard, &["READY=1"]);
    let mut old = kanaria.upgrade();
    hears(&heard, &[&format!("MAINPID={}", kanaria.id())]);
    assert_eq!(old.wait().code(), Some(0));
    heard.set_nonblocking(true).unwrap();
    let more = heard.recv(&mut [0; 64]);
    assert!(
        more.is_err(),
        "the old one does not say that the service stops"
    );
}

#[test]
fn a_socket_that_systemd_opened_outlives_a_restart_and_refuses_nobody() {
    let ec2 = Stub::start("ec2");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (folder, _) = folder(&File::single(&ec2));
    let mut kanaria = Kanaria::start_activated(folder, &socket, "public");
    assert_eq!(kanaria.public, address);
    assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
    kanaria.signal(Signal::TERM);
    assert_eq!(kanaria.wait().code(), Some(0));
    // Nobody accepts now, and nobody is refused.
    let mut early = kanaria.client();
    early.wire.send(get("/", "")).unwrap();
    let load = Load::start(address, 2, 50);
    load.pass(0);
    let folder = kanaria.kill();
    let kanaria = Kanaria::start_activated(folder, &socket, "public");
    assert_eq!(early.answer(false).unwrap().text(), "ec2");
    load.pass(20);
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "{} requests over a restart, {failed} failed, bound 0",
        shots.len()
    );
    assert_eq!(failed, 0);
    drop(kanaria);
}

#[test]
fn a_socket_is_known_by_its_address_too_and_one_that_is_not_known_ends_the_start() {
    let ec2 = Stub::start("ec2");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let text = File::single(&ec2).text();
    let at = format!("name = \"public\"\nbind = \"{address}\"");
    let text = text.replace("name = \"public\"\nbind = \"127.0.0.1:0\"", &at);
    let (folder, _) = folder(&File::single(&ec2));
    fs::write(folder.path().join("kanaria.toml"), text).unwrap();
    let kanaria = Kanaria::start_activated(folder, &socket, "unknown");
    assert_eq!(kanaria.client().call(get("/", "")).text(), "ec2");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut lost = kanaria.spawn_activated(&other, "unknown");
    assert_eq!(lost.wait().code(), Some(1));
    until("it says why", || {
        kanaria
            .stderr()
            .contains("no listener has this name")
            .then_some(())
    });
}
