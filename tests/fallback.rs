//! An answer of 404 in whose place another pool is asked.

use crate::support::http2::{Http2, ask};
use crate::support::{File, Kanaria, Stub, get, request, until};

/// A target that has `/PATH` for each of these paths, and says so by its name.
fn having(name: &'static str, paths: &'static [&'static str]) -> Stub {
    Stub::with(name, move |exchange| {
        exchange.body()?;
        if paths.contains(&exchange.path()) {
            return exchange.plain();
        }
        let page = format!("not at {name}");
        exchange.answer("404 Not Found", "", page.as_bytes())
    })
}

/// Everybody is on `ec2`, and `ecs` is asked on 404.
fn start() -> (Stub, Stub, Kanaria) {
    let ec2 = having("ec2", &["/old", "/both"]);
    let ecs = having("ecs", &["/new", "/both"]);
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route("fallback = [\"ecs\"]");
    let kanaria = Kanaria::start(&file.h2c());
    (ec2, ecs, kanaria)
}

#[test]
fn what_one_pool_has_not_is_asked_of_the_next_and_the_last_answer_counts() {
    let (ec2, ecs, kanaria) = start();
    let mut client = kanaria.client();
    for (method, path, status, stub, reached) in [
        ("GET", "/both", 200, "ec2", (1, 0)),
        ("GET", "/new", 200, "ecs", (1, 1)),
        ("HEAD", "/new", 200, "ecs", (1, 1)),
        ("GET", "/none", 404, "ecs", (1, 1)),
        ("POST", "/new", 404, "ec2", (1, 0)),
        ("DELETE", "/new", 404, "ec2", (1, 0)),
    ] {
        let before = (ec2.count(), ecs.count());
        client.wire.send(request(method, path, "", "")).unwrap();
        let answer = client.answer(method == "HEAD").unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(!answer.closes(), "{method} {path}");
        if status == 404 {
            assert_eq!(answer.text(), format!("not at {stub}"), "{method} {path}");
        } else {
            assert_eq!(answer.stub(), stub, "{method} {path}");
        }
        let after = (ec2.count() - before.0, ecs.count() - before.1);
        assert_eq!(after, reached, "{method} {path}");
    }
}

#[test]
fn it_is_told_as_what_it_is_and_nobody_is_charged() {
    let (_ec2, ecs, kanaria) = start();
    assert_eq!(kanaria.client().call(get("/new", "")).status, 200);
    let head = ecs.last().head;
    let told = (head.get("kanaria-pool"), head.get("kanaria-reason"));
    assert_eq!(told, (Some("ecs"), Some("fallback")));
    let line = &kanaria.log_of(1)[0];
    let told = ["pool", "reason", "switched_from", "error"].map(|key| line[key].as_str());
    assert_eq!(told, [Some("ecs"), Some("fallback"), Some("ec2"), None]);
    assert_eq!(
        (&line["status"], &line["attempts"]),
        (&200.into(), &2.into())
    );
    let switched = |cause: &str| {
        let cause = format!("cause=\"{cause}\"");
        kanaria
            .admin
            .metric("kanaria_pool_switches_total", &[&cause])
    };
    assert_eq!((switched("fallback"), switched("failover")), (1.0, 0.0));
    let explained = kanaria.run(&["explain", "GET", "http://www.example.com/new"]);
    assert!(explained.stdout.contains("on 404"), "{explained:?}");
}

#[test]
fn a_pool_that_is_down_is_not_asked_and_the_404_is_passed_on() {
    let (_ec2, ecs, kanaria) = start();
    ecs.die();
    // The first one meets the connect that is refused, which takes the target out.
    until("the dead pool is known", || {
        (kanaria.client().call(get("/new", "")).status == 404).then_some(())
    });
    let answer = kanaria.client().call(get("/new", ""));
    assert_eq!((answer.status, answer.text().as_str()), (404, "not at ec2"));
}

#[test]
fn streams_fall_back_too() {
    let (_ec2, _ecs, kanaria) = start();
    let client = Http2::connect(kanaria.public);
    for (path, status, text) in [("/new", 200, "ecs"), ("/none", 404, "not at ecs")] {
        let reply = client.call(ask("GET", path), b"");
        assert_eq!((reply.status, reply.text().as_str()), (status, text));
    }
}
