"""The way to the cloud of one scope: names, TLS, proxy, credential, clock, and the permission of each read."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Iterator
from typing import Protocol
from urllib.parse import urlsplit

from batcher import zone
from batcher.clock import utc, utc_now
from batcher.doctor.check import Check, fault, ok, warning
from batcher.drs import guesses
from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.probe import NO_JOB, CheckedCredential, Standing, check_credential
from batcher.drs.cloud import Credential
from batcher.drs.endpoints import is_loopback, region_of_endpoint
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.drs.proxies import Proxies
from batcher.durations import rough_duration
from batcher.scopes import fleet_of
from batcher.settings import RunSettings

_FAR_S = 60.0
_SOON_DAYS = 14


async def endpoint(address: str, settings: RunSettings) -> list[Check]:
    """How *address*, an endpoint, is reached: through a proxy, or by its name and with which certificate."""
    region = region_of_endpoint(address)
    known = f"{address}, region {region}" if region else f"{address}, which no region table knows"
    found = [ok("endpoint", known)]
    way = Proxies(settings.proxy).to(f"{address}/")
    if way.proxy is not None:
        found.append(ok("proxy", f"through {way.proxy.host}:{way.proxy.port}: it looks the name up, and opens the way"))
        return found
    host = urlsplit(address).hostname or ""
    port = urlsplit(address).port or (443 if address.startswith("https:") else 80)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            told = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        mend = "look at the endpoint, the DNS, or set a proxy"
        return [*found, fault("name", f"{host} cannot be looked up: {why}", mend)]
    found.append(ok("name", f"{host} is {', '.join(dict.fromkeys(str(info[4][0]) for info in told))}"))
    if address.startswith("https:"):
        found.append(await _tls(host, port, settings))
    elif not is_loopback(host):
        found.append(warning("TLS", "http: what is sent can be read on the way, tokens too", "use https"))
    return found


async def _tls(host: str, port: int, settings: RunSettings) -> Check:
    context = ssl.create_default_context(cafile=None if settings.ca_bundle is None else str(settings.ca_bundle))
    try:
        async with asyncio.timeout(settings.connect_timeout):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        mend = "where a proxy or a private authority signs, name its certificate with --ca-bundle"
        return fault("TLS", f"the certificate of {host} is not trusted: {error.verify_message}", mend)
    except (OSError, TimeoutError) as error:
        why = "no answer" if isinstance(error, TimeoutError) else str(error)
        return fault("TLS", f"{host}:{port} cannot be reached: {why}", "look at the firewall, or set a proxy")
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    until = certificate.get("notAfter")
    if isinstance(until, str):
        ends = utc(ssl.cert_time_to_seconds(until))
        day = f"{zone.shown(ends):%Y-%m-%d}"
        if (ends - utc_now()).days < _SOON_DAYS:
            return warning("TLS", f"the certificate of {host} ends on {day}", "tell whoever runs it")
        return ok("TLS", f"the certificate of {host} is trusted, until {day}")
    return ok("TLS", f"the certificate of {host} is trusted")


class _ReadOutcome(Protocol):
    """The outcome of a call that only reads."""

    @property
    def trouble(self) -> Trouble | None: ...
    @property
    def http_status(self) -> int | None: ...


async def scope(finder: CredentialFinder, credential: Credential, address: str, project_id: str) -> list[Check]:
    """The credential of one scope, the cloud's clock, and which reads it is let in to."""
    fleet = fleet_of(finder.transport, endpoint=address, project_id=project_id, credential=credential)
    checked = await check_credential(finder, fleet, credential, address, project_id)
    found = [_standing(checked, project_id), *_clock(checked.skew_s)]
    found += [warning("credential", remark, "see above") for remark in checked.remarks if "clock" not in remark]
    if checked.standing is not Standing.TAKEN:
        return found
    reads: dict[str, Awaitable[_ReadOutcome]] = {
        "job states (batch-status)": fleet.job_statuses([NO_JOB]),
        "comparisons (query-compare-result)": fleet.list_comparisons(NO_JOB, page=guesses.FIRST_PAGE),
        "the list of jobs (for discover)": fleet.list_jobs("migration", page=1),
        "job details (for discover)": fleet.job_details([NO_JOB]),
    }
    found += [await _permission(name, read) for name, read in reads.items()]
    found.append(ok("create", "whether comparisons may be created only a create request can show"))
    return found


def _standing(checked: CheckedCredential, project_id: str) -> Check:
    said = f"{checked.credential}, project {project_id}"
    match checked.standing:
        case Standing.TAKEN:
            return ok("credential", f"{said}: the cloud takes it")
        case Standing.REFUSED:
            return fault("credential", f"{said}: refused", checked.why or "use another one: batcher auth tells more")
        case Standing.UNKNOWN:
            return fault("credential", f"{said}: the cloud could not be asked", checked.why or "look at the way to it")


def _clock(skew_s: float | None) -> Iterator[Check]:
    if skew_s is None:
        return
    side = "behind" if skew_s > 0 else "ahead of"
    said = f"this machine's clock is {rough_duration(abs(skew_s))} {side} what answers there"
    if abs(skew_s) > _FAR_S:
        yield warning("clock", said, "set it (NTP): signatures bear 15 minutes, and times in reports are ours")
    else:
        yield ok("clock", "this machine's clock agrees with what answers there")


async def _permission(name: str, read: Awaitable[_ReadOutcome]) -> Check:
    """Let in is let in, also where the cloud then says that there is no such job, or tells nothing of it."""
    told = await read
    trouble, is_taken = told.trouble, told.http_status is not None and 200 <= told.http_status < 300
    if trouble is None or (trouble.foreign is None and (trouble.fate is Fate.REFUSED or is_taken)):
        return ok("permission", name)
    code = trouble.error_code or trouble.kind.value
    if trouble.kind in (ErrorKind.PERMISSION, ErrorKind.AUTH):
        return fault("permission", f"{name}: refused ({code})", "have the user's policy allow it")
    return warning("permission", f"{name}: not told ({code})", "try again, or look at the way to the cloud")
