//! The program that carries out what `config` means.
//!
//! One request: accept → identify → decide → forward → record. One change: source → compile → publish → confirm.

pub mod entropy;

pub mod source;
