"""What the documentation says a discovery costs."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def test_the_figures_of_a_discovery_are_there_and_kept() -> None:
    """If this fails: scripts/discover-fleet --into docs/performance.md."""
    found = re.search(r"<!-- scripts/discover-fleet -->\n(.*)<!-- /scripts/discover-fleet -->", PAGE.read_text(), re.S)
    assert found is not None
    rows = [line for line in found[1].splitlines() if line.startswith("|")]
    assert "| GO  " in rows[-1]
    assert not any("**no**" in row for row in rows)
