"""docs/unattended.md: its files are read by what reads them, as far as that is at hand, and retry nothing blindly."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.checkout import ROOT

yaml = pytest.importorskip("yaml")
PAGE = (ROOT / "docs" / "unattended.md").read_text(encoding="utf-8")
BLOCKS = {
    name: (kind, text)
    for kind, text, name in re.findall(r"```(yaml|ini|groovy)\n((?:#|//) (\S+)\n.*?)```", PAGE, re.DOTALL)
}


def _documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all(BLOCKS[name][1]))


def test_every_yaml_file_is_yaml() -> None:
    named = [name for name, (kind, _) in BLOCKS.items() if kind == "yaml"]
    assert sorted(named) == [".github/workflows/wave.yml", ".gitlab-ci.yml", "wave.yaml"]
    assert all(all(isinstance(document, dict) for document in _documents(name)) for name in named)


def test_nothing_retries_blindly() -> None:
    gitlab = _documents(".gitlab-ci.yml")[0]["run"]
    assert (gitlab["retry"], gitlab["interruptible"]) == (0, False)
    (github,) = _documents(".github/workflows/wave.yml")
    assert github["concurrency"]["cancel-in-progress"] is False
    job = _documents("wave.yaml")[1]["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert "Restart=on-abnormal\n" in BLOCKS["/etc/systemd/system/batcher-wave@.service"][1]


def test_the_pod_keeps_its_memory_on_the_claim_and_is_the_images_user() -> None:
    claim, job = _documents("wave.yaml")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(mounts) == set(volumes)
    assert volumes["results"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert container["args"][container["args"].index("-o") + 1].startswith(mounts["results"] + "/")
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['fsGroup']}\n" in dockerfile


def test_the_time_to_stop_is_longer_than_the_grace() -> None:
    from batcher import RunSettings

    grace = RunSettings.model_fields["grace"].default
    pod = _documents("wave.yaml")[1]["spec"]["template"]["spec"]
    units = [text for kind, text in BLOCKS.values() if kind == "ini"]
    waits = [int(seconds) for text in units for seconds in re.findall(r"TimeoutStopSec=(\d+)", text)]
    assert len(waits) == len(units) == 2
    assert min([pod["terminationGracePeriodSeconds"], *waits]) >= 2 * grace


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("name", [name for name, (kind, _) in BLOCKS.items() if kind == "ini"])
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    """Its program is not on this machine: one that is takes its place."""
    unit = tmp_path / Path(name).name.replace("@.", "@wave.")
    text = BLOCKS[name][1].replace("/usr/local/bin/batcher", shutil.which("true") or "/bin/true")
    unit.write_text(text)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if unit.name in line]) == (0, [])
