//! The demo before a stand-in for the router, on free ports.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;

/// Requests, about as many seconds times a thousand, after which nothing more is to be expected.
const PATIENCE: usize = 20_000;

fn free() -> Options {
    Options {
        rps: 1000,
        broken: None,
        break_after: 0,
        duration: None,
        port: 0,
        admin_port: 0,
        ec2_port: 0,
        ecs_port: 0,
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        admin: None,
        token: None,
        color: false,
        width: None,
        now: "2026-11-21T12:00:00Z".parse().unwrap(),
        called: "kanaria".into(),
    }
}

/// A terminal that can be read.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn stage(&self) -> Stage {
        Stage {
            out: Box::new(self.clone()),
            redraws: false,
            end: || {},
        }
    }
}

impl Write for Paper {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn model(file: &Path) -> config::model::Config {
    toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Answers each connection's requests by `answer`, which is given the head.
fn stand_in(bind: &str, answer: impl Fn(&str) -> String + Send + Sync + 'static) {
    let listener = TcpListener::bind(bind).unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                while let Some(head) = head(&mut stream) {
                    if stream.write_all(answer(&head).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn head(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn ok(fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_taken_port_is_named_with_the_option_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (options, whose, option) in [
        (Options { port, ..free() }, "the router", "--port"),
        (
            Options {
                admin_port: port,
                ..free()
            },
            "the admin API",
            "--admin-port",
        ),
        (
            Options {
                ec2_port: port,
                ..free()
            },
            "the environment ec2",
            "--ec2-port",
        ),
        (
            Options {
                ecs_port: port,
                ..free()
            },
            "the environment ecs",
            "--ecs-port",
        ),
    ] {
        let paper = Paper::default();
        let run = |_: &Path| panic!("nothing may start");
        let outcome = perform(&options, run, &surroundings(), paper.stage());
        assert_eq!(outcome.code, Code::Failed);
        let expected = format!(
            "kanaria: port {port} of {whose} is taken; choose another: {option} PORT (0 takes a free one)\n"
        );
        assert_eq!(outcome.err, expected);
        assert_eq!(paper.text(), "");
    }
}

#[test]
fn every_taken_port_is_told_at_once() {
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [first, second] = taken.each_ref().map(|one| one.local_addr().unwrap().port());
    let options = Options {
        ec2_port: first,
        ecs_port: second,
        ..free()
    };
    let outcome = perform(
        &options,
        |_| Code::Done,
        &surroundings(),
        Paper::default().stage(),
    );
    assert_eq!(outcome.err.lines().count(), 2);
}

#[test]
fn the_router_gets_a_file_as_an_operator_would_write_it() {
    let mut folder = None;
    let run = |file: &Path| {
        let config = model(file);
        let weights: Vec<_> = config.routes[0].weights.iter().collect();
        assert_eq!(weights, [("ec2", &95), ("ecs", &5)]);
        folder = file.parent().map(Path::to_owned);
        Code::Done
    };
    let outcome = perform(&free(), run, &surroundings(), Paper::default().stage());
    assert_eq!((outcome.code, outcome.err.as_str()), (Code::Done, ""));
    assert!(!folder.unwrap().exists(), "the folder is gone");
    assert_eq!(outcome.out, "ended; nothing is left behind\n");
}

/// Asks an environment of a running demo.
fn ask(target: &str) -> String {
    let mut stream = TcpStream::connect(target).unwrap();
    let head = format!(
        "GET /entry?a=1 HTTP/1.1\r\nHost: {target}\r\nkanaria-pool: x\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn environments_say_who_they_are_and_what_reached_them() {
    let run = |file: &Path| {
        for (name, pool) in model(file).pools.iter() {
            let Some([config::model::Target::Address(target)]) = pool.targets.as_deref() else {
                panic!("an address");
            };
            let answer = ask(target);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            for part in [
                &format!("x-environment: {name}\r\n"),
                "hostname: ",
                "GET /entry?a=1\n",
                "kanaria-pool: x\n",
            ] {
                assert!(answer.contains(part), "{part} in {answer}");
            }
        }
        Code::Done
    };
    perform(&free(), run, &surroundings(), Paper::default().stage());
}

/// A router whose every second new user goes to ecs, and stays there by the cookie.
fn stand_in_router(file: &Path, asked: std::sync::mpsc::Sender<String>) {
    let config = model(file);
    stand_in(&config.admin.bind, |_| {
        let route = r#"{"weights":{"ec2":1,"ecs":1},"state":"rolled_back"}"#;
        ok("", route)
    });
    let n_new = std::sync::atomic::AtomicUsize::new(0);
    stand_in(&config.listeners[0].bind, move |head| {
        let known = head
            .lines()
            .find_map(|line| line.strip_prefix("cookie: kanaria="));
        let new = || ["ec2", "ecs"][n_new.fetch_add(1, Ordering::Relaxed) % 2];
        let side = known.unwrap_or_else(new);
        // The test may be over.
        let _ = asked.send(head.to_owned());
        ok(
            &format!("x-environment: {side}\r\nset-cookie: kanaria={side}; Path=/\r\n"),
            "x",
        )
    });
}

#[test]
fn users_keep_their_cookies_and_the_board_counts_them() {
    let paper = Paper::default();
    let read = paper.clone();
    let run = move |file: &Path| {
        let (told, asked) = std::sync::mpsc::channel();
        stand_in_router(file, told);
        let heads: Vec<String> = asked.iter().take(3 * USERS).collect();
        let with_cookie = heads
            .iter()
            .filter(|head| head.contains("\r\ncookie: kanaria=ec"))
            .count();
        // In whatever order they come: each once without a cookie, then with the one it got.
        assert_eq!(heads.len() - with_cookie, USERS);
        let shown = || read.text().contains("users on ecs 50 of 100");
        assert!(asked.iter().take(PATIENCE).any(|_| shown()));
        Code::Done
    };
    let options = Options {
        broken: Some(Side::Ecs),
        ..free()
    };
    let outcome = perform(&options, run, &surroundings(), paper.stage());
    assert_eq!(outcome.code, Code::Done);
    let text = paper.text();
    assert!(text.contains("asked of ecs 50.00 %"), "{text}");
    assert!(text.contains("ecs is broken now: it answers 500"), "{text}");
    assert!(text.contains("rollback --reason"), "{text}");
    assert!(text.contains("resume demo"), "{text}");
}

#[test]
fn a_broken_environment_answers_500() {
    let run = |file: &Path| {
        let (told, asked) = std::sync::mpsc::channel();
        stand_in_router(file, told);
        let pools = model(file).pools;
        let address = |pool: &str| match pools.get(pool).unwrap().targets.as_deref() {
            Some([config::model::Target::Address(target)]) => target.clone(),
            _ => panic!("an address"),
        };
        let breaks = || ask(&address("ecs")).starts_with("HTTP/1.1 500 ");
        assert!(asked.iter().take(PATIENCE).any(|_| breaks()));
        assert!(ask(&address("ec2")).starts_with("HTTP/1.1 200 "));
        Code::Done
    };
    let options = Options {
        broken: Some(Side::Ecs),
        ..free()
    };
    let outcome = perform(&options, run, &surroundings(), Paper::default().stage());
    assert_eq!(outcome.code, Code::Done);
}

#[test]
fn the_greeting_prints_commands_that_work_as_typed() {
    let ports = Ports {
        public: 8080,
        admin: 9900,
        ec2: 3001,
        ecs: 3002,
    };
    insta::assert_snapshot!(board::greeting(&free(), &ports, "target/release/kanaria"));
    let ports = Ports {
        admin: 9901,
        ..ports
    };
    let text = board::greeting(&free(), &ports, "kanaria");
    assert!(
        text.contains("kanaria --admin http://127.0.0.1:9901 rollback"),
        "{text}"
    );
}
