"""A fleet for `scripts/kill-fleet`: workers in processes of their own, a real database, a simulated cloud, a judge."""
