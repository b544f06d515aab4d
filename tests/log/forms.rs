//! Forms of a line: read as their readers do, checked against the published schema, the same in every zone.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::support::{File, Kanaria, Stub, get, request, sized, until, volley};

/// Checks one line against docs/access-log.schema.json.
#[track_caller]
pub(super) fn check_schema(line: &Value) {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let text = include_str!("../../docs/access-log.schema.json");
        let schema = serde_json::from_str(text).expect("the schema is JSON");
        jsonschema::validator_for(&schema).expect("it is a schema")
    });
    let errors: Vec<_> = schema
        .iter_errors(line)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?} in {line}");
}

/// The fields of an ALB's line, quotes taken away.
#[track_caller]
pub(super) fn alb(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line.strip_suffix('\n').expect("a line is whole");
    while !rest.is_empty() {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("quotes come in pairs"),
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        fields.push(field.to_owned());
        rest = behind.strip_prefix(' ').unwrap_or(behind);
    }
    assert_eq!(fields.len(), 34, "{line}");
    fields
}

/// A line of LTSV as an object of texts; what is not known is null.
#[track_caller]
pub(super) fn ltsv(line: &str) -> Value {
    let line = line.strip_suffix('\n').expect("a line is whole");
    let fields = line.split('\t').map(|field| {
        let (name, value) = field.split_once(':').expect("a field has a label");
        let value = match value {
            "-" => Value::Null,
            text => Value::from(text),
        };
        (name.to_owned(), value)
    });
    Value::Object(fields.collect())
}

fn log(path: &str, format: &str) -> String {
    format!("[[access_log]]\npath = \"{path}\"\nformat = \"{format}\"\n")
}

fn read(kanaria: &Kanaria, name: &str, n: usize) -> Vec<String> {
    until("the log is complete", || {
        let text = std::fs::read_to_string(kanaria.path(name)).ok()?;
        let lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        (lines.len() >= n && text.ends_with('\n')).then_some(lines)
    })
}

#[test]
fn an_alb_line_says_what_happened() {
    let ec2 = Stub::start("ec2");
    let old = "[[routes]]\nname = \"old\"\nmatch = { path = [\"/old\"] }\nredirect = { host = \"new.example.com\" }\n";
    let rewrite = "rewrite = { path = { regex = \"^/v1/(.*)$\", to = \"/$1\" } }";
    let file = File::single(&ec2)
        .before(old)
        .route(rewrite)
        .after(&log("access.alb", "alb"));
    let kanaria = Kanaria::start(&file);
    let trace =
        "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\nUser-Agent: a \"b\"\r\n";
    let mut client = kanaria.client();
    client.call(request("POST", "/v1/x?y=1", trace, "body"));
    client.call(get("/old", ""));
    // On another connection, whose line might come first.
    read(&kanaria, "access.alb", 2);
    kanaria.log_of(2);
    assert_eq!(kanaria.client().call("BAD\r\n\r\n").status, 400);
    let lines = read(&kanaria, "access.alb", 3);
    let json = kanaria.log_of(3);
    let fields = alb(&lines[0]);
    let port = kanaria.public.port();
    let expected = [
        (1, "http".to_owned()),
        (3, "app/kanaria/public".into()),
        (4, format!("127.0.0.1:{}", json[0]["client_port"])),
        (5, ec2.address.to_string()),
        (8, "0.000".into()),
        (9, "200".into()),
        (10, "200".into()),
        (11, json[0]["bytes_in"].to_string()),
        (12, json[0]["bytes_out"].to_string()),
        (
            13,
            format!("POST http://www.example.com:{port}/v1/x?y=1 HTTP/1.1"),
        ),
        (14, "a \\x22b\\x22".into()),
        (15, "-".into()),
        (17, "ec2".into()),
        (18, "Root=1-67891233-abcdef012345678912345678".into()),
        (21, "2".into()),
        (22, json[0]["time"].as_str().unwrap().into()),
        (23, "forward".into()),
        (26, ec2.address.to_string()),
        (27, "200".into()),
        (32, "/x?y=1".into()),
        (33, "TransformSuccess".into()),
        (34, "127.0.0.1".into()),
    ];
    for (number, value) in expected {
        assert_eq!(fields[number - 1], value, "field {number}");
    }
    for number in [6, 7] {
        let seconds: f64 = fields[number - 1].parse().unwrap();
        assert!((0.0..5.0).contains(&seconds), "field {number}: {seconds}");
    }
    let redirected = alb(&lines[1]);
    assert_eq!(redirected[20], "1");
    assert_eq!(
        redirected[22..24],
        ["redirect", "http://new.example.com/old"]
    );
    assert_eq!(redirected[5..8], ["-1", "-1", "-1"]);
    let bad = alb(&lines[2]);
    assert_eq!(
        (&*bad[8], &*bad[20], &*bad[24]),
        ("400", "-", "bad_request")
    );
}

