//! What an operator reads.

use super::*;
use crate::testing::{Sent, cookie_in, snapshot};

const SITE: &str = r#"
[[routes]]
name = "api"
match = { path = "/api/*", method = "POST" }
stable = "ec2"
[[routes]]
name = "web"
match = { partition = "blogs" }
stable = "ec2"
weights = { ec2 = 95, ecs = 5 }
sticky.keys = ["header:X-User"]
flags = [
    { name = "staff", cookie = "flag", value = "on", pool = "ecs" },
    { name = "test", header = "X-Canary", value = "1", pool = "eks" },
]
"#;

fn told(request: &str) -> String {
    let snapshot = snapshot(SITE);
    let known = cookie_in(&snapshot, |bucket| bucket == 123);
    let sent = Sent::read(&request.replace("KNOWN", &known));
    let explanation = explain(&snapshot, &sent.facts());
    let steps = explanation
        .steps
        .iter()
        .map(|step| format!("{}: {}\n", step.name, step.text));
    let decision = serde_json::to_string(&explanation.decision).unwrap();
    format!("{}{decision}", steps.collect::<String>())
}

#[test]
fn a_known_client_by_weight() {
    insta::assert_snapshot!(told("GET A.Blogs.example:80/\ncookie: kanaria=KNOWN"));
}

#[test]
fn a_new_client_with_a_flag() {
    insta::assert_snapshot!(told("GET a.blogs.example/\nx-canary: 1\n@id 5"));
}

#[test]
fn a_canary_with_a_cap() {
    let site = "[[routes]]\nname = 'web'\nstable = 'ec2'\nweights = { ec2 = 0, ecs = 1 }\ncap = { max_rps = 50, max_concurrent = 8 }";
    let snapshot = snapshot(site);
    let explanation = explain(&snapshot, &Sent::read("GET a.example/").facts());
    let last = explanation.steps.last().unwrap();
    assert_eq!(
        (last.name, last.text.as_str()),
        (
            "cap",
            "`ecs` gets at most 50 requests a second and 8 at a time from this router; \
             what is over goes to `ec2` with reason `cap`"
        )
    );
}

#[test]
fn a_client_known_by_a_key() {
    insta::assert_snapshot!(told(
        "GET a/\nx-blog-domain-partition: blogs\n@trusted\nx-user: 1\ncookie: kanaria=x"
    ));
}

#[test]
fn a_request_that_no_route_takes() {
    insta::assert_snapshot!(told("POST a.example/api"));
}

#[test]
fn a_path_that_is_compared_in_another_form_or_refused() {
    let snapshot = snapshot(
        "[[routes]]\nname = 'kept'\nmatch = { path = '/admin/*' }\nrespond = { status = 403 }\n[[routes]]\nname = 'web'\nstable = 'ec2'\n",
    );
    let told = |request| {
        let explanation = explain(&snapshot, &Sent::read(request).facts());
        let steps = explanation.steps.into_iter().skip(2);
        steps.map(|step| step.text).collect::<Vec<_>>()
    };
    assert_eq!(
        told("GET a/x/%2e./admin/x")[..2],
        [
            "the path `/x/%2e./admin/x` is compared as `/admin/x`",
            "`kept` matches: `path`"
        ]
    );
    assert_eq!(
        told("GET a/admin%2fx"),
        [
            "the path `/admin%2fx` is compared as `/admin%2Fx`",
            "read as `/admin%2Fx` it leads to `web`",
            "read as `/admin/x` it leads to `kept`",
            "targets may read the path in several ways, which lead to different routes: answered 400",
        ]
    );
}

#[test]
fn many_routes_are_not_told_one_by_one() {
    let routes = (0..30).map(|n| {
        format!("[[routes]]\nname = 'r{n}'\nmatch = {{ path = '/{n}' }}\nstable = 'ec2'\n")
    });
    let snapshot = snapshot(&routes.collect::<String>());
    let explanation = explain(&snapshot, &Sent::read("GET a/29").facts());
    let texts: Vec<_> = explanation.steps.iter().map(|step| &*step.text).collect();
    assert!(texts.contains(&"`r19` does not match: `path`"));
    assert!(!texts.contains(&"`r20` does not match: `path`"));
    assert!(texts.contains(&"9 more do not match"));
    assert!(texts.contains(&"`r29` matches: `path`"));
}
