"""The settings by subject: how `--help` and docs/configuration.md order them. Every setting is in one group."""

from collections.abc import Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Where to": ("region", "endpoint", "project_id", "language"),
    "How fast": ("rate", "read_rate", "concurrency", "deadline"),
    "What is submitted": ("skip_invalid", "allow_duplicates", "digest", "retry_failed", "restart"),
    "When things go wrong": (
        "attempts",
        "timeout",
        "connect_timeout",
        "entry_deadline",
        "landing_time",
        "reconcile",
        "look_first",
        "wait_ready",
        "give_up_after",
        "max_failures",
        "grace",
    ),
    "From created to verdict": (
        "wait",
        "watch_timeout",
        "poll",
        "allow_inconsistent",
        "max_running",
        "max_running_per",
        "notify",
        "on_end",
    ),
    "The way there": ("ca_bundle", "proxy", "insecure_http"),
    "What is said": ("quiet", "timezone", "log_format", "log_level"),
}
FURTHER = "Further"  # settings that are in no group yet


def group_of(name: str) -> str:
    """The subject of the setting *name*."""
    return next((title for title, names in GROUPS.items() if name in names), FURTHER)


def by_group(names: tuple[str, ...]) -> dict[str, list[str]]:
    """*names* by their subject, in the order of the groups."""
    ordered = {title: [name for name in group if name in names] for title, group in GROUPS.items()}
    ordered[FURTHER] = [name for name in names if group_of(name) == FURTHER]
    return {title: group for title, group in ordered.items() if group}
