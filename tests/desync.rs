//! Requests that two readers could read differently: raw bytes against the running binary, in each mode.
//!
//! The cases are in `conformance/requests.txt`, whose first lines say how they are written. Whatever is served reaches the
//! target in one way to read it, or over a connection that nothing else uses.

mod mass;
mod readers;

use std::fmt::Write as _;

use serde_json::json;

use crate::support::http2::{Http2, ask};
use crate::support::{
    Answer, Client, File, Framing, Head, Kanaria, Seen, Stub, get, request, until,
};

const REQUESTS: &str = include_str!("conformance/requests.txt");

/// One line of the table.
struct Case<'a> {
    bytes: Vec<u8>,
    desync: Option<&'a str>,
    outcome: &'a str,
    seen: Vec<&'a str>,
}

/// What has to become of a case in one mode.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    Answered(u16),
    /// Whether the client's connection goes on, and whether the target's was its own.
    Served {
        kept: bool,
        alone: bool,
    },
}

impl<'a> Case<'a> {
    fn read(line: &'a str) -> Self {
        let (bytes, rest) = line.split_once(" => ").expect("bytes and an outcome");
        let (class, rest) = rest.split_once(' ').expect("a class and an outcome");
        let (outcome, seen) = rest.split_once(": ").unwrap_or((rest, ""));
        Self {
            bytes: bytes_of(bytes),
            desync: (class != "-").then_some(class),
            outcome,
            seen: seen.split("; ").filter(|part| !part.is_empty()).collect(),
        }
    }

    fn expect(&self, mode: &str) -> Expect {
        let served = |kept, alone| Expect::Served { kept, alone };
        match (self.outcome, self.outcome.parse()) {
            (_, Ok(status)) => Expect::Answered(status),
            _ if mode == "strictest" && self.desync.is_some() => Expect::Answered(400),
            ("pass", _) => served(true, false),
            ("pass-and-close", _) => served(false, false),
            ("alone", _) => served(mode == "monitor", true),
            ("close", _) => served(false, true),
            (outcome, _) => panic!("no outcome: {outcome}"),
        }
    }
}

/// The bytes that a line stands for.
fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '⏎' => bytes.extend(b"\r\n"),
            '\\' => bytes.push(match rest.next() {
                Some('r') => b'\r',
                Some('n') => b'\n',
                Some('t') => b'\t',
                Some('0') => 0,
                Some('\\') => b'\\',
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    u8::from_str_radix(&digits, 16).expect("two hex digits")
                }
                other => panic!("no escape: {other:?} in {text}"),
            }),
            letter => bytes.extend(letter.to_string().bytes()),
        }
    }
    bytes
}

/// A router in one mode, a target that tells which connection it was asked over, and what was found so far.
struct Bench {
    kanaria: Kanaria,
    ec2: Stub,
    /// Request ids, and what the log must say of each.
    told: Vec<(String, Option<String>)>,
    /// The connection to the target of each request that was served, and whether nothing else may come over it.
    used: Vec<(String, bool)>,
}

impl Bench {
    fn start(mode: &str) -> Self {
        let ec2 = Stub::with("ec2", |exchange| {
            let connection = format!("connection-number: {}\r\n", exchange.connection);
            exchange.answer("200 OK", &connection, b"done")
        });
        let file = File::single(&ec2).server(&format!("desync_mode = \"{mode}\""));
        Self {
            kanaria: Kanaria::start(&file),
            ec2,
            told: Vec::new(),
            used: Vec::new(),
        }
    }

    /// What is wrong with how `case` went in `mode`.
    fn run(&mut self, case: &Case<'_>, mode: &str) -> Result<(), String> {
        let n_seen = self.ec2.count();
        let mut client = self.kanaria.client();
        let answer = client
            .try_call(&case.bytes)
            .map_err(|error| format!("no answer: {error}"))?;
        let (status, kept, alone) = match case.expect(mode) {
            Expect::Answered(status) => (status, false, false),
            Expect::Served { kept, alone } => (200, kept, alone),
        };
        if answer.status != status {
            return Err(format!("answered {}", answer.status));
        }
        let reached = self.ec2.count() - n_seen;
        if reached != usize::from(status == 200) {
            return Err(format!("{reached} requests reached the target"));
        }
        let id = if status == 200 {
            judge(&self.ec2.last(), &case.seen)?;
            self.note(&answer, alone);
            self.ec2.last().head.get("x-request-id").map(str::to_owned)
        } else {
            answer.head.get("x-request-id").map(str::to_owned)
        };
        let id = id.ok_or("it has no id")?;
        self.told.push((id, case.desync.map(str::to_owned)));
        self.follow(client, kept)
    }

