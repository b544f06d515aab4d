//! An ALB's conditions and actions, and ours beside them, case by case against the running binary.
//!
//! The cases are in `conformance/*.txt`, whose first lines say how they are written; all of a file go to one router, in
//! order, so that each has its line in the log.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;

use crate::support::{Answer, Client, Exchange, Kanaria, Stub};

const CONDITIONS: &str = include_str!("conformance/conditions.txt");
const ACTIONS: &str = include_str!("conformance/actions.txt");

/// One line of a table.
struct Case<'a> {
    line: &'a str,
    group: &'a str,
    request: String,
    expect: &'a str,
}

/// A table: its routes by group, and its cases.
struct Table<'a> {
    routes: Vec<(&'a str, &'a str, &'a str)>,
    cases: Vec<Case<'a>>,
}

impl<'a> Table<'a> {
    fn read(text: &'a str) -> Self {
        let (mut routes, mut cases) = (Vec::new(), Vec::new());
        let mut group = "";
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for line in lines.filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix("group ") {
                group = name;
            } else if let Some(route) = line.strip_prefix("route ") {
                let (name, keys) = route.split_once(": ").expect("NAME: KEYS");
                routes.push((group, name, keys));
            } else {
                cases.push(Case::read(group, line));
            }
        }
        Self { routes, cases }
    }
}

impl<'a> Case<'a> {
    fn read(group: &'a str, line: &'a str) -> Self {
        let (sent, expect) = line.split_once("=> ").expect("a request and an answer");
        let mut parts = sent.split(" | ").map(str::trim);
        let start = parts.next().expect("METHOD TARGET");
        let fields: Vec<_> = parts.collect();
        let mut request = format!("{start} HTTP/1.1\r\n");
        if !fields.iter().any(|field| field.starts_with("Host:")) {
            let _ = write!(request, "Host: {group}.test\r\n");
        }
        for field in fields {
            let _ = write!(request, "{field}\r\n");
        }
        request.push_str("\r\n");
        Self {
            line,
            group: group.trim_start_matches('-'),
            request,
            expect,
        }
    }
}

/// `keys` with the host of `group` as a condition, unless the group has none of its own.
fn with_host(group: &str, keys: &str) -> String {
    if group.starts_with('-') {
        return keys.to_owned();
    }
    match keys.strip_prefix("match = {") {
        Some(rest) => format!("match = {{ host = \"{group}.test\",{rest}"),
        None => format!("match = {{ host = \"{group}.test\" }}, {keys}"),
    }
}

#[track_caller]
fn start(pools: &str, routes: &[String]) -> Kanaria {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "version = 1\nroutes = [\n{}\n]\n[admin]\nbind = \"127.0.0.1:0\"\n[[listeners]]\nname = \"public\"\nbind = \"127.0.0.1:0\"\n\
         [partitions.hosts]\n\"*.blog.test\" = \"blogs\"\n\"cdn.image.test\" = \"images\"\n\"pics.image.test\" = \"pictures\"\n\
         [[access_log]]\npath = \"access.json\"\non_full = \"block\"\n{pools}",
        routes.join(",\n")
    );
    fs::write(folder.path().join("kanaria.toml"), text).expect("the folder is ours");
    Kanaria::start_there(folder, &[])
}

#[test]
fn field_stores_11_conditions() {
    let table = Table::read(CONDITIONS);
    let routes = table.routes.iter().map(|(group, name, keys)| {
        let matches = with_host(group, &format!("match = {{ {keys} }}"));
        let group = group.trim_start_matches('-');
        format!("{{ name = \"{group}.{name}\", {matches}, respond = {{ status = 200, body = \"{name}\" }} }}")
    });
    let kanaria = start("", &routes.collect::<Vec<_>>());
    let mut client = kanaria.client();
    let mut wrong = String::new();
    for case in &table.cases {
        let answer = client.call(&case.request);
        let taken = match (answer.status, case.request.starts_with("HEAD ")) {
            (404, _) => "404".to_owned(),
            // The length is all that a HEAD tells of the name.
            (200, true) if is_length(&answer, case.expect) => case.expect.to_owned(),
            (200, _) => answer.text(),
            (status, _) => status.to_string(),
        };
        if taken != case.expect {
            let _ = writeln!(wrong, "{}   but was {taken}", case.line);
        }
    }
    println!("{} cases of conditions, bound 150", table.cases.len());
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(table.cases.len() >= 150);
    for (line, case) in kanaria.log_of(table.cases.len()).iter().zip(&table.cases) {
        let expect = match case.expect {
            "400" | "404" => serde_json::Value::Null,
            name => format!("{}.{name}", case.group).into(),
        };
        assert_eq!(line["route"], expect, "{}", case.line);
    }
}

