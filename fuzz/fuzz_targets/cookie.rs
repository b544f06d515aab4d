//! See `checks/cookie.rs`.
#![no_main]

#[path = "../checks/cookie.rs"]
mod cookie;

libfuzzer_sys::fuzz_target!(|input: &[u8]| cookie::check(input));
