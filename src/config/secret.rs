//! Settings that hold a secret: each is given as a value, or as a file that holds the value.
//!
//! Owns how the file is read, and that not both are set. Must never show the content of the file.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::check::Check;

/// The text about the expected content of the file of a secret.
pub(super) const EXPECTED: &str = "a file that can be read and holds the value";

/// A secret that is read at each use, so that its file may be replaced while the worker runs.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The value from the environment or the command line.
    Value(SecretString),
    /// The file that holds the value.
    File(PathBuf),
}

impl SecretSource {
    /// Returns the secret.
    ///
    /// # Errors
    /// The file cannot be read or is empty; the text contains nothing of its content.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(file) => read(file).map(SecretString::from),
        }
    }
}

/// Returns the content of a file without the line breaks at its end.
pub(super) fn read(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => "the file is not UTF-8".to_owned(),
        _ => error.to_string(),
    })?;
    content(&text).ok_or_else(|| "the file is empty".to_owned())
}

/// Returns a text without line breaks at its end; none where it is blank.
fn content(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['\n', '\r']);
    (!text.trim().is_empty()).then(|| text.to_owned())
}

impl Check {
    /// Returns where a secret is: in the setting itself, or in the file that the setting with `_FILE` at its end names. None
    /// where neither is set. A fault of either is noted, and the setting is then not reported as missing too.
    pub(super) fn kept(
        &mut self,
        setting: &'static str,
        value: Option<&str>,
        file: Option<&str>,
    ) -> Option<SecretSource> {
        let value = value.filter(|value| !value.trim().is_empty());
        let file = file.filter(|file| !file.trim().is_empty());
        let of_file = format!("{setting}_FILE");
        match (value, file) {
            (None, None) => None,
            (Some(value), None) => Some(SecretSource::Value(value.to_owned().into())),
            (None, Some(path)) => {
                if let Err(why) = read(Path::new(path)) {
                    self.fault(&of_file, path, &format!("{EXPECTED}; {why}"));
                    self.faulty(setting);
                }
                Some(SecretSource::File(path.into()))
            }
            (Some(_), Some(_)) => {
                let expected = "one of them: the value, or the file that holds it; unset the other";
                self.contradiction(&format!("{setting}, {of_file}"), "both are set", expected);
                self.faulty(setting);
                None
            }
        }
    }

    /// Returns the value of a secret that is read once, at the start.
    pub(super) fn secret(
        &mut self,
        setting: &'static str,
        value: Option<&str>,
        file: Option<&str>,
    ) -> Option<String> {
        let read = self.kept(setting, value, file)?.read().ok()?;
        Some(read.expose_secret().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_break_at_the_end_is_no_part_of_a_secret() {
        for (text, secret) in [("a b \n", "a b "), ("a\r\n\n", "a"), ("a", "a")] {
            assert_eq!(content(text).as_deref(), Some(secret), "{text:?}");
        }
        for blank in ["", "\n", " \n"] {
            assert_eq!(content(blank), None, "{blank:?}");
        }
    }
}
