"""Tries every command in every surrounding of `tests/surroundings.py`, and with odd words in place of its own."""

import random
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cli.test_anything import MISTYPED, NAMES, SURROUNDED, check, made


@click.command()
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Try one in so many.")
@click.option("--command", "names", multiple=True, type=click.Choice(NAMES), help="Only this command; several times.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order, and so of which one in so many.")
@click.option("--at-once", type=click.IntRange(1), default=4, show_default=True, help="Processes at once.")
def main(every: int, names: tuple[str, ...], seed: int, at_once: int) -> None:
    """Expect a documented exit code, no traceback and no defect of each. Some minutes for all."""
    cases = [case for case in SURROUNDED + MISTYPED if not names or case[0][0] in names]
    random.Random(seed).shuffle(cases)
    cases = cases[::every]
    wrong = tried = 0
    with tempfile.TemporaryDirectory(prefix="batcher-anything-") as folder, ThreadPoolExecutor(at_once) as pool:
        template = Path(folder, "template")
        template.mkdir()
        with made(template) as prepared:

            def one(number: int) -> str | None:
                here = Path(folder, str(number))
                try:
                    return check(prepared, here, *cases[number])
                except AssertionError as error:
                    return f"{cases[number]}: {error}"
                finally:
                    shutil.rmtree(here, ignore_errors=True)

            for said in pool.map(one, range(len(cases))):
                tried += 1
                if said is not None:
                    wrong += 1
                    print(said, end="\n\n", flush=True)
    print(f"{tried:,} tried, {wrong:,} ended with an undocumented code, a traceback or a defect")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
