"""The report room: summaries made from result lines alone."""
