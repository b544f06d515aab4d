//! Changes of cookies between clients and the targets of a pool: other names, none at all, forgotten ones.
//!
//! Everything here is header bytes in, header bytes out; values and attributes stay byte for byte.

use std::borrow::Cow;

use super::pairs;
use crate::model::When;

/// Changes of cookies, compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(crate) request: Names,
    pub(crate) response: Names,
    pub(crate) expire: Vec<Expire>,
}

/// What becomes of the cookies of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Name that arrives, and name that goes on; `None`: it does not go on.
    pub(crate) changes: Vec<(Box<str>, Option<Box<str>>)>,
}

/// A cookie that clients are told to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expire {
    pub(crate) name: Box<str>,
    /// What it takes.
    pub(crate) when: When,
    /// One `Set-Cookie` value for each domain.
    pub(crate) lines: Vec<String>,
}

impl Rules {
    /// Whether the cookies of requests change.
    pub fn changes_requests(&self) -> bool {
        !self.request.changes.is_empty()
    }

    /// Whether there is anything to do with an answer.
    pub fn changes_answers(&self) -> bool {
        !self.response.changes.is_empty() || !self.expire.is_empty()
    }

    /// A `Cookie` line as the target gets it, empty when nothing is left of it; `None` when it stays as it is.
    pub fn request_line(&self, line: &[u8]) -> Option<Vec<u8>> {
        let mut pairs = pairs(line);
        pairs.find(|(name, _)| self.request.change(name).is_some())?;
        let mut kept = Vec::with_capacity(line.len());
        for part in line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
            let equals = part.iter().position(|byte| *byte == b'=');
            let (name, value) = part.split_at(equals.unwrap_or(0));
            let name = match self.request.change(name.trim_ascii()) {
                Some(None) => continue,
                Some(Some(name)) => name.as_bytes(),
                None => name,
            };
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(name);
            kept.extend_from_slice(value);
        }
        Some(kept)
    }

    /// The `Set-Cookie` lines for a client which sent the `Cookie` lines of `sent` and is answered with those of `set`.
    ///
    /// What is to be forgotten comes first, so that a cookie of the same name that the answer sets survives.
    pub fn answer_lines<'a>(
        &'a self,
        sent: &[&[u8]],
        set: impl Iterator<Item = &'a [u8]>,
    ) -> Vec<Cow<'a, [u8]>> {
        let set: Vec<_> = set.filter_map(|line| self.answer_line(line)).collect();
        let expired = self.expire.iter();
        let expired = expired.filter(|expire| expire.is_due(sent, &set));
        let expired = expired.flat_map(|expire| &expire.lines);
        let expired: Vec<_> = expired.map(|line| Cow::Borrowed(line.as_bytes())).collect();
        expired.into_iter().chain(set).collect()
    }

    fn answer_line<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let (name, rest) = split_name(line);
        match self.response.change(name.trim_ascii()) {
            None => Some(line.into()),
            Some(None) => None,
            Some(Some(name)) => Some([name.as_bytes(), rest].concat().into()),
        }
    }
}

impl Names {
    fn change(&self, name: &[u8]) -> Option<Option<&str>> {
        let change = self
            .changes
            .iter()
            .find(|(from, _)| from.as_bytes() == name);
        change.map(|(_, to)| to.as_deref())
    }
}

impl Expire {
    fn is_due(&self, sent: &[&[u8]], set: &[Cow<'_, [u8]>]) -> bool {
        let own = self.name.as_bytes();
        let names = sent.iter().flat_map(|line| pairs(line));
        let n_sent = || names.filter(|(name, _)| *name == own).count();
        match self.when {
            When::Present => n_sent() > 0,
            When::Set => set
                .iter()
                .any(|line| split_name(line).0.trim_ascii() == own),
            When::Twice => n_sent() > 1,
        }
    }
}

/// The name of a `Set-Cookie` line, and what follows it.
fn split_name(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| matches!(byte, b'=' | b';'));
    line.split_at(end.unwrap_or(line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(changes: &[(&str, Option<&str>)]) -> Names {
        let changes = changes.iter();
        let changes = changes.map(|(from, to)| ((*from).into(), to.map(Into::into)));
        Names {
            changes: changes.collect(),
        }
    }

    fn rules() -> Rules {
        let changes = [("sess2", Some("sess")), ("sess", None), ("old", None)];
        let expire = |name: &str, when| Expire {
            name: name.into(),
            when,
            lines: vec![format!("{name}=; Max-Age=0")],
        };
        Rules {
            request: names(&changes),
            response: names(&[("sess", Some("sess2")), ("track", None)]),
            expire: vec![
                expire("sess", When::Present),
                expire("sess2", When::Twice),
                expire("user", When::Set),
            ],
        }
    }

    #[track_caller]
    fn request(line: &str, expect: Option<&str>) {
        let line = rules().request_line(line.as_bytes());
        let line = line.map(|line| String::from_utf8(line).unwrap());
        assert_eq!(line.as_deref(), expect);
    }

    #[test]
    fn cookies_of_a_request_are_renamed_or_left_out_and_the_others_stay() {
        request("", None);
        request("a=b; c=d", None);
        request("sess3=1; xold=2; Old=3; sess", None);
        request("sess2=1", Some("sess=1"));
        request("sess=1", Some(""));
        request("sess=old; sess2=new", Some("sess=new"));
        request(
            "a=b;old=1;  c=\"d=e\" ; sess2 = x",
            Some("a=b; c=\"d=e\"; sess= x"),
        );
        request("old=1; old=2; f; a=b", Some("f; a=b"));
    }

    #[track_caller]
    fn answer(sent: &[&str], set: &[&str], expect: &[&str]) {
        let sent: Vec<_> = sent.iter().map(|line| line.as_bytes()).collect();
        let rules = rules();
        let lines = rules.answer_lines(&sent, set.iter().map(|line| line.as_bytes()));
        let lines: Vec<_> = lines
            .iter()
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        assert_eq!(lines, expect);
    }

    #[test]
    fn cookies_of_an_answer_are_renamed_or_left_out_and_the_others_stay() {
        answer(&[], &[], &[]);
        let set = [
            "sess=1; Path=/; HttpOnly",
            "track=2",
            "a=b; sess=c",
            "sess ; x",
        ];
        let expect = ["sess2=1; Path=/; HttpOnly", "a=b; sess=c", "sess2; x"];
        answer(&[], &set, &expect);
    }

    #[test]
    fn who_sends_a_cookie_is_told_to_forget_it_before_anything_is_set() {
        let forget = ["sess=; Max-Age=0", "sess2=; Max-Age=0"];
        answer(&["sess=1"], &["sess=2"], &[forget[0], "sess2=2"]);
        answer(&["a=b", "c=d; sess=1; sess=2"], &[], &[forget[0]]);
        answer(&["sess2=1; xsess=2"], &[], &[]);
        answer(&["sess2=1; sess2=2"], &[], &[forget[1]]);
        answer(&["sess2=1", "sess2=2"], &[], &[forget[1]]);
    }

    #[test]
    fn who_is_given_a_cookie_is_told_to_forget_the_others_of_its_name() {
        let forget = "user=; Max-Age=0";
        answer(&["user=1; user=2"], &["a=user"], &["a=user"]);
        for set in [
            "user=1; Path=/",
            "user = 1",
            "user=; Max-Age=0; Domain=example.com",
        ] {
            answer(&[], &[set], &[forget, set]);
        }
    }
}