fn is_length(answer: &Answer, name: &str) -> bool {
    answer.head.get("content-length") == Some(&*name.len().to_string())
}

fn environment(name: &'static str) -> Stub {
    Stub::with(name, |exchange: &mut Exchange<'_>| {
        let fields = match exchange.head.get("host") {
            Some("cookies.test") => "set-cookie: sess=s; Path=/; HttpOnly\r\n",
            _ => "x-target: t\r\n",
        };
        exchange.answer("200 OK", fields, b"")
    })
}

#[test]
fn field_stores_11_actions() {
    let table = Table::read(ACTIONS);
    let stubs = [environment("ec2"), environment("ecs"), environment("ruled")];
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = free.local_addr().expect("bound above");
    drop(free);
    let pools = format!(
        r#"
[pools.ec2]
targets = ["{}"]
[pools.ecs]
targets = ["{}"]
[pools.none]
targets = ["{nobody}"]
headers = {{ response = {{ set = {{ X-Pool = "yes" }} }} }}
[pools.ruled]
targets = ["{}"]
headers = {{ request = {{ set = {{ X-By = "pool", X-Pool = "yes" }} }}, response = {{ set = {{ X-By = "pool", X-Pool = "yes" }} }} }}
[pools.ruled.cookies]
request = {{ drop = ["t"], rename = {{ sess2 = "sess" }} }}
response = {{ rename = {{ sess = "sess2" }} }}
expire = [{{ name = "sess", domains = ["", "cookies.test"] }}]
"#,
        stubs[0].address, stubs[1].address, stubs[2].address
    );
    let routes = table.routes.iter().map(|(group, name, keys)| {
        format!(
            "{{ name = \"{group}.{name}\", {} }}",
            with_host(group, keys)
        )
    });
    let kanaria = start(&pools, &routes.collect::<Vec<_>>());
    let mut wrong = String::new();
    for case in &table.cases {
        // Errors of ours end their connection.
        for fault in judge(case, &mut kanaria.client(), &stubs) {
            let _ = writeln!(wrong, "{}   but {fault}", case.line);
        }
    }
    println!("{} cases of actions", table.cases.len());
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(kanaria.log_of(table.cases.len()).len(), table.cases.len());
}

/// What is not as the case wants it.
fn judge(case: &Case<'_>, client: &mut Client, stubs: &[Stub]) -> Vec<String> {
    let before: usize = stubs.iter().map(Stub::count).sum();
    let answer = client.call(&case.request);
    let after: usize = stubs.iter().map(Stub::count).sum();
    let mut parts = case.expect.split(" | ").map(str::trim);
    let outcome = parts.next().expect("an outcome");
    let (first, rest) = outcome.split_once(' ').unwrap_or((outcome, ""));
    let stub = stubs.iter().find(|stub| stub.name == first);
    let got = match (stub, answer.stub()) {
        (Some(stub), name) if name == first => {
            let line = stub.last().head.line;
            format!("{first} {}", line.trim_end_matches(" HTTP/1.1"))
        }
        (_, name) if !name.is_empty() => format!("a target of {name}"),
        _ => {
            let location = answer.head.get("location").unwrap_or_default();
            format!("{} {location}", answer.status)
                .trim_end()
                .to_owned()
        }
    };
    let mut faults = Vec::new();
    let wanted = format!("{first} {rest}").trim_end().to_owned();
    if got != wanted || after - before != usize::from(stub.is_some()) {
        faults.push(format!("was {got}"));
        return faults;
    }
    for part in parts {
        let (head, field) = match (part.strip_prefix("< "), stub) {
            (Some(field), _) => (answer.head.clone(), field),
            (None, Some(stub)) => (stub.last().head, part),
            (None, None) => panic!("no target, so it got no field: {}", case.line),
        };
        let found = |name: &str| head.all(name).collect::<Vec<_>>().join(", ");
        let as_wanted = match field.strip_prefix('-') {
            Some(name) => head.get(name).is_none(),
            None => {
                let (name, value) = field.split_once(": ").expect("NAME: VALUE");
                found(name) == value
            }
        };
        if !as_wanted {
            let name = field.trim_start_matches('-').split(": ").next();
            let name = name.unwrap_or_default();
            faults.push(format!("{name} was {:?}", found(name)));
        }
    }
    faults
}
