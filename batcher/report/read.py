"""The tally of a whole results file."""

from pathlib import Path

from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.report.tally import NoResult, Tally
from batcher.wave.results_file import Torn, result_lines, results_problem


def tally_file(path: Path, labels: LabelFilter = ANY_LABELS) -> tuple[Tally, Tally, bool]:
    """The tally of the results file at *path*; that of its lines with *labels*; whether the last line is torn.

    Raises `ResultsError`.
    """
    tally, torn = Tally(), Torn()
    meant = Tally(several=True) if labels else tally
    for number, line in result_lines(path, torn):
        try:
            tally.add(line)
            if labels and labels.takes(line["labels"]):
                meant.add(line)
        except NoResult as error:
            raise results_problem(path, number, str(error)) from None
    return tally, meant, torn.torn
