"""What deploys workers: each file as far as it can be held to its word without the system that it is for."""

import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
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


def kubernetes(component: str = "worker") -> dict[str, dict[str, Any]]:
    """The manifests of a component, by their kind."""
    text = (CONFIG / "kubernetes-fleet.yaml").read_text(encoding="utf-8")
    every = list(yaml.safe_load_all(text))
    return {one["kind"]: one for one in every if one["metadata"]["labels"]["app.kubernetes.io/component"] == component}


def pod(component: str = "worker") -> dict[str, Any]:
    spec = kubernetes(component)["Deployment"]["spec"]["template"]["spec"]
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
    kept = [pod(component)["containers"][0]["args"] for component in ("worker", "service")]
    for words in [*(service["command"] for service in services.values()), *kept]:
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


def test_the_service_takes_waves_in_and_runs_none() -> None:
    spec, found = pod("service"), kubernetes("service")
    (container,) = spec["containers"]
    for words in (container["args"], compose()["service"]["command"]):
        assert "--workers=0" in words
        assert any(word.startswith("--tokens=") for word in words)
    assert "batcher-cloud" not in str(container["envFrom"])  # it needs no credential of the cloud
    assert container["securityContext"] == pod()["containers"][0]["securityContext"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
    ):
        assert selector == labels
    published = compose()["service"]
    assert published["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
    assert all(port.startswith("127.0.0.1:") for port in published["ports"])
    assert published["environment"]["TMPDIR"] in [volume.partition(":")[2] for volume in published["volumes"]]


@pytest.mark.slow
def test_the_service_starts_as_it_is_told_to_and_its_probes_know_of_the_database(tmp_path: Path) -> None:
    needed()
    cluster = Cluster.make()
    (container,) = pod("service")["containers"]
    tokens = tmp_path / "tokens"
    environ = {**os.environ, "BATCHER_DATABASE": cluster.url()}
    environ.pop("BATCHER_TOKEN", None)
    try:
        assert run_batcher(["database", "prepare", cluster.url(), "--apply"]) == 0
        assert run_batcher(["token", "new", "portal", "--role", "submit", "--tokens", str(tokens)]) == 0
        for arguments in (container["args"], compose()["service"]["command"]):
            words = [word for word in arguments if not word.startswith(("--database=", "--tokens=", "--listen="))]
            words += [f"--tokens={tokens}", "--listen=127.0.0.1:0"]
            with subprocess.Popen(
                [sys.executable, "-m", "batcher", *words], env=environ, stderr=subprocess.PIPE, text=True
            ) as service:
                assert service.stderr is not None
                url = next(found[1] for line in service.stderr if (found := re.search(r"at (http://\S+)", line)))
                assert probed(url, container["readinessProbe"]) == 200
                assert probed(url, container["livenessProbe"]) == 200
                cluster.stop()
                assert probed(url, container["readinessProbe"]) == 503
                assert probed(url, container["livenessProbe"]) == 200
                cluster.start()
                _ends(partial(_is_ready, url, container["readinessProbe"]))
                service.terminate()
                service.stderr.read()
                assert service.wait(timeout=90) == 0, shlex.join(words)
    finally:
        cluster.remove()


def probed(url: str, probe: dict[str, Any]) -> int:
    """The status that the *probe* of a service gets."""
    try:
        with urllib.request.urlopen(url + probe["httpGet"]["path"], timeout=probe["timeoutSeconds"]) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _is_ready(url: str, probe: dict[str, Any]) -> bool:
    return probed(url, probe) == 200


def _ends(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 90
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
        return subprocess.run(probe, env=environ, check=False, timeout=90).returncode

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
                assert worker.wait(timeout=90) == 0, shlex.join(arguments)
        assert probed() == 1
        cluster.ask("INSERT INTO batcher.workers (name, host, pid, lanes) VALUES ('w', %s, 1, 1)", os.uname().nodename)
        assert probed() == 0
        cluster.ask("UPDATE batcher.workers SET seen_at = now() - interval '5 min'")
        assert probed() == 1
        cluster.stop()
        assert probed() == 0
    finally:
        cluster.remove()
