//! What each kind of condition takes and leaves.

use crate::testing::{Sent, snapshot};

/// Whether a route with this `match` takes the request.
#[track_caller]
fn check(matches: &str, request: &str, expect: bool) {
    let route = format!("[[routes]]\nname = 'r'\nstable = 'ec2'\nmatch = {{ {matches} }}");
    let decision = snapshot(&route).decide(&Sent::read(request).facts());
    assert_eq!(
        decision.choice.is_some(),
        expect,
        "{matches} against {request:?}"
    );
}

#[track_caller]
fn check_all(matches: &str, taken: &[&str], left: &[&str]) {
    taken
        .iter()
        .for_each(|request| check(matches, request, true));
    left.iter()
        .for_each(|request| check(matches, request, false));
}

#[test]
fn no_condition_takes_every_request() {
    check_all("", &["GET a/", "BREW /", "GET a", "OPTIONS a*"], &[]);
}

#[test]
fn hosts_in_any_case_without_port_and_final_dot() {
    check_all(
        "host = 'www.example.com'",
        &[
            "GET www.example.com/",
            "GET WWW.EXAMPLE.COM/",
            "GET www.example.com:8080/",
            "GET www.example.com./",
            "GET www.example.com.:80/",
        ],
        &[
            "GET example.com/",
            "GET a.www.example.com/",
            "GET www.example.com../",
            "GET www.example.community/",
            "GET wwwXexample.com/",
            "GET /",
        ],
    );
    check_all("host = 'WWW.Example.com'", &["GET www.example.COM/"], &[]);
    check_all(
        "host = '[::1]'",
        &["GET [::1]:80/", "GET [::1]/"],
        &["GET [::2]/", "GET ::1/"],
    );
    check_all(
        "host = '127.0.0.1'",
        &["GET 127.0.0.1:80/"],
        &["GET 127.0.0.10/"],
    );
}

#[test]
fn hosts_with_wildcards() {
    check_all(
        "host = '*.example.com'",
        &["GET test.example.com/", "GET a.b.Example.com:1/"],
        &[
            "GET example.com/",
            "GET xexample.com/",
            "GET a.example.com.org/",
        ],
    );
    check_all(
        "host = 'www?.example.com'",
        &["GET www1.example.com/"],
        &["GET www.example.com/", "GET www12.example.com/"],
    );
    check_all(
        "host = 'a*.example.com'",
        &["GET a.example.com/", "GET abc.x.example.com/"],
        &["GET b.example.com/"],
    );
    check_all("host = '*'", &["GET a/", "GET /", "GET [::1]:80/"], &[]);
    check_all(
        "host = ['a.example', '*.b.example']",
        &["GET a.example/", "GET x.b.example/"],
        &["GET b.example/"],
    );
}

#[test]
fn hosts_by_regular_expression() {
    check_all(
        "host = { regex = '^(www|img)\\.example\\.com$' }",
        &["GET www.example.com/", "GET IMG.example.com:80/"],
        &["GET www.example.com.org/", "GET a.www.example.com/"],
    );
    check_all(
        "host = { regex = 'blog' }",
        &["GET my-blog.example/"],
        &["GET a.example/"],
    );
    check_all(
        "host = [{ regex = '^a' }, 'b']",
        &["GET abc/", "GET b/"],
        &["GET c/"],
    );
}

#[test]
fn paths_with_case_and_without_the_query() {
    check_all(
        "path = '/img/*'",
        &[
            "GET a/img/",
            "GET a/img/x.png",
            "GET a/img/x/y?z",
            "GET a/img/?",
        ],
        &[
            "GET a/img",
            "GET a/Img/x",
            "GET a/",
            "GET a/x/img/",
            "GET a/?/img/",
        ],
    );
    check_all(
        "path = '/img/*/pics'",
        &["GET a/img/x/pics", "GET a/img/x/y/pics"],
        &["GET a/img/pics"],
    );
    check_all(
        "path = '/a?c'",
        &["GET a/abc", "GET a/a?c".replace('?', "%").as_str()],
        &["GET a/ac", "GET a/abbc"],
    );
    check_all("path = '/'", &["GET a/", "GET a/?x"], &["GET a/x"]);
    check_all(
        "path = '*.php'",
        &["GET a/x.php", "GET a/x.php?y"],
        &["GET a/x.PHP", "GET a/x.php/y"],
    );
    check_all(
        "path = { regex = '^/v[0-9]+/' }",
        &["GET a/v1/x", "GET a/v22/"],
        &["GET a/V1/x", "GET a/x/v1/"],
    );
    check_all(
        "path = ['/a', '/b*']",
        &["GET a/a", "GET a/bc"],
        &["GET a/ab"],
    );
    check_all("path = '/~$-_.+!&:@x'", &["GET a/~$-_.+!&:@x"], &[]);
    check_all(
        "path = '/package.service/*'",
        &["POST a/package.service/method"],
        &[],
    );
}

