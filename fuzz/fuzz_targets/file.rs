//! See `checks/file.rs`.
#![no_main]

#[path = "../checks/file.rs"]
mod file;

libfuzzer_sys::fuzz_target!(|input: &[u8]| file::check(input));
