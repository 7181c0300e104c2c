//! Keys of tests, made by openssl as in Auth0's documentation.

use std::path::{Path, PathBuf};
use std::process::Command;

use rolekeeper_sandbox::tenant::PublicKey;
use tempfile::TempDir;

/// A pair of RSA keys in a folder of their own.
pub(crate) struct KeyPair {
    folder: TempDir,
    pub(crate) public_pem: String,
}

impl KeyPair {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("key.pem");
        openssl(&["genrsa", "-out", path(&private), "2048"]);
        let public_pem = openssl(&["rsa", "-in", path(&private), "-outform", "PEM", "-pubout"]);
        Self { folder, public_pem }
    }

    /// PKCS#8, as openssl writes it by default.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    pub(crate) fn pkcs1_file(&self) -> PathBuf {
        let file = self.folder.path().join("pkcs1.pem");
        openssl(&[
            "rsa",
            "-in",
            path(&self.file()),
            "-traditional",
            "-out",
            path(&file),
        ]);
        file
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_pem(&self.public_pem, "key-1").unwrap()
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.expect("openssl, which `scripts/install.sh test` installs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
