"""scripts/_audit.py: what fails the audit, what is shown, what is skipped."""

import json
from typing import Any

import pytest

from tests.packaging.checkout import script

audit_script = script("_audit.py")


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SOUND = {"name": "click", "version": "8.5.1", "vulns": []}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found"}
MENDABLE = {"name": "idna", "version": "3.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.2", "4.0"]}]}
OPEN = {"name": "attrs", "version": "1.0", "vulns": [{"id": "PYSEC-2", "fix_versions": []}]}


def test_sound() -> None:
    code, lines = audit_script.verdict(audit_script.read_report(report(SOUND)))
    assert (code, lines) == (0, ["audit: 1 packages looked up, 0 vulnerabilities"])


def test_a_vulnerability_with_a_mend_fails_and_says_what_to_do() -> None:
    code, lines = audit_script.verdict(audit_script.read_report(report(SOUND, MENDABLE, OPEN)))
    assert code == 1
    assert "audit: error: idna 3.1: PYSEC-1, mended in 3.2, 4.0; scripts/lock -P idna" in lines


def test_a_vulnerability_without_a_mend_warns() -> None:
    code, lines = audit_script.verdict(audit_script.read_report(report(SOUND, OPEN, UNKNOWN)))
    assert code == 0
    assert "audit: warning: attrs 1.0: PYSEC-2, no mend yet" in lines
    assert "audit: not known to the service: rich" in lines


def test_the_next_service_is_asked_and_then_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def unreachable(service: str) -> str:
        asked.append(service)
        return "out of reach"

    monkeypatch.setattr(audit_script, "ask", unreachable)
    assert audit_script.main() == 0
    assert asked == ["pypi", "osv"]
    assert "skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("import sys; sys.exit('Traceback\\nConnectionError: no route')", "ConnectionError: no route"),
        (f"print('''{report(UNKNOWN)}''')", "it knows none of the 1 packages"),
        ("import time; time.sleep(60)", "no answer within 0.2 s"),
    ],
)
def test_no_data_is_never_taken_for_no_vulnerabilities(
    said: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stand_in = tmp_path_factory.mktemp("stand-in")
    (stand_in / "pip_audit.py").write_text(said, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(stand_in))
    if "sleep" in said:
        monkeypatch.setattr(audit_script, "WHOLE_S", 0.2)
    assert audit_script.ask("pypi") == reason
