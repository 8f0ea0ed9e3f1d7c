"""The benchmarks of batcher: see scripts/bench."""
