//! Nothing: this package exists for its benchmarks, `cargo bench -p benches`.