    fn note(&mut self, answer: &Answer, alone: bool) {
        let connection = answer.head.get("connection-number").unwrap();
        self.used.push((connection.to_owned(), alone));
    }

    /// Whether the connection of a case goes on as it must.
    fn follow(&mut self, mut client: Client, kept: bool) -> Result<(), String> {
        if !kept {
            let closed = client.wire.closed();
            return if closed {
                Ok(())
            } else {
                Err("the connection stayed open".into())
            };
        }
        let next = client.try_call(get("/next", ""));
        let next = next.map_err(|error| format!("the connection is gone: {error}"))?;
        let line = self.ec2.last().head.line;
        if next.status != 200 || line != "GET /next HTTP/1.1" {
            return Err(format!(
                "the next request was {line}, answered {}",
                next.status
            ));
        }
        self.note(&next, false);
        let id = self.ec2.last().head.get("x-request-id").unwrap().to_owned();
        self.told.push((id, None));
        Ok(())
    }

    /// What the log says otherwise than it must, and connections that were shared although they must not be.
    fn found_at_the_end(&self) -> String {
        let mut wrong = String::new();
        let log = self.kanaria.log_of(self.told.len());
        for (id, desync) in &self.told {
            let line = log.iter().find(|line| line["request_id"] == **id);
            let said = line.map(|line| line["desync"].as_str().map(str::to_owned));
            if said.as_ref() != Some(desync) {
                let _ = writeln!(wrong, "the log says {said:?}, not {desync:?}: {line:?}");
            }
        }
        for (connection, _) in self.used.iter().filter(|(_, alone)| *alone) {
            let n = self
                .used
                .iter()
                .filter(|(used, _)| used == connection)
                .count();
            if n != 1 {
                let _ = writeln!(wrong, "connection {connection} carried {n} requests");
            }
        }
        wrong
    }
}

/// What is wrong with what the target saw: it must have one meaning, and what the case says.
fn judge(seen: &Seen, wanted: &[&str]) -> Result<(), String> {
    let head = &seen.head;
    let folded = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let count = |wanted: &str| {
        head.fields
            .iter()
            .filter(|(name, _)| folded(name) == wanted)
            .count()
    };
    let framings = count("content-length") + count("transfer-encoding");
    let coding = head.get("transfer-encoding");
    let words = head.line.split(' ').count();
    if framings > 1
        || count("host") > 1
        || words != 3
        || coding.is_some_and(|it| !it.eq_ignore_ascii_case("chunked"))
    {
        return Err(format!("two ways to read it: {head:?}"));
    }
    if head.framing() == Framing::Absent && !seen.body.is_empty() {
        return Err("a body without framing".into());
    }
    let missing = wanted.iter().find(|part| !has(seen, part));
    missing.map_or(Ok(()), |part| {
        Err(format!(
            "not {part}: {head:?} {:?}",
            seen.body.escape_ascii()
        ))
    })
}

fn has(seen: &Seen, part: &str) -> bool {
    let has_field = |head: &Head, name: &str, value: &str| head.all(name).any(|it| it == value);
    if let Some(name) = part.strip_prefix("no ") {
        return seen.head.get(name).is_none();
    }
    if let Some(body) = part.strip_prefix("body ") {
        return seen.body == body.as_bytes();
    }
    match part.split_once(':') {
        Some((name, value)) if !name.contains(' ') => has_field(&seen.head, name, value.trim()),
        _ => seen.head.line == part,
    }
}

#[track_caller]
fn check(mode: &str) {
    let lines = REQUESTS
        .lines()
        .filter(|line| line.contains(" => ") && !line.starts_with('#'));
    let mut bench = Bench::start(mode);
    let (mut n_cases, mut wrong) = (0, String::new());
    for line in lines {
        n_cases += 1;
        if let Err(what) = bench.run(&Case::read(line), mode) {
            let _ = writeln!(wrong, "{line}\n    {what}");
        }
    }
    println!("{n_cases} raw requests in {mode}, bound 150");
    wrong += &bench.found_at_the_end();
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(n_cases >= 150);
    let told = bench.kanaria.admin.metric("kanaria_desync_total", &[]);
    let odd = REQUESTS
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(" => "))
        .filter(|line| Case::read(line).desync.is_some());
    assert_eq!(told as usize, odd.count(), "each is counted once");
}

#[test]
fn raw_requests_in_defensive_mode() {
    check("defensive");
}

