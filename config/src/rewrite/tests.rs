//! Rewrites as written and what they make of requests, through one `check`.

use proptest::prelude::*;

use super::*;
use crate::testing::structure;

fn compiled(rewrite: &str) -> crate::snapshot::Structure {
    let route = format!("[[routes]]\nname = 'r'\nstable = 'ec2'\nrewrite = {{ {rewrite} }}");
    structure(&route).unwrap()
}

/// The target and host a request for `host/path?query` is sent with; `-` for what stays.
#[track_caller]
fn made(rewrite: &str, url: &str) -> String {
    let structure = compiled(rewrite);
    let rewrite = structure.routes[0].forward().unwrap().rewrite.as_ref();
    let slash = url.find('/').unwrap();
    let (host, target) = url.split_at(slash);
    let (path, query) = target.split_once('?').unzip();
    let made = rewrite.unwrap().apply(host, path.unwrap_or(target), query);
    let Ok(made) = made else {
        return "500".into();
    };
    let target = made.target.map_or_else(|| "-".into(), |it| it.to_string());
    let host = made.host.map(|it| it.to_str().unwrap().to_owned());
    format!("{target} {}", host.unwrap_or_else(|| "-".into()))
}

#[track_caller]
fn check(rewrite: &str, url: &str, expect: &str) {
    assert_eq!(made(rewrite, url), expect, "{rewrite} {url}");
}

#[test]
fn a_path_is_replaced_where_the_expression_is_found() {
    let v1 = "path = { regex = '^/v1/(.*)$', to = '/$1' }";
    check(v1, "a/v1/x/y?q=1", "/x/y?q=1 -");
    check(v1, "a/v1/", "/ -");
    check(v1, "a/v2/x", "- -");
    check(v1, "a/x/v1/y?/v1/", "- -");
    check("path = { regex = 'b', to = 'c' }", "a/abab", "/acab -");
    check(
        "path = { regex = '^/(\\w+)/(\\w+)', to = '/$2/$1' }",
        "a/x/y/z",
        "/y/x/z -",
    );
    check(
        "path = { regex = '/(?<id>\\d+)', to = '/n${id}th' }",
        "a/42",
        "/n42th -",
    );
    check(
        "path = { regex = '/(a)|/(b)', to = '/[$1$2]$$' }",
        "a/b",
        "/[b]$ -",
    );
    check("path = '/one'", "a/x?q", "/one?q -");
    check(
        "path = { regex = '^/\u{e9}', to = '/e' }",
        "a/\u{e9}x",
        "/ex -",
    );
}

#[test]
fn a_query_and_a_whole_url_are_replaced() {
    check("query = 'a=b'", "a/x?q", "/x?a=b -");
    check("query = ''", "a/x?q", "/x -");
    check(
        "query = { regex = '^v=(\\d+)', to = 'version=$1' }",
        "a/x?v=12&z",
        "/x?version=12&z -",
    );
    check(
        "query = { regex = '^$', to = 'none=1' }",
        "a/x",
        "/x?none=1 -",
    );
    check("query = { regex = 'v', to = '' }", "a/x", "- -");
    let asset = "url = { regex = '^/static/(.*)\\?version=(\\w+)$', to = '/$2/$1' }";
    check(asset, "a/static/app.js?version=abc", "/abc/app.js -");
    check(asset, "a/static/app.js", "- -");
    check(
        "url = { regex = '^/(.*)$', to = '/r?p=$1' }",
        "a/x",
        "/r?p=x -",
    );
    let both = "path = '/p', query = { regex = 'q', to = 'r' }";
    check(both, "a/x?q", "/p?r -");
}

#[test]
fn a_host_is_replaced() {
    check("host = 'b.example'", "a/x", "- b.example");
    check("host = 'b.example:8080'", "a/x", "- b.example:8080");
    let sub = "host = { regex = '^(.*)\\.old\\.example', to = '$1.new.example' }";
    check(sub, "u.old.example:81/x", "- u.new.example:81");
    check(sub, "u.example/x", "- -");
}

#[test]
fn what_cannot_be_sent_is_no_address() {
    check("path = { regex = '^/', to = '' }", "a/x", "500");
    check("path = { regex = '^.*$', to = '' }", "a/x", "500");
    check("url = { regex = '^/x', to = '?' }", "a/x", "500");
    check("host = { regex = '.*', to = '' }", "a/x", "500");
    check("host = { regex = 'a', to = 'b@c' }", "a/x", "500");
    check("host = { regex = 'a', to = 'b/c' }", "a/x", "500");
    let twelve = format!(
        "path = {{ regex = '^/(.*)$', to = '/{}' }}",
        "$1".repeat(12)
    );
    let long = "x".repeat(2_000);
    check(&twelve, &format!("a/{long}"), "500");
}

proptest! {
    #[test]
    fn whatever_is_made_is_one_target_and_one_host(
        path in "/[!-~\u{80}-\u{2ff}]{0,12}", query in "[!-~]{0,8}", host in "[!-~]{0,8}",
    ) {
        let structure = compiled("url = { regex = '(.)(.*)', to = '$2$1' }, host = { regex = '(.)(.*)', to = '$2$1' }");
        let rewrite = structure.routes[0].forward().unwrap().rewrite.as_ref().unwrap();
        if let Ok(made) = rewrite.apply(&host, &path, Some(&query)) {
            for text in made.target.iter().map(PathAndQuery::as_str).chain(made.host.iter().filter_map(|it| it.to_str().ok())) {
                prop_assert!(!text.bytes().any(|byte| byte <= b' ' || byte == 0x7f));
            }
        }
    }
}