/// Only values differ: names, their order, the form of times and numbers are the same.
#[test]
fn the_zone_of_the_machine_changes_no_byte_but_in_values() {
    let ec2 = Stub::start("ec2");
    let logs = log("access.alb", "alb") + &log("access.ltsv", "ltsv");
    let form = |line: &str| -> String {
        let digits = line
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c });
        let mut form: String = digits.collect();
        // Numbers have as many digits as they need.
        while form.contains("99") {
            form = form.replace("99", "9");
        }
        form
    };
    let shapes = ["Asia/Tokyo", "UTC"].map(|zone| {
        let folder = tempfile::tempdir().unwrap();
        let file = File::single(&ec2).after(&logs).text();
        std::fs::write(folder.path().join("kanaria.toml"), file).unwrap();
        let kanaria = Kanaria::start_there(folder, &[("TZ", zone)]);
        let fields =
            "X-Request-Id: r-1\r\nX-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\n";
        kanaria.client().call(get("/", fields));
        let names = ["access.json", "access.alb", "access.ltsv"];
        let lines = names.map(|name| read(&kanaria, name, 1).remove(0));
        let times = [
            serde_json::from_str::<Value>(&lines[0]).unwrap()["time"].clone(),
            alb(&lines[1])[1].clone().into(),
            alb(&lines[1])[21].clone().into(),
            ltsv(&lines[2])["time"].clone(),
        ];
        for time in times {
            let moment: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
            let age = jiff::Timestamp::now().duration_since(moment);
            assert!(age.as_secs().abs() < 60, "{zone}: {time}");
        }
        let digest = serde_json::from_str::<Value>(&lines[0]).unwrap()["config_digest"].clone();
        lines.map(|line| form(&line.replace(digest.as_str().unwrap(), "")))
    });
    assert_eq!(shapes[0], shapes[1]);
}

#[test]
fn each_partition_has_its_file_and_no_host_leads_out_of_the_folder() {
    let ec2 = Stub::start("ec2");
    let hosts = "[partitions.hosts]\n\"*.blogs.test\" = \"blogs\"\n\"cdn.test\" = \"images\"\n";
    let file = File::single(&ec2).after(&(log("logs/{partition}/a.json", "json") + hosts));
    let kanaria = Kanaria::start(&file);
    let hosts = [
        "a.blogs.test",
        "cdn.test",
        "other.test",
        "../../etc",
        "..",
        "x/../../blogs",
    ];
    let n = sized(60, 6000);
    for n in 0..n {
        // Some of these hosts are refused, which is a request all the same.
        let fields = format!("Host: {}\r\n", hosts[n % hosts.len()]);
        let _ = kanaria.client().try_call(get("/", &fields));
    }
    let part = n / hosts.len();
    for (name, n_lines) in [("blogs", part), ("images", part), ("main", part * 4)] {
        let lines = read(&kanaria, &format!("logs/{name}/a.json"), n_lines);
        assert_eq!(lines.len(), n_lines, "{name}");
        for line in lines {
            let line: Value = serde_json::from_str(&line).unwrap();
            let partition = line["partition"].as_str();
            assert!(partition.is_none_or(|it| it == name), "{line}");
        }
    }
    let folders = std::fs::read_dir(kanaria.path("logs")).unwrap();
    let folders: BTreeSet<_> = folders.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(folders, ["blogs", "images", "main"].map(Into::into).into());
}

#[test]
fn a_long_line_is_whole_in_a_file_and_warned_of_on_standard_output() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2).after(&log("stdout", "json")));
    kanaria.client().call(get("/short", ""));
    let (path, agent) = ("x".repeat(15_000), "y".repeat(14_000));
    let fields = format!("User-Agent: {agent}\r\n");
    kanaria.client().call(get(&format!("/{path}"), &fields));
    let lines = read(&kanaria, "access.json", 2);
    let line: Map<String, Value> = serde_json::from_str(&lines[1]).unwrap();
    println!("a line of {} bytes, more than 16384", lines[1].len());
    assert!(lines[1].len() > 16_384);
    assert_eq!(line["path"].as_str(), Some(&*format!("/{path}")));
    assert_eq!(line["user_agent"].as_str(), Some(&*agent));
    let long = || {
        kanaria
            .admin
            .metric("kanaria_access_log_long_lines_total", &["stdout"])
    };
    until("the long line is counted", || (long() > 0.0).then_some(()));
    assert_eq!(long(), 1.0);
    assert!(
        kanaria.stderr().contains("above 16 KiB"),
        "{}",
        kanaria.stderr()
    );
}

#[test]
fn every_line_of_served_and_refused_requests_is_as_the_schema_says() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::start("ecs"));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 50, ecs = 50"));
    volley(kanaria.public, 60, 4, |n| match n % 3 {
        0 => get("/a?b=c", "User-Agent: probe/1\r\n"),
        1 => request("POST", "/", "Referer: https://a.example/\r\n", "x"),
        _ => get("/", "Cookie: kanaria=AAAAAAAAAAAAAAAAAAAAAA\r\n"),
    });
    let _ = kanaria.client().try_call("BAD\r\n\r\n");
    ecs.die();
    volley(kanaria.public, 20, 2, |_| get("/", ""));
    kanaria.log_of(81).iter().for_each(check_schema);
}
