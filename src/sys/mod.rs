//! Every `unsafe` block of rinit: system calls with raw numbers, where nix is too narrow or libc's wrapper hides
//! something (musl: signals 32 to 34). Nothing here decides anything.

#![allow(unsafe_code)]

pub mod clock;
pub mod descriptor;
pub mod entry;
pub mod heap;
pub mod process;
pub mod signal;
#[cfg(all(target_env = "musl", panic = "abort"))]
mod unwind;
pub mod wait;
