//! Scripted clients that log in at one pool and out at the other.

use std::fs;
use std::path::Path;

use crate::cookies::paste;
use crate::support::{After, Exchange, File, Kanaria, Outcome, Stub};

/// A site that is logged in by the first `sess` it gets, whoever set it: both environments read the other's.
fn site(name: &'static str, attributes: &'static str) -> Stub {
    Stub::with(name, move |exchange| answer(exchange, attributes))
}

/// What it answers; its cookie has `attributes`.
pub(crate) fn answer(exchange: &mut Exchange<'_>, attributes: &str) -> std::io::Result<After> {
    let set = |cookie: &str| format!("Location: /mypage\r\nSet-Cookie: {cookie}\r\n");
    match exchange.path() {
        "/login" => {
            let form = String::from_utf8(exchange.body()?).unwrap_or_default();
            if form != "password=audit&user=audit" {
                return exchange.answer("403 Forbidden", "", b"who are you?");
            }
            let fields = set(&format!("sess=live{attributes}; Path=/; HttpOnly"));
            exchange.answer("303 See Other", &fields, b"")
        }
        "/logout" => {
            let fields = set(&format!("sess={attributes}; Path=/; Max-Age=0"));
            exchange.answer("303 See Other", &fields, b"")
        }
        _ => {
            let cookies = exchange.head.get("cookie").unwrap_or_default().to_owned();
            let first = cookies.split("; ").find_map(|it| it.strip_prefix("sess="));
            let body = match first {
                Some("live") => "you are logged in",
                _ => "please log in",
            };
            exchange.answer("200 OK", "", body.as_bytes())
        }
    }
}

const FLAGS: &str = "[[routes.flags]]\nname = \"old\"\nheader = \"X-Pool\"\nvalue = \"old\"\npool = \"ec2\"\n\
                     [[routes.flags]]\nname = \"new\"\ncookie = \"pool\"\nvalue = \"new\"\npool = \"ecs\"\n";

fn start(ec2: &Stub, ecs: &Stub) -> Kanaria {
    Kanaria::start(&File::split(ec2, ecs, "ec2 = 1, ecs = 0").route(FLAGS))
}

/// Plays `scenario`, a file of this repository or of the router's folder.
fn play(kanaria: &Kanaria, scenario: &str) -> Outcome {
    let url = format!("http://{}", kanaria.public);
    kanaria.run(&[
        "audit", "session", scenario, "--route", "web", "--url", &url,
    ])
}

fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gree-session.toml");
    path.display().to_string()
}

/// What was missing before users could not log out: it fails on the pair that they met, and passes with the rule.
#[test]
fn field_gree_25() {
    let (ec2, ecs) = (site("ec2", "; Domain=example.com"), site("ecs", ""));
    let kanaria = start(&ec2, &ecs);
    let outcome = play(&kanaria, &shipped());
    println!("{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains(
            "step 4 `the new side has forgotten it` failed at ecs: the answer still has `you are logged in`; \
             the jar has `sess` for the domain example.com under / (set by ec2 in step 1)"
        ),
        "{outcome:?}"
    );
    let cookies = kanaria.admin.get("/api/v1/routes/web/cookies");
    assert_eq!(cookies["findings"][0]["what"], "undeletable");
    // Both sides have set their cookie once a client has logged in at either.
    for pool in ["old", "new"] {
        let fields = format!("X-Pool: {pool}\r\nCookie: pool={pool}\r\n");
        let body = "password=audit&user=audit";
        let login = crate::support::request("POST", "/login", &fields, body);
        assert_eq!(kanaria.client().call(login).status, 303);
    }
    let cookies = kanaria.admin.get("/api/v1/routes/web/cookies");
    let finding = &cookies["findings"][0];
    assert_eq!(finding["what"], "scope");
    paste(&kanaria, finding["rule"].as_str().unwrap());
    let outcome = play(&kanaria, &shipped());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("every step came out as it must"));
    assert!(!outcome.stdout.contains("live"), "no value is shown");
}

#[test]
fn a_pair_that_does_alike_passes() {
    let (ec2, ecs) = (site("ec2", ""), site("ecs", ""));
    let kanaria = start(&ec2, &ecs);
    let outcome = play(&kanaria, &shipped());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let logins = |stub: &Stub| {
        stub.seen()
            .iter()
            .filter(|seen| seen.head.line.contains("/login"))
            .count()
    };
    assert_eq!((logins(&ec2), logins(&ecs)), (2, 2));
}

#[test]
fn what_cannot_be_played_is_said_with_its_place() {
    let (ec2, ecs) = (site("ec2", ""), site("ecs", ""));
    let kanaria = start(&ec2, &ecs);
    let text = "url = \"http://127.0.0.1:1\"\n[[steps]]\nname = \"a\"\npool = \"gcp\"\nrequest = \"GET\"\n";
    fs::write(kanaria.path("bad.toml"), text).unwrap();
    let outcome = play(&kanaria, "bad.toml");
    assert_eq!(outcome.code, Some(78), "{outcome:?}");
    for expected in [
        "bad.toml:4:8: pool `gcp`: no flag of the route leads to it; those that do lead to ec2, ecs",
        "bad.toml:5:11: request \"GET\" is not a method and a path",
    ] {
        assert!(outcome.stderr.contains(expected), "{outcome:?}");
    }
    assert_eq!(play(&kanaria, "missing.toml").code, Some(78));
    let text = text.replace("gcp", "ec2").replace("\"GET\"", "\"GET /\"");
    fs::write(kanaria.path("deaf.toml"), &text).unwrap();
    let deaf = ["audit", "session", "deaf.toml", "--route", "web"];
    let outcome = kanaria.run(&deaf);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("step 1 `a`"), "{outcome:?}");
    assert_eq!(
        kanaria
            .run(&["audit", "session", "deaf.toml", "--route", "x"])
            .code,
        Some(1)
    );
    // A router that has other flags in force than the file says.
    let file = fs::read_to_string(kanaria.path("kanaria.toml")).unwrap();
    kanaria.rewrite(&file.replace("value = \"old\"", "value = \"older\""));
    let outcome = play(&kanaria, "deaf.toml");
    assert!(
        outcome
            .stderr
            .contains("the router did not take the flag `old`"),
        "{outcome:?}"
    );
}
