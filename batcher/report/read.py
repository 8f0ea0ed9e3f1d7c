"""The tally of a whole results file."""

from pathlib import Path

from batcher.report.tally import NoResult, Tally
from batcher.wave.results_file import Torn, result_lines, results_problem


def tally_file(path: Path) -> tuple[Tally, bool]:
    """The tally of the results file at *path*, and whether its last line is torn. Raises `ResultsError`."""
    tally, torn = Tally(), Torn()
    for number, line in result_lines(path, torn):
        try:
            tally.add(line)
        except NoResult as error:
            raise results_problem(path, number, str(error)) from None
    return tally, torn.torn
