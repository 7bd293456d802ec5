//! `poll schema`: the JSON Schemas of filters and specs.

use std::io::{self, Write as _};

use anyhow::Context as _;

use super::output::CANNOT_WRITE;
use crate::args::{Kind, SchemaArgs};
use crate::exit::Exit;

pub(super) fn run(args: &SchemaArgs) -> anyhow::Result<Exit> {
    let schema = match args.kind {
        Kind::Filter => filter::schema(args.dialect.dialect),
        Kind::Spec => poller::spec_schema(&args.limits.limits()),
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{schema:#}").and_then(|()| stdout.flush()).context(CANNOT_WRITE)?;
    Ok(Exit::Success)
}
