//! A real browser, where one is found: its own jar holds what the model of it foretells.
//!
//! Asked for in the long form only, and said where there is none: `apt-get install chromium-headless-shell`.

use std::process::Command;

use crate::audit;
use crate::cookies::paste;
use crate::support::{File, Kanaria, Stub, long, outcome};

/// Chromium by the names that it is installed under.
const BROWSERS: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// A page that logs in at one side and out at the other, and then shows what each step was answered.
///
/// Requests are synchronous, because the browser prints a page once it is loaded, and waits for these.
const PAGE: &str = "<!doctype html><pre></pre><script>
const [one, other] = location.search.slice(1).split(',');
const step = (side, method, path) => {
  const request = new XMLHttpRequest();
  request.open(method, path, false);
  request.setRequestHeader('X-Pool', side);
  request.send('password=audit&user=audit');
  return request.getResponseHeader('Stub') + ' ' + path + ': ' + request.responseText;
};
document.querySelector('pre').textContent = [
  step(one, 'POST', '/login'),
  step(other, 'GET', '/mypage'),
  step(other, 'POST', '/logout'),
  step(other, 'GET', '/mypage'),
  step(one, 'GET', '/mypage'),
].join('\\n');
</script>";

const FLAGS: &str = "[[routes.flags]]\nname = \"old\"\nheader = \"X-Pool\"\nvalue = \"old\"\npool = \"ec2\"\n\
                     [[routes.flags]]\nname = \"new\"\nheader = \"X-Pool\"\nvalue = \"new\"\npool = \"ecs\"\n";

fn site(name: &'static str, attributes: &'static str) -> Stub {
    Stub::with(name, move |exchange| {
        if exchange.path().starts_with("/steps?") {
            return exchange.answer("200 OK", "Content-Type: text/html\r\n", PAGE.as_bytes());
        }
        audit::answer(exchange, attributes)
    })
}

/// What a browser without any cookies shows of `PAGE`; `None` where there is no browser.
fn browse(kanaria: &Kanaria, sides: &str) -> Option<Vec<String>> {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let browser = |name: &&str| {
        let mut browser = Command::new(name);
        browser
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // A name with a domain above it, as cookies need one; and nothing outside of this machine is asked.
            .arg(format!("--host-resolver-rules=MAP * {}", kanaria.public))
            .arg(format!("http://www.example.com/steps?{sides}"));
        outcome(&mut browser).ok()
    };
    let shown = BROWSERS.iter().find_map(browser)?;
    let page = shown.stdout.split_once("<pre>");
    let page = page.and_then(|(_, rest)| rest.split_once("</pre>"));
    let (lines, _) = page.unwrap_or_else(|| panic!("no page: {shown:?}"));
    println!("{sides}:\n{lines}");
    Some(lines.lines().map(str::to_owned).collect())
}

/// Who logged in at one side cannot log out at the other, whichever comes first, until the rule that is proposed is in force.
#[test]
fn field_gree_25_in_a_browser() {
    if !long() {
        return println!("a browser is asked in the long form only");
    }
    let (ec2, ecs) = (site("ec2", "; Domain=example.com"), site("ecs", ""));
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route(FLAGS));
    let Some(stuck) = browse(&kanaria, "old,new") else {
        return println!("no browser is found: {BROWSERS:?}");
    };
    let steps = |one, other, out| {
        [
            format!("{one} /login: you are logged in"),
            format!("{other} /mypage: you are logged in"),
            format!("{other} /logout: {out}"),
            format!("{other} /mypage: {out}"),
            format!("{one} /mypage: {out}"),
        ]
    };
    assert_eq!(stuck, steps("ec2", "ecs", "you are logged in"));
    let stuck = browse(&kanaria, "new,old").expect("found above");
    assert_eq!(stuck, steps("ecs", "ec2", "you are logged in"));
    let cookies = kanaria.admin.get("/api/v1/routes/web/cookies");
    let finding = &cookies["findings"][0];
    assert_eq!(finding["what"], "scope", "{cookies:#}");
    paste(&kanaria, finding["rule"].as_str().unwrap());
    for (sides, one, other) in [("old,new", "ec2", "ecs"), ("new,old", "ecs", "ec2")] {
        let out = browse(&kanaria, sides).expect("found above");
        assert_eq!(out, steps(one, other, "please log in"));
    }
}
