"""From the fleet to the manifest: which jobs there are, which of them can be compared, and what of each."""
