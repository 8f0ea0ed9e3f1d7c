"""The entry point, of `batcher` and of `python -m batcher`."""

from batcher.cli import interruptions

TYPE_CHECKING = False  # see `batcher`
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command line and exit; see `batcher.cli.main`."""
    interruptions.end_at_once()
    from batcher.cli.main import main as command_line  # takes a tenth of a second

    command_line()


if __name__ == "__main__":
    main()