#[test]
fn methods_exactly() {
    check_all(
        "method = 'GET'",
        &["GET a/"],
        &["get a/", "HEAD a/", "GETS a/", "GE a/"],
    );
    check_all(
        "method = ['GET', 'HEAD']",
        &["GET a/", "HEAD a/"],
        &["POST a/"],
    );
    check_all("method = 'M-SEARCH'", &["M-SEARCH a/"], &["MSEARCH a/"]);
}

#[test]
fn header_values_in_any_case_and_any_line() {
    check_all(
        "header.User-Agent = '*Chrome*'",
        &[
            "GET a/\nuser-agent: Mozilla/5.0 Chrome/99",
            "GET a/\nUSER-AGENT: chrome",
            "GET a/\nuser-agent: x\nuser-agent: CHROME",
        ],
        &[
            "GET a/",
            "GET a/\nuser-agent: Safari",
            "GET a/\nx-user-agent: Chrome",
            "GET a/\nuser-agent2: Chrome",
        ],
    );
    check_all(
        "header.x-a = 'Mozilla'",
        &["GET a/\nx-a: MOZILLA"],
        &["GET a/\nx-a: Mozilla/5.0"],
    );
    check_all(
        "header.x-a = '*'",
        &["GET a/\nx-a: ", "GET a/\nx-a: y"],
        &["GET a/"],
    );
    check_all("header.x-a = '?*'", &["GET a/\nx-a: y"], &["GET a/\nx-a: "]);
    check_all(
        "header.x-a = ['1', '2']",
        &["GET a/\nx-a: 1", "GET a/\nx-a: 2"],
        &["GET a/\nx-a: 3"],
    );
    check_all(
        "header = { x-a = '1', x-b = '2' }",
        &["GET a/\nx-a: 1\nx-b: 2"],
        &["GET a/\nx-a: 1", "GET a/\nx-b: 2", "GET a/\nx-a: 2\nx-b: 1"],
    );
    check_all(
        "header.x-a = { regex = '^ab+$' }",
        &["GET a/\nx-a: ABB"],
        &["GET a/\nx-a: a", "GET a/\nx-a: xab"],
    );
    check_all(
        "header.x-a = 'ab'",
        &["GET a/\nx-a: a\tb"],
        &["GET a/\nx-a: a b"],
    );
    check_all(
        "header.x-a = { regex = '^ab$' }",
        &["GET a/\nx-a: a\tb"],
        &["GET a/\nx-a: a b"],
    );
    check_all(
        "header.x-a = 'a, b'",
        &["GET a/\nx-a: a, b"],
        &["GET a/\nx-a: a\nx-a: b"],
    );
}

#[test]
fn query_parameters_in_any_case() {
    check_all(
        "query.version = 'v1'",
        &[
            "GET a/?version=v1",
            "GET a/?VERSION=V1",
            "GET a/?a=b&version=v1&c",
            "GET a/?version=v2&version=v1",
            "GET a/?version=v1#x",
        ],
        &[
            "GET a/",
            "GET a/?",
            "GET a/?version",
            "GET a/?version=",
            "GET a/?version=v12",
            "GET a/?xversion=v1",
            "GET a/?version=v1;a=b",
            "GET a/?a=version=v1",
            "GET a/?x#&version=v1",
            "GET a/version=v1",
        ],
    );
    check_all(
        "query.version = 'v*'",
        &["GET a/?version=v", "GET a/?version=v2"],
        &["GET a/?version=x"],
    );
    check_all(
        "query.v = ['1', '2']",
        &["GET a/?v=1", "GET a/?v=2"],
        &["GET a/?v=3"],
    );
    check_all(
        "query = { a = '1', b = '2' }",
        &["GET a/?b=2&a=1"],
        &["GET a/?a=1", "GET a/?a=2&b=1"],
    );
    check_all(
        "query.'a*' = '1'",
        &["GET a/?abc=1", "GET a/?a=1"],
        &["GET a/?b=1"],
    );
    check_all(
        "query.a = '*'",
        &["GET a/?a", "GET a/?a=", "GET a/?a=b=c"],
        &["GET a/?b"],
    );
    check_all("query.a = 'b=c'", &["GET a/?a=b=c"], &["GET a/?a=b"]);
    check_all(
        "query.a = 'x%20y'",
        &["GET a/?a=X%20Y"],
        &["GET a/?a=x y", "GET a/?a=x+y"],
    );
}

#[test]
fn query_values_of_any_parameter() {
    check_all(
        "query = [{ key = 'version', value = 'v1' }, { value = '*example*' }]",
        &[
            "GET a/?version=v1",
            "GET a/?x=an-Example-y",
            "GET a/?example=&b=example",
        ],
        &["GET a/?version=v2", "GET a/?example=v2", "GET a/"],
    );
    check_all(
        "query = [{ value = 'v' }]",
        &["GET a/?x=v", "GET a/?=v"],
        &["GET a/?v", "GET a/?x=vv"],
    );
}

