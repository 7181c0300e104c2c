//! `rolekeeper evidence verify`: checks an evidence file.
//!
//! Owns the reading of lines. Must never keep more than one, nor connect to anything.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::text;
use crate::cli::output::{remark, to_stdout};
use rolekeeper_domain::evidence::{Verified, Verifier};
use rolekeeper_domain::explanation::plain;

/// Longest line of an evidence file, bytes: a rule and the reasons of operators are far shorter.
const LONGEST: u64 = 1 << 20;

/// Checks the file and reports; returns whether it is valid.
pub(super) fn run(file: &Path) -> Result<bool> {
    let shown = file.display();
    match verified(file).with_context(|| shown.to_string())? {
        Ok(verified) => {
            to_stdout(format_args!("{}", report(&verified)));
            Ok(true)
        }
        Err(why) => {
            remark!("{shown}: {}", plain(&why));
            Ok(false)
        }
    }
}

fn verified(file: &Path) -> Result<Result<Verified, String>> {
    let mut reader = BufReader::new(File::open(file)?);
    let (mut verifier, mut line, mut number) = (Verifier::default(), Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(verifier.end().map_err(|fault| fault.to_string()));
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return Ok(Err(format!(
                "line {number}: it has no line break: the file was cut off, or the line is longer than any line of evidence"
            )));
        };
        let Ok(text) = std::str::from_utf8(text) else {
            return Ok(Err(format!("line {number}: it is no UTF-8: it was changed")));
        };
        if let Err(fault) = verifier.line(text) {
            return Ok(Err(fault.to_string()));
        }
    }
}

fn report(verified: &Verified) -> String {
    let Verified {
        header,
        end,
        shown,
        erased,
    } = verified;
    let erased = match erased {
        0 => String::new(),
        erased => format!("; the users of {erased} were erased"),
    };
    format!(
        "{}: valid\n  changes  {}, the content of {shown} is shown{erased}\n{}  sha256   {}\n",
        text::period(header),
        end.changes,
        text::chain(header, end),
        end.sha256
    )
}