#[test]
fn raw_requests_in_monitor_mode() {
    check("monitor");
}

#[test]
fn raw_requests_in_strictest_mode() {
    check("strictest");
}

#[test]
fn headers_with_other_names_are_passed_dropped_or_refused() {
    for (policy, status, seen) in [
        ("pass", 200, Some("y")),
        ("drop", 200, None),
        ("refuse", 400, None),
    ] {
        let ec2 = Stub::start("ec2");
        let file = File::single(&ec2).h2c();
        let kanaria = Kanaria::start(&file.server(&format!("invalid_headers = \"{policy}\"")));
        let answer = kanaria
            .client()
            .call(get("/", "X_Custom: y\r\nX.Dot: z\r\nX-Plain: p\r\n"));
        assert_eq!(answer.status, status, "{policy}");
        let client = Http2::connect(kanaria.public);
        let reply = client.call(
            ask("GET", "/")
                .header("x_custom", "y")
                .header("x-plain", "p"),
            b"",
        );
        assert_eq!(reply.status, status, "{policy}");
        for request in ec2.seen() {
            assert_eq!(request.head.get("x_custom"), seen, "{policy}");
            assert_eq!(request.head.get("x-plain"), Some("p"));
        }
        let told = || kanaria.admin.metric("kanaria_invalid_headers_total", &[]);
        until("both are counted", || (told() == 2.0).then_some(()));
    }
}

/// Servers that make variables of header names know no difference between `_` and `-`.
#[test]
fn no_client_writes_our_headers_with_an_underscore() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let fields = "X_Forwarded_For: 9.9.9.9\r\nX_FORWARDED-PROTO: https\r\nX-Blog_Domain-Partition: evil\r\n\
                  Kanaria_Pool: ecs\r\nX_Request_Id: mine\r\nX_Own: stays\r\n";
    assert_eq!(kanaria.client().call(get("/", fields)).status, 200);
    let head = ec2.last().head;
    let twins = head.fields.iter().filter(|(name, _)| name.contains('_'));
    let names: Vec<_> = twins.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x_own"]);
}

#[test]
fn pages_of_refused_requests_have_the_form_that_is_asked_for() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    for (n, (fields, kind)) in [
        ("Accept: application/json\r\n", "application/problem+json"),
        (
            "Accept: text/html, application/json;q=0.9\r\n",
            "text/html; charset=utf-8",
        ),
        ("", "text/html; charset=utf-8"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = kanaria
            .client()
            .call(get("/", &format!("{fields}Host: a b\r\n")));
        assert_eq!(answer.status, 400);
        assert_eq!(answer.head.get("content-type"), Some(kind));
        let id = answer.head.get("x-request-id").unwrap();
        assert!(answer.text().contains(id));
        assert_eq!(kanaria.log_of(n + 1)[n]["request_id"], id);
    }
}

#[test]
fn streams_of_http2_are_judged_by_the_same_rules() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).h2c());
    let client = Http2::connect(kanaria.public);
    assert_eq!(
        client
            .call(ask("GET", "/a").header("transfer_encoding", "chunked"), b"")
            .status,
        200
    );
    assert_eq!(ec2.last().head.get("transfer_encoding"), None);
    assert_eq!(client.call(ask("GET", "/b"), b"a body").status, 200);
    let chain = vec!["1.1.1.1"; 31].join(", ");
    assert_eq!(
        client
            .call(ask("GET", "/c").header("x-forwarded-for", chain), b"")
            .status,
        463
    );
    // Each stream is a task of its own, so their lines come in any order.
    let log = kanaria.log_of(3);
    let told = ["/a", "/b", "/c"].map(|path| {
        let line = log.iter().find(|line| line["path"] == path);
        let line = line.expect("a line of each");
        (line["desync"].as_str(), line["error"].as_str())
    });
    let body = "Ambiguous:UndefinedTransferEncodingSemantics";
    let header = (Some("Ambiguous:SuspiciousHeader"), None);
    let addresses = (None, Some("too_many_addresses"));
    assert_eq!(told, [header, (Some(body), None), addresses]);
}

#[test]
fn a_mode_is_changed_by_a_reload() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2);
    let kanaria = Kanaria::start(&file);
    let odd = || request("GET", "/", "", "a body");
    let mut client = kanaria.client();
    assert_eq!(client.call(odd()).status, 200);
    kanaria.rewrite(&file.server("desync_mode = \"strictest\"").text());
    kanaria.admin.post("/api/v1/reload", &json!({}));
    assert_eq!(kanaria.client().call(odd()).status, 400);
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
}
