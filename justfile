# Owns short names for common tasks; the scripts are in deploy/ and scripts/.

# Lists the names.
default:
    @just --list

# Every check, exactly as CI runs it.
check:
    deploy/test.sh

# Quick checks while working: format, lints, tests of the pure core and the rules of the house.
quick:
    cargo fmt
    SQLX_OFFLINE=true cargo clippy --all-targets -- -D warnings
    SQLX_OFFLINE=true cargo test --lib
    SQLX_OFFLINE=true cargo test --test it house::

# Writes .sqlx after a query or a migration changed.
prepare:
    scripts/install.sh test
    scripts/with-postgres.sh cargo sqlx prepare -- --all-targets

# The worker, its servers and sample traffic on this machine.
sandbox *arguments:
    deploy/sandbox.sh {{arguments}}
