//! Findings in sentences, and the rules to paste. What will happen comes before whose fault it is.

use crate::crumb::{Crumb, Flags, Span};
use crate::finding::{Finding, What};
use crate::read::SameSite;
use crate::scope::Ignored;

/// Two cookies of one name.
pub(crate) fn scope(name: &str, pools: [&str; 2], crumbs: [&Crumb; 2]) -> Finding {
    let [one, other] = pools;
    let [first, second] = crumbs.map(place);
    let sentence = format!(
        "`{name}` is two cookies to a browser, because {one} sets it {first} and {other} {second}: a client that was at \
         both sends both, the server reads one of them, most often the older, and a logout at {other} leaves the one of \
         {one}, so the client stays logged in, and once {other} has all requests nothing can delete it any more"
    );
    let rules = [rule(one, name, crumbs[1]), rule(other, name, crumbs[0])];
    Finding {
        sentence,
        advice: "set it alike in both applications, or let each pool forget the other's whenever it sets or deletes its own".into(),
        rule: Some(rules.join("\n")),
        ..finding(What::Scope, name, &pools)
    }
}

/// A logout of one pool that does not end the session of the other.
pub(crate) fn undeletable(
    name: &str,
    [setter, deleter]: [&str; 2],
    set: &Crumb,
    attempt: &Crumb,
) -> Finding {
    let sentence = format!(
        "a client that got `{name}` from {setter} cannot get rid of it at {deleter}, because {setter} sets it {} and \
         {deleter} deletes it {}: who logs in at {setter} and out at {deleter} stays logged in",
        place(set),
        place(attempt)
    );
    Finding {
        sentence,
        advice: format!(
            "delete it in {deleter}'s application as {setter} sets it, or let the pool do so"
        ),
        rule: Some(rule(deleter, name, set)),
        ..finding(What::Undeletable, name, &[setter, deleter])
    }
}

/// Who gets it to see depends on the pool that set it last.
pub(crate) fn flags(name: &str, pools: [&str; 2], own: Flags, others: Flags) -> Finding {
    let [one, other] = pools;
    let mut effects = Vec::new();
    if own.secure != others.secure {
        let (with, without) = if own.secure {
            (one, other)
        } else {
            (other, one)
        };
        effects.push(format!(
            "over http it is not sent after {with} has set it, and {without} cannot replace it there"
        ));
    }
    if own.http_only != others.http_only {
        let (with, without) = if own.http_only {
            (one, other)
        } else {
            (other, one)
        };
        effects.push(format!(
            "scripts of a page can read it after {without} has set it, and not after {with} has"
        ));
    }
    if own.same_site != others.same_site {
        let [first, second] = [own, others].map(|flags| {
            let word = flags.same_site.map(SameSite::as_str);
            word.map_or_else(
                || "no SameSite".to_owned(),
                |word| format!("SameSite={word}"),
            )
        });
        effects.push(format!(
            "whether it comes along from pages of other sites depends on who set it last ({one} {first}, {other} {second})"
        ));
    }
    Finding {
        sentence: format!(
            "who gets `{name}` to see changes with the pool that set it last: {}",
            effects.join("; ")
        ),
        ..separate(What::Flags, name, pools)
    }
}

/// How long a client stays logged in depends on the pool that set it last.
pub(crate) fn lifetime(name: &str, pools: [&str; 2], own: Span, others: Span) -> Finding {
    let [one, other] = pools;
    let (longer, shorter) = if own > others {
        (one, other)
    } else {
        (other, one)
    };
    let [first, second] = [own, others].map(span);
    Finding {
        sentence: format!(
            "`{name}` outlives its session or ends too early, depending on the pool that set it last: {one} lets browsers \
             keep it {first}, {other} {second}, so {shorter} may be asked with a `{name}` of {longer} that it has long forgotten"
        ),
        ..separate(What::Lifetime, name, pools)
    }
}

/// A pool that misses its own cookie.
pub(crate) fn outlives(name: &str, pool: &str, set: &Crumb, attempt: &Crumb) -> Finding {
    Finding {
        sentence: format!(
            "`{name}` outlives its session: {pool} sets it {} and deletes it {}, which is another cookie, so the first one stays",
            place(set),
            place(attempt)
        ),
        advice: format!("delete it in {pool}'s application as it is set, or let the pool do so"),
        rule: Some(rule(pool, name, set)),
        ..finding(What::Outlives, name, &[pool])
    }
}

