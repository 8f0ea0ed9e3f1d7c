"""Several machines on one database: leases kept alive, scopes run, workers who look for what is to be done."""