#[test]
fn query_wildcards_can_be_escaped() {
    check_all(
        "query.a = '\\*'",
        &["GET a/?a=*"],
        &["GET a/?a=x", "GET a/?a=\\*"],
    );
    check_all("query.a = 'b\\?'", &["GET a/?a=b?"], &["GET a/?a=bc"]);
    check_all("query.a = '\\\\x'", &["GET a/?a=\\x"], &["GET a/?a=x"]);
    check_all("query.'\\*' = '1'", &["GET a/?*=1"], &["GET a/?x=1"]);
}

#[test]
fn cookies_by_exact_name_and_value_with_case() {
    check_all(
        "cookie.flag = 'on'",
        &[
            "GET a/\ncookie: flag=on",
            "GET a/\ncookie: a=b;flag=on ;c",
            "GET a/\ncookie: flag=x\ncookie: flag=on",
        ],
        &[
            "GET a/",
            "GET a/\ncookie: xflag=on",
            "GET a/\ncookie: flag=on2",
            "GET a/\ncookie: Flag=on",
            "GET a/\ncookie: flag=On",
            "GET a/\ncookie: a=flag=on",
            "GET a/\ncookie: flag",
            "GET a/\nx-cookie: flag=on",
        ],
    );
    check_all(
        "cookie.flag = 'o*'",
        &["GET a/\ncookie: flag=o"],
        &["GET a/\ncookie: flag=xo"],
    );
    check_all(
        "cookie.flag = { regex = '^v[12]$' }",
        &["GET a/\ncookie: flag=v2"],
        &["GET a/\ncookie: flag=v3"],
    );
    check_all(
        "cookie = { a = '1', b = '2' }",
        &["GET a/\ncookie: b=2; a=1"],
        &["GET a/\ncookie: a=1"],
    );
}

#[test]
fn source_addresses_are_those_of_the_peer() {
    check_all(
        "source_ip = '10.0.0.0/8'",
        &["GET a/\n@peer 10.9.9.9", "GET a/\n@peer ::ffff:10.1.1.1"],
        &[
            "GET a/\n@peer 11.0.0.1",
            "GET a/\n@client 10.0.0.1",
            "GET a/\n@peer ::1",
            "GET a/\nx-forwarded-for: 10.0.0.1",
        ],
    );
    check_all(
        "source_ip = ['192.0.2.7', '2001:db8::/32']",
        &["GET a/\n@peer 192.0.2.7", "GET a/\n@peer 2001:db8:1::1"],
        &["GET a/\n@peer 192.0.2.8"],
    );
}

#[test]
fn listeners_and_partitions_by_name() {
    check_all("listener = 'inner'", &["GET a/\n@inner"], &["GET a/"]);
    check_all(
        "listener = ['inner', 'public']",
        &["GET a/\n@inner", "GET a/"],
        &[],
    );
    check_all(
        "partition = 'blogs'",
        &[
            "GET x.blogs.example/",
            "GET X.Y.BLOGS.example:80/",
            "GET a/\nx-blog-domain-partition: blogs\n@trusted",
        ],
        &[
            "GET blogs.example/",
            "GET www.blogs.example/",
            "GET x.pro.blogs.example/",
            "GET a/\nx-blog-domain-partition: blogs",
        ],
    );
    check_all(
        "partition = ['main', 'pro']",
        &[
            "GET a/",
            "GET www.blogs.example/",
            "GET a.b.pro.blogs.example/",
        ],
        &["GET x.blogs.example/"],
    );
}

#[test]
fn all_keys_must_hold() {
    let matches = "host = ['a.example', 'b.example'], path = '/x*', method = ['GET', 'POST'], header.x-a = '1', query.q = '2', cookie.c = '3', source_ip = '192.0.2.0/24', listener = 'public', partition = 'main'";
    let request = "GET a.example/xyz?q=2\nx-a: 1\ncookie: c=3";
    check(matches, request, true);
    for (part, other) in [
        ("GET a.", "GET c."),
        ("GET", "PUT"),
        ("/x", "/y"),
        ("q=2", "q=3"),
        ("x-a: 1", "x-a: 2"),
        ("c=3", "c=4"),
        (
            "GET a.example/xyz?q=2",
            "GET a.example/xyz?q=2\n@peer 10.0.0.1",
        ),
        ("GET a.example/xyz?q=2", "GET a.example/xyz?q=2\n@inner"),
        (
            "GET a.example/xyz?q=2",
            "GET a.example/xyz?q=2\n@trusted\nx-blog-domain-partition: pro",
        ),
    ] {
        let request = request.replacen(part, other, 1);
        check(matches, &request, false);
    }
    check(matches, &request.replace("GET a.", "POST b."), true);
}
