"""What the API reference leaves open, in one place: each value, and why it is safe until somebody knows better.

Everything else in `batcher.drs` has a source. A value here has none: change it here, and nowhere else.
"""

from typing import Literal

# --- time -------------------------------------------------------------------------------------------------

# How long to wait after a throttled answer that names no time. Limits that were seen elsewhere in this cloud count
# by the minute, and refused calls count as well: after a whole period without a call there is room again.
THROTTLE_WAIT_S = 60.0

# The longest that `Retry-After` is obeyed. No real answer with that header is known; a broken one must not
# hold a scope for a day.
RETRY_AFTER_CAP_S = 3600.0

# How long a request without an answer can still take effect. The server's own time-out is not documented; the
# official SDK waits 120 s for an answer, and a gateway that has given up does not stop its backend. Too long
# costs waiting, too short could make a second comparison.
LANDING_TIME_S = 150.0

# How much earlier than its request a comparison of ours may seem to be created, by the cloud's own clock as it was
# learnt from another comparison: the service is several machines, each with its own clock. Wider means more
# candidates, so more entries left unsettled; narrower could overlook our own. What seems that much older is a person's.
CLOCK_SLACK_S = 5.0

# While the cloud's time is not known, a comparison that was created so much before a request, both by our clock and by
# `Date`, is taken for older than it. Each of the two may be hours off, on a machine without time service or behind a
# gateway without one; that both are, by a week and the same way, is not.
ANCIENT_S = 7 * 86400.0

# How long an unused connection is kept. The gateway's idle time is not documented, and 60 s is common; but Apache,
# Varnish, Privoxy, Node and uvicorn, any of which may stand before it, close after 5 s. A request sent into a
# connection that is just being closed is in doubt, so ours are given up before that.
KEEP_ALIVE_S = 4.0

# Whose "too frequent" this is, is not documented: that of the caller, or of one job that was asked too soon after
# something else. So it slows a scope only where several of its jobs are told so.
TOO_FREQUENT = "DRS.M01503"

# --- the list of comparisons ------------------------------------------------------------------------------

# The page to begin with: the examples start at 1, and a code exists for a bad page number.
FIRST_PAGE = 1

# Comparisons to a page. The maximum is not documented, and exceeding it is an error (DRS.M00211); 10 stands in
# the examples and was seen to work.
LIST_PAGE_SIZE = 10

# Names of object-level comparisons in the list. The create call says `objects`; the list says `object_comparison`,
# and `object` was seen.
OBJECT_LEVEL_TYPES = frozenset({"objects", "object_comparison", "object"})

# Types that hold the one place a job has for an unfinished data-level comparison. `random` (a sample of
# rows, made by the console) is counted in: then a repeat keeps what is there instead of cancelling it.
DATA_LEVEL_TYPES = frozenset({"lines", "contents", "random"})

# --- job states -------------------------------------------------------------------------------------------

# Ids to a batch-status call. Its maximum is not documented; its sister batch-detail advises at most 10.
STATUS_BATCH = 10

# --- the fleet --------------------------------------------------------------------------------------------

# Jobs to a page of the list: the most that is documented.
JOBS_PAGE_SIZE = 100

# Ids to a batch-detail call: at most 10 are advised.
DETAIL_BATCH = 10

# Rows to a page of object mappings: the most that is documented.
MAPPINGS_PAGE_SIZE = 1000

# Engines with a schema between database and table (PostgreSQL, GaussDB, SQL Server, Oracle) have no place for it in
# `compare_object_infos`. batch-detail calls a schema of theirs `database`, so that is what we write as `db_name`.
SCHEMA_AS: Literal["database", "prefix"] = "database"

# Where source and target call an object differently: results are keyed by the source's names, so requests are too.
NAMES_OF: Literal["source", "target"] = "source"

# A database without tables (`table_name` absent) is not documented to mean all of them. It is the only form in which
# a database whose tables nobody tells can be compared, so it is written, and the report says so.
BARE_DATABASES: Literal["keep", "leave-out"] = "keep"

# Tables to one comparison. A row comparison has 60 minutes for all of its tables; how many that allows is not
# documented. A job with more is split.
MAX_TABLES = 1000

# --- answers ----------------------------------------------------------------------------------------------

# Longest answers that are read, in bytes. A create answer takes a few hundred; a page of value differences
# carries statements and key values.
CREATE_ANSWER_LIMIT = 256 * 1024
READ_ANSWER_LIMIT = 8 * 1024 * 1024
