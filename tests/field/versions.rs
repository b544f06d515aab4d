//! HATENA: pages and their files were deployed at different moments, so that a page of one version asked for files of
//! another.

use crate::support::{File, Jar, Kanaria, Stub};

/// Where a file is: by revision, by branch, or the newest. `version` says it, as in the paths of an object store.
const ROUTES: &str = r#"
[[routes]]
name = "revision"
match = { path = "/assets/*", query = { version = "r*" } }
stable = "ec2"
weights = { ec2 = 50, ecs = 50 }
fallback = ["ecs", "ec2"]
rewrite = { url = { regex = '^/assets/(.*)\?version=(r[0-9]+)$', to = "/$2/$1" } }

[[routes]]
name = "branch"
match = { path = "/assets/*", query = { version = "branch-*" } }
stable = "ec2"
weights = { ec2 = 50, ecs = 50 }
fallback = ["ecs", "ec2"]
rewrite = { url = { regex = '^/assets/(.*)\?version=branch-(.*)$', to = "/branch/$2/$1" } }

[[routes]]
name = "newest"
match = { path = "/assets/*" }
stable = "ec2"
weights = { ec2 = 50, ecs = 50 }
rewrite = { path = { regex = "^/assets/", to = "/newest/" } }
"#;

fn environment(name: &'static str, files: &'static [&'static str]) -> Stub {
    Stub::with(name, move |exchange| {
        if exchange.path() == "/page" || files.contains(&exchange.path()) {
            return exchange.plain();
        }
        exchange.answer("404 Not Found", "", b"")
    })
}

/// Files follow the page's side by its cookie, each version has its own, and what one side has not the other one has.
#[test]
fn field_hatena_16() {
    let ec2 = environment("ec2", &["/r1/a.css", "/newest/a.css", "/branch/blue/a.css"]);
    let ecs = environment("ecs", &["/r2/a.css", "/newest/a.css"]);
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").before(ROUTES);
    let kanaria = Kanaria::start(&file);
    let mut n_pages = [0, 0];
    for _ in 0..40 {
        let (mut client, mut jar) = (kanaria.client(), Jar::default());
        let page = jar.visit(&mut client, "/page").stub().to_owned();
        n_pages[usize::from(page == "ecs")] += 1;
        for (path, stub) in [
            ("/assets/a.css", page.as_str()),
            ("/assets/a.css?version=r1", "ec2"),
            ("/assets/a.css?version=r2", "ecs"),
            ("/assets/a.css?version=branch-blue", "ec2"),
        ] {
            let answer = jar.visit(&mut client, path);
            assert_eq!(
                (answer.status, answer.stub()),
                (200, stub),
                "{path} of {page}"
            );
        }
        let nowhere = jar.visit(&mut client, "/assets/a.css?version=r3");
        assert_eq!(nowhere.status, 404);
    }
    println!("pages of ec2 and ecs: {n_pages:?}; each had its files, whichever side has them");
    assert!(n_pages.iter().all(|n| *n > 0));
}
