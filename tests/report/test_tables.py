"""The report's CSV in spreadsheets: text stays text, also where a file is opened otherwise than it was written."""

import csv
import io
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from batcher.report.tables import write_entries
from tests.report.waves import write_wave

# `x;=1+1` was calculated where a file that was written with commas was opened with semicolons.
FORMULAS = ["=1+1", "+1+1", "-1+1", "@A1", '"=1+1"', " =1+1", "\t=1+1", "\n=1+1", "\uff1d1+1"]


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_no_piece_of_a_cell_is_a_formula_whatever_the_file_is_opened_with(tmp_path: Path, delimiter: str) -> None:
    results = tmp_path / "results.jsonl"
    write_wave(results, len(FORMULAS) * 5, journal=False, verdicts=False)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    for line, (between, formula) in zip(lines, itertools.product([",", ";", "|", "\t", "\n"], FORMULAS), strict=True):
        line["labels"] = {"note": f"x{between}{formula}", f"y{between}{formula}": formula}
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = io.StringIO(newline="")
    write_entries(out, results, None, delimiter)
    pieces = [piece.lstrip(' "') for piece in re.split(r"[,;|\t\r\n]", out.getvalue())]
    assert len([piece for piece in pieces if piece.startswith("'")]) > len(lines) * 2
    assert [piece for piece in pieces if piece.startswith(("=", "+", "-", "@", "\uff1d"))] == []
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter))
    assert rows[0]["label.note"] == "x,'=1+1"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("soffice") is None, reason="there is no LibreOffice here")
def test_libreoffice_calculates_nothing(tmp_path: Path) -> None:
    """Opened with another delimiter than it was written with; the control shows that it would."""
    results = tmp_path / "results.jsonl"
    write_wave(results, 1, journal=False, verdicts=False)
    line = json.loads(results.read_text()) | {"labels": {"note": "x;=40+2", "more": "y\n=40+2"}}
    results.write_text(json.dumps(line) + "\n")
    with (tmp_path / "ours.csv").open("w", encoding="utf-8", newline="") as out:
        write_entries(out, results, None)
    (tmp_path / "control.csv").write_text("a,x;=40+2\n")
    command = ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless"]
    command += [
        "--infilter=CSV:59,34,76,1",
        "--convert-to",
        "csv:Text - txt - csv (StarCalc):59,34,76",
        "--outdir",
        "out",
    ]
    subprocess.run([*command, "ours.csv", "control.csv"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert (tmp_path / "out" / "control.csv").read_text() == "a,x;42\n"
    assert "42" not in re.split(r"\W", (tmp_path / "out" / "ours.csv").read_text())
    assert "'=40+2" in (tmp_path / "out" / "ours.csv").read_text()
