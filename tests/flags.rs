//! Signed flags and their pictures: who sees the other pool before everybody does, and knows it.

use std::fs;

use serde_json::json;

use crate::support::{File, Kanaria, Stub, get, request};

const FLAG: &str = r#"
flags = [{ name = "staff", cookie = "preview", signed = true, pool = "ecs", favicon = "flag.png" }]"#;
const PICTURE: &[u8] = b"\x89PNG not really";

fn start(ec2: &Stub, ecs: &Stub, weights: &str) -> Kanaria {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flag.png"), PICTURE).unwrap();
    Kanaria::start_in(folder, &File::split(ec2, ecs, weights).route(FLAG))
}

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

fn mint(kanaria: &Kanaria, expires: &str) -> String {
    let line = [
        "flag",
        "mint",
        "--route",
        "web",
        "--flag",
        "staff",
        "--expires",
        expires,
    ];
    let minted = kanaria.run_json(&line);
    assert_eq!(
        (&minted["cookie"], &minted["pool"]),
        (&json!("preview"), &json!("ecs"))
    );
    minted["value"].as_str().unwrap().to_owned()
}

#[test]
fn field_hatena_20_a_signed_flag_shows_its_pool_and_its_picture_at_any_weight() {
    let (ec2, ecs) = pair();
    let kanaria = start(&ec2, &ecs, "ec2 = 100, ecs = 0");
    let cookie = format!("Cookie: preview={}\r\n", mint(&kanaria, "8h"));
    let mut client = kanaria.client();
    for weight in [0, 50, 100] {
        kanaria.admin.set_web(100 - weight, weight);
        let answer = client.call(get("/", &cookie));
        assert_eq!(answer.stub(), "ecs", "at {weight} %");
        assert_eq!(
            answer.head.get("kanaria-decision"),
            Some("route=web; pool=ecs; reason=flag")
        );
        let icon = client.call(get("/favicon.ico", &cookie));
        assert_eq!((icon.status, icon.body.as_slice()), (200, PICTURE));
        assert_eq!(icon.head.get("content-type"), Some("image/png"));
        assert_eq!(icon.head.get("cache-control"), Some("no-store"));
    }
    kanaria.admin.set_web(100, 0);
    let n_asked = ec2.count();
    let answer = client.call(get("/favicon.ico", ""));
    assert_eq!(
        (answer.stub(), answer.head.get("kanaria-decision")),
        ("ec2", None)
    );
    assert_eq!(
        ec2.count(),
        n_asked + 1,
        "everybody else gets the application's"
    );
    let posted = client.call(request("POST", "/favicon.ico", &cookie, "x"));
    assert_eq!(posted.stub(), "ecs", "only what shows a picture gets one");
}

#[test]
fn a_value_that_has_expired_is_ignored_and_cleared() {
    let (ec2, ecs) = pair();
    let kanaria = start(&ec2, &ecs, "ec2 = 100, ecs = 0");
    let value = mint(&kanaria, "1s");
    let cookie = format!("Cookie: preview={value}\r\n");
    let mut client = kanaria.client();
    let answer = crate::support::until("the value expires", || {
        let answer = client.call(get("/", &cookie));
        (answer.stub() == "ec2").then_some(answer)
    });
    let cleared = "preview=; Path=/; Max-Age=0";
    assert!(answer.head.all("set-cookie").any(|line| line == cleared));
    let forged = client.call(get(
        "/",
        "Cookie: preview=7fffffff.AAAAAAAAAAAAAAAAAAAAAA\r\n",
    ));
    assert_eq!(forged.stub(), "ec2");
    assert!(forged.head.all("set-cookie").all(|line| line != cleared));
}

#[test]
fn what_cannot_be_minted_is_refused() {
    let (ec2, ecs) = pair();
    let kanaria = start(&ec2, &ecs, "ec2 = 100, ecs = 0");
    for (route, flag, expires, message) in [
        (
            "webb",
            "staff",
            "8h",
            "route `webb` does not exist; routes are web",
        ),
        (
            "web",
            "none",
            "8h",
            "route `web` has no signed flag called `none`",
        ),
        ("web", "staff", "8", "is not a duration"),
        ("web", "staff", "0s", "must be from 1s to 90d, not 0s"),
        ("web", "staff", "91d", "must be from 1s to 90d, not 91d"),
    ] {
        let line = [
            "flag",
            "mint",
            "--route",
            route,
            "--flag",
            flag,
            "--expires",
            expires,
        ];
        let outcome = kanaria.run(&line);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    }
}

#[test]
fn a_picture_that_vanished_is_refused_and_the_last_one_stays() {
    let (ec2, ecs) = pair();
    let kanaria = start(&ec2, &ecs, "ec2 = 100, ecs = 0");
    let cookie = format!("Cookie: preview={}\r\n", mint(&kanaria, "8h"));
    fs::remove_file(kanaria.path("flag.png")).unwrap();
    let outcome = kanaria.run(&["reload"]);
    assert_ne!(outcome.code, Some(0));
    assert!(
        outcome.stderr.contains("there is no such file"),
        "{}",
        outcome.stderr
    );
    let icon = kanaria.client().call(get("/favicon.ico", &cookie));
    assert_eq!(icon.body, PICTURE);
}
