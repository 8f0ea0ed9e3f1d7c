"""A local DRS and IAM, in two layers.

The core is a state machine over values, on a handed-in clock and one seed, without I/O: `model` (the cloud), `iam`
(who is let in) and `faults` (what goes wrong), put together by `service`. Simulated worlds drive it directly. The
HTTP front, `server`, carries out what the core plans. What the cloud saw is in the `ledger`, the judge of tests.
"""
