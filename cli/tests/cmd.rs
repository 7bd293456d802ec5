//! Snapshots of what the commands print, in `tests/cmd`: help, usage errors, `check`, `match`, `route`, `explain`, `convert`.
//!
//! `TRYCMD=overwrite cargo test -p cli --test cmd` writes them anew; read the difference before committing it.

#[test]
fn snapshots() {
    cases().case("tests/cmd/*.trycmd").run();
    // The `console` blocks of the README, whose paths begin at the root of the repository. Its `sh` blocks need a network.
    std::env::set_current_dir("..").unwrap();
    cases().case("README.md").run();
}

fn cases() -> trycmd::TestCases {
    let cases = trycmd::TestCases::new();
    // The width of the terminal the tests happen to run in must not change the help.
    cases.env("COLUMNS", "80").env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    cases
}
