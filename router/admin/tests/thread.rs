//! The thread of control and of the API: it starts, answers, and ends when it is asked to.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;
use crate::control::fixture::rig_at_rest;
use crate::journal::JournalFile;

fn ask(mut stream: impl Read + Write, call: &str) -> String {
    let request = format!("{call} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Starts a thread behind `bind`, asks it over `connect`, and ends it.
fn check<S: Read + Write>(bind: &str, connect: impl Fn(&str) -> S) {
    let (rig, run) = rig_at_rest(tempfile::tempdir().unwrap(), file(95, 5));
    let socket = Socket::bind(bind).unwrap();
    let (bound, door) = (socket.to_string(), socket.door());
    let (_phase, phase) = watch::channel(Phase::Serving);
    let admin = Admin::new(rig.control.clone(), phase, door);
    let running = start(socket, None, admin, run, watch::channel(false).1).unwrap();

    let answer = ask(connect(&bound), "GET /livez");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = ask(connect(&bound), "POST /api/v1/rollback");
    assert!(answer.contains("\"durable\":true"), "{answer}");
    assert_eq!(rig.published_ecs(), 0);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let end = rig.control.shutdown(Duration::from_secs(5));
    runtime.unwrap().block_on(end);
    running.join();
    assert!(
        JournalFile::open(&rig.state_dir()).is_ok(),
        "the state is free again"
    );
}

#[test]
fn over_tcp_it_answers_until_control_is_shut_down() {
    check("127.0.0.1:0", |bound| {
        std::net::TcpStream::connect(bound).unwrap()
    });
}

#[test]
fn over_a_unix_socket_it_answers_and_takes_its_file_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    check(&format!("unix:{}", path.display()), |_| {
        UnixStream::connect(&path).unwrap()
    });
    assert!(!path.exists());
}
