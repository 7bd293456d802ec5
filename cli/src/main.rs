//! The `poll` binary: background polls and event filters from the command line.
//!
//! `args` defines the command line, `commands` runs it, `input` reads, `render` writes for people, `exit` lists the exit
//! codes. Results go to standard output; everything else goes to standard error.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod exit;
mod input;
mod render;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    commands::run(args::Cli::parse()).into()
}
