//! What is known of the cookies of a route, for whoever looks. How it is found is not known here.

use serde::Serialize;

/// The cookies of one route, and what will go wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CookiesView {
    /// The route.
    pub route: String,
    /// Findings in which two pools are in each other's way.
    pub conflicts: usize,
    /// What will go wrong, the worst first; at most 100.
    pub findings: Vec<FindingView>,
    /// The kinds of cookies that pools have set within a day, stable's first.
    pub cookies: Vec<CookieView>,
    /// Cookies that were set and not looked at, because a pool sets more kinds than are kept.
    pub not_looked_at: u64,
    /// Requests with a cookie that was sent more than once.
    pub requests_twice: u64,
    /// The names of these, at most 16.
    pub twice: Vec<TwiceView>,
    /// Parts of pages that may have come from another pool than the page.
    pub skew: Vec<SkewView>,
    /// Answers marked for shared caches, although the next client may be placed on another pool.
    pub cacheable: Vec<CacheableView>,
}

/// Something that will go wrong with a cookie.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FindingView {
    /// `scope`, `undeletable`, `flags`, `lifetime`, `outlives` or `ignored`.
    pub what: &'static str,
    /// Whether two pools are in each other's way.
    pub conflict: bool,
    /// The name of the cookie.
    pub cookie: String,
    /// The pools concerned, stable first.
    pub pools: Vec<String>,
    /// What will happen, in one sentence.
    pub sentence: String,
    /// What to do about it.
    pub advice: String,
    /// A rule for the file, as TOML to paste; `null` where only the application can do something.
    pub rule: Option<String>,
}

/// A kind of cookie that a pool sets; never its value.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CookieView {
    /// The pool.
    pub pool: String,
    /// The name of the cookie.
    pub cookie: String,
    /// `set`, `delete`, or `empty` when it is set to nothing.
    pub act: &'static str,
    /// `Domain`; `null` for the host alone.
    pub domain: Option<String>,
    /// The path it is for.
    pub path: String,
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`.
    pub same_site: Option<&'static str>,
    /// `session`, `day`, `month` or `long`.
    pub lifetime: &'static str,
    /// The host of the first answer that set it.
    pub host: String,
    /// Answers that set it.
    pub answers: u64,
}

/// A cookie that clients send more than once.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TwiceView {
    /// Its name.
    pub cookie: String,
    /// Requests that did.
    pub requests: u64,
}

/// Requests that a page of the same host led to and that may not fit it, by cause.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SkewView {
    /// `cap`, `cookieless`, `failover` or `fallback`.
    pub cause: &'static str,
    /// How many.
    pub requests: u64,
}

/// Answers of a pool with `Cache-Control: public` or `s-maxage` to clients that were placed by their bucket or pin.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CacheableView {
    /// The pool.
    pub pool: String,
    /// How many.
    pub answers: u64,
    /// The path of the first one.
    pub path: Option<String>,
}
