"""A local DRS and IAM: a pure core on a handed-in clock, and a thin HTTP front."""
