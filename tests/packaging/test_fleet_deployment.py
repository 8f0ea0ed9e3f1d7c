"""What deploys workers: each file as far as it can be held to its word without the system that it is for."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from batcher.cli.main import run as run_batcher
from batcher.journal.place import WavePlace
from tests.journal.postgres.cluster import Cluster, needed
from tests.packaging.checkout import ROOT

CONFIG = ROOT / "config"
LONGEST_S = 60  # that a request may take by default; what is in flight is answered before a worker ends


def compose() -> dict[str, Any]:
    """The services of the compose file."""
    services = yaml.safe_load((CONFIG / "compose-fleet.yaml").read_text(encoding="utf-8"))["services"]
    assert isinstance(services, dict)
    return services


def kubernetes() -> dict[str, dict[str, Any]]:
    """The manifests, by their kind."""
    text = (CONFIG / "kubernetes-fleet.yaml").read_text(encoding="utf-8")
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def pod() -> dict[str, Any]:
    spec = kubernetes()["Deployment"]["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def test_three_workers_begin_when_the_tables_are_there() -> None:
    services = compose()
    assert services["worker"]["deploy"]["replicas"] == kubernetes()["Deployment"]["spec"]["replicas"] == 3
    assert services["worker"]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
    assert services["prepare"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["prepare"]["command"][:2] == ["database", "prepare"]
    assert services["prepare"]["command"][-1] == "--apply"
    assert "ports" not in services["database"]


def test_no_password_stands_in_a_command_or_an_address() -> None:
    services = compose()
    for words in [*(service["command"] for service in services.values()), pod()["containers"][0]["args"]]:
        for word in words:
            if "postgresql://" in word:
                WavePlace.of(word[word.index("postgresql://") :])  # it refuses one
            assert "assword" not in word
    for service in services.values():
        given = {**service.get("environment", {})}
        assert all(value.startswith("${PGPASSWORD:?") for name, value in given.items() if "PASSWORD" in name)


def test_each_waits_for_what_is_in_flight() -> None:
    assert int(compose()["worker"]["stop_grace_period"].removesuffix("s")) > LONGEST_S
    assert pod()["terminationGracePeriodSeconds"] > LONGEST_S


def test_a_worker_may_do_nothing_but_work() -> None:
    worker = compose()["worker"]
    assert (worker["read_only"], worker["cap_drop"], worker["user"]) == (True, ["ALL"], "10001:10001")
    assert "no-new-privileges:true" in worker["security_opt"]
    spec = pod()
    (container,) = spec["containers"]
    assert not spec["automountServiceAccountToken"]
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    policy = kubernetes()["NetworkPolicy"]["spec"]
    assert (policy["ingress"], 5432 in [port["port"] for rule in policy["egress"] for port in rule["ports"]]) == (
        [],
        True,
    )


def test_one_at_a_time_is_taken_away_and_every_selector_means_the_workers() -> None:
    found = kubernetes()
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 1
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        pod()["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ):
        assert selector == labels
    (container,) = pod()["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod()["volumes"]}


def _ends(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.slow
def test_the_worker_starts_as_it_is_told_to_and_its_probe_knows_whether_it_works() -> None:
    """On a database of our own: not there yet, at work, gone for long, and while the database is away."""
    needed()
    cluster = Cluster.make()
    (container,) = pod()["containers"]
    probe = [sys.executable, *container["livenessProbe"]["exec"]["command"][1:]]
    assert container["startupProbe"]["exec"] == container["livenessProbe"]["exec"]
    environ = {**os.environ, "BATCHER_DATABASE": cluster.url(), "BATCHER_TOKEN": "any"}

    def probed() -> int:
        return subprocess.run(probe, env=environ, check=False, timeout=60).returncode

    try:
        assert run_batcher(["database", "prepare", cluster.url(), "--apply"]) == 0
        assert probed() == 1
        for arguments in (container["args"], compose()["worker"]["command"]):
            words = [word for word in arguments if not word.startswith("--database=")]
            with subprocess.Popen(
                [sys.executable, "-m", "batcher", *words], env=environ, stderr=subprocess.PIPE
            ) as worker:
                _ends(lambda: probed() == 0)
                worker.terminate()
                assert worker.wait(timeout=60) == 0, shlex.join(arguments)
        assert probed() == 1
        cluster.ask("INSERT INTO batcher.workers (name, host, pid, lanes) VALUES ('w', %s, 1, 1)", os.uname().nodename)
        assert probed() == 0
        cluster.ask("UPDATE batcher.workers SET seen_at = now() - interval '5 min'")
        assert probed() == 1
        cluster.stop()
        assert probed() == 0
    finally:
        cluster.remove()