/// A pool that sets a cookie to nothing.
pub(crate) fn emptied(name: &str, pool: &str) -> Finding {
    Finding {
        sentence: format!(
            "`{name}` outlives its session: {pool} sets it to nothing and never deletes it, so browsers go on sending `{name}=`"
        ),
        advice: format!("delete it in {pool}'s application, with Max-Age=0"),
        ..finding(What::Outlives, name, &[pool])
    }
}

/// A cookie that no browser keeps.
pub(crate) fn ignored(name: &str, pool: &str, crumb: &Crumb, why: Ignored) -> Finding {
    let domain = crumb.domain.as_deref().unwrap_or_default();
    let host = &crumb.host;
    let reason = match why {
        Ignored::ForeignDomain => format!("its Domain={domain} does not cover the host {host}"),
        Ignored::PublicSuffix => format!("its Domain={domain} is that of many sites"),
        Ignored::SecureInClear => format!(
            "{}; a proxy in front that ends TLS belongs in server.trusted_proxies",
            why.as_str()
        ),
        _ => why.as_str().to_owned(),
    };
    Finding {
        sentence: format!("browsers do not take `{name}` from {pool}: {reason}"),
        advice: format!("correct its attributes in {pool}'s application"),
        ..finding(What::Ignored, name, &[pool])
    }
}

fn finding(what: What, name: &str, pools: &[&str]) -> Finding {
    Finding {
        what,
        name: name.to_owned(),
        pools: pools.iter().map(|pool| (*pool).to_owned()).collect(),
        sentence: String::new(),
        advice: String::new(),
        rule: None,
    }
}

/// A finding that no rule mends but by giving each pool a cookie of its own.
fn separate(what: What, name: &str, pools: [&str; 2]) -> Finding {
    let [_, other] = pools;
    let own = format!("{name}_{other}");
    Finding {
        advice: format!(
            "set it alike in both applications; where they need not share it, give {other} a cookie of its own (its clients log in anew)"
        ),
        rule: Some(format!(
            "[pools.{}.cookies]\nrequest.rename = {{ {} = {} }}\nresponse.rename = {{ {} = {} }}\n",
            toml_key(other),
            toml_key(&own),
            toml_text(name),
            toml_key(name),
            toml_text(&own)
        )),
        ..finding(what, name, &pools)
    }
}

/// A rule that lets `pool` forget `crumb` whenever it sets or deletes a cookie of the name.
fn rule(pool: &str, name: &str, crumb: &Crumb) -> String {
    let domain = crumb.domain.as_deref().unwrap_or_default();
    let path = match crumb.path.as_str() {
        "/" => String::new(),
        path => format!(", path = {}", toml_text(path)),
    };
    format!(
        "[pools.{}.cookies]\nexpire = [{{ name = {}, when = \"set\", domains = [{}]{path} }}]\n",
        toml_key(pool),
        toml_text(name),
        toml_text(domain)
    )
}

/// Where a cookie is for, as part of a sentence.
fn place(crumb: &Crumb) -> String {
    let domain = match &crumb.domain {
        Some(domain) => format!("for the domain {domain}"),
        None => format!("for the host {} alone", crumb.host),
    };
    match crumb.path.as_str() {
        "/" => domain,
        path => format!("{domain} under {path}"),
    }
}

const fn span(span: Span) -> &'static str {
    match span {
        Span::Session => "until they end",
        Span::Day => "for a day at most",
        Span::Month => "for days or weeks",
        Span::Long => "for months",
    }
}

fn toml_key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_bare) {
        return name.to_owned();
    }
    quoted(name)
}

/// A value, in which `${` would begin a name of the environment; keys are left alone.
fn toml_text(text: &str) -> String {
    quoted(&text.replace("${", "$${"))
}

fn quoted(text: &str) -> String {
    let escaped: String = text.chars().flat_map(escape).collect();
    format!("\"{escaped}\"")
}

/// Names and paths are an application's, so quotes in them must not end a text of the file.
fn escape(letter: char) -> Vec<char> {
    match letter {
        '"' | '\\' => vec!['\\', letter],
        letter if letter.is_control() => format!("\\u{:04X}", letter as u32).chars().collect(),
        letter => vec![letter],
    }
}
