"""What deploys the service: each file as far as it can be held to its word without the system that it is for."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession

from batcher.service.roles import Role
from batcher.service.routes import ROUTES
from batcher.service.tokens import new_token
from tests.packaging.checkout import ROOT
from tests.service.serving import process

CONFIG = ROOT / "config"
UNIT = CONFIG / "batcher.service"
GRACE_S, LAST_S = 25, 5  # of `batcher serve` by default; for answers on their way, and for leaving
HARDENED = 1.5  # what `systemd-analyze security` may come to, of 10


def unit() -> dict[str, list[str]]:
    """The settings of the unit, in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def compose() -> dict[str, Any]:
    """The one service of the compose file."""
    (service,) = yaml.safe_load((CONFIG / "compose.yaml").read_text(encoding="utf-8"))["services"].values()
    assert isinstance(service, dict)
    return service


def kubernetes() -> dict[str, dict[str, Any]]:
    """The manifests, by their kind."""
    text = (CONFIG / "kubernetes.yaml").read_text(encoding="utf-8")
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def pod() -> dict[str, Any]:
    spec = kubernetes()["Deployment"]["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def commands() -> Iterator[tuple[str, list[str]]]:
    """How each of them serves."""
    (start,) = unit()["ExecStart"]
    yield "systemd", shlex.split(start)[1:]
    yield "compose", compose()["command"]
    yield "kubernetes", pod()["containers"][0]["args"]


@pytest.mark.parametrize(("where", "arguments"), list(commands()))
async def test_it_serves_as_it_is_told_to(
    where: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command, in folders of ours, and asked under a name that it was never told, as a probe asks."""
    monkeypatch.setenv("BATCHER_TOKEN", "any")
    told = dict(zip(*[iter(" ".join(arguments[1:]).replace("=", " ").split())] * 2, strict=True))
    assert set(told) == {"--listen", "--data", "--tokens", "--config"}, where
    tokens = tmp_path / "tokens"
    new_token(tokens, "portal", Role.SUBMIT, 0.0)
    ours = ["--tokens", str(tokens), "--config", str(CONFIG / "service.toml")]
    host = told["--listen"].rpartition(":")[0]
    with process(tmp_path / "data", "--listen", f"{host}:0", *ours) as served:
        port = served.url.rpartition(":")[2]
        async with ClientSession() as client:
            for path in ("/healthz", "/readyz"):
                asked = client.get(f"http://127.0.0.1:{port}{path}", headers={"Host": f"10.1.2.3:{port}"})
                async with asked as answer:
                    assert answer.status == 200
        checked = subprocess.run(["sh", "-c", health().replace(":8080/", f":{port}/")], check=False)
        assert checked.returncode == 0
        assert served.end() == 0
    assert subprocess.run(["sh", "-c", health().replace(":8080/", f":{port}/")], check=False).returncode != 0


def health() -> str:
    """The image's health check, of a container whose first process serves."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"^HEALTHCHECK .*?CMD (.+)$", dockerfile, re.MULTILINE)
    only_where, _, probe = command.partition("||")
    assert "serve /proc/1/cmdline" in only_where
    return str(probe).replace("python -c", f"{shlex.quote(sys.executable)} -c")


def test_the_health_check_of_another_command_asks_nobody(tmp_path: Path) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"^HEALTHCHECK .*?CMD (.+)$", dockerfile, re.MULTILINE)
    for words, asks in (("batcher run wave.csv", False), ("batcher serve --data /data", True)):
        line = tmp_path / "cmdline"
        line.write_bytes(words.replace(" ", "\0").encode() + b"\0")
        script = command.partition("||")[0].replace("/proc/1/cmdline", str(line)) + "|| exit 7"
        assert subprocess.run(["sh", "-c", script], check=False).returncode == (7 if asks else 0)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_has_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    """It ends with 0 on words that it does not know: so what it says is looked at."""
    program = Path(sys.executable).with_name("batcher")
    text = UNIT.read_text(encoding="utf-8").replace("/opt/batcher/bin/batcher", str(program))
    (copy := tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    if "Failed to" in verified.stderr and "instance" in verified.stderr:
        pytest.skip(verified.stderr)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(copy)]
    rated = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    (figure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", rated.stdout)
    assert float(figure) <= HARDENED
    assert f"rates it {figure} of 10" in text


def test_each_waits_for_what_is_in_flight() -> None:
    """Longer than the service takes at most, so that it is never killed."""
    least = GRACE_S + LAST_S
    assert int(unit()["TimeoutStopSec"][0]) >= least
    assert int(compose()["stop_grace_period"].removesuffix("s")) >= least
    assert pod()["terminationGracePeriodSeconds"] >= least


def test_the_container_may_do_nothing_but_serve() -> None:
    service = compose()
    assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "10001:10001")
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    spec = pod()
    (container,) = spec["containers"]
    assert not spec["automountServiceAccountToken"]
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_there_is_one_at_a_time_and_what_it_keeps_stays() -> None:
    spec = kubernetes()["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    (container,) = pod()["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod()["volumes"]}
    claims = {volume["name"]: volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod()["volumes"]}
    kept = [
        mounts[name]
        for name, claim in claims.items()
        if claim == kubernetes()["PersistentVolumeClaim"]["metadata"]["name"]
    ]
    paths = {argument.partition("=")[0]: argument.partition("=")[2] for argument in container["args"][1:]}
    assert any(paths["--data"].startswith(f"{path}/") for path in kept)
    for name in ("--tokens", "--config"):
        assert any(paths[name].startswith(f"{path}/") for path in mounts.values())
    (volume,) = [volume.partition(":")[2] for volume in compose()["volumes"]]
    assert all(argument.partition("=")[2].startswith(volume) for argument in compose()["command"] if "data" in argument)


def test_kubernetes_leads_to_it_and_probes_what_is_there() -> None:
    found = kubernetes()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    (container,) = pod()["containers"]
    (port,) = container["ports"]
    open_to_all = {route.path for route in ROUTES if route.role is None and route.method == "GET"}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in open_to_all
        assert asked["port"] == port["name"]
    assert f"--listen=0.0.0.0:{port['containerPort']}" in container["args"]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    policy = found["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(
        rule["from"] and rule["ports"] == [{"protocol": "TCP", "port": port["name"]}] for rule in policy["ingress"]
    )
    assert {one["port"] for rule in policy["egress"] for one in rule["ports"]} == {53, 443}
