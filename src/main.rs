//! The binary: runs the commands.

fn main() -> std::process::ExitCode {
    rolekeeper::cli::main()
}
