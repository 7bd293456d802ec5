//! Snapshots of what the commands print, in `tests/cmd`: help, usage errors, `check`, `match`, `route`, `explain`, `convert`.
//!
//! `TRYCMD=overwrite cargo test -p cli --test cmd` writes them anew; read the difference before committing it.

#[test]
fn snapshots() {
    // The width of the terminal the tests happen to run in must not change the help.
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .case("tests/cmd/*.trycmd");
}
