"""Creates Huawei Cloud DRS comparison tasks in bulk: each once, none lost, never over the limit.

The Python face is `Wave`, see `batcher.api`, and for waves of a service `Service`, see `batcher.client.service`. Names
are loaded when they are first used, so that importing the package costs nothing.
"""

from batcher._version import __version__

TYPE_CHECKING = False  # typing's own would load it, and this is what is loaded before an interruption is taken quietly
if TYPE_CHECKING:
    from batcher.api import Wave as Wave
    from batcher.client.errors import ServiceLost as ServiceLost
    from batcher.client.errors import ServiceRefused as ServiceRefused
    from batcher.client.service import Service as Service
    from batcher.drs.auth.options import CredentialOptions as CredentialOptions
    from batcher.drs.auth.sources import CredentialSources as CredentialSources
    from batcher.errors import BatcherError as BatcherError
    from batcher.errors import UserError as UserError
    from batcher.follow.verdicts_file import VerdictsError as VerdictsError
    from batcher.gate.of_files import evaluate_gate as evaluate_gate
    from batcher.gate.result import GateResult as GateResult
    from batcher.gate.result import GateVerdict as GateVerdict
    from batcher.journal.errors import JournalFailed as JournalFailed
    from batcher.journal.errors import NotAJournal as NotAJournal
    from batcher.journal.errors import WaveRefused as WaveRefused
    from batcher.life.result import Result as Result
    from batcher.life.result import Status as Status
    from batcher.manifest import Finding as Finding
    from batcher.manifest import ManifestError as ManifestError
    from batcher.rates import Rate as Rate
    from batcher.settings import RunSettings as RunSettings
    from batcher.settings import SettingsError as SettingsError
    from batcher.station import Station as Station
    from batcher.wave.engine import WaveEnd as WaveEnd
    from batcher.wave.opening import BadManifest as BadManifest
    from batcher.wave.request import OpeningStopped as OpeningStopped
    from batcher.wave.sink import SinkFailed as SinkFailed
    from batcher.wave.status import WaveStatus as WaveStatus
    from batcher.wave.stop import Stop as Stop
    from batcher.wave.stop import StopKind as StopKind

_HOMES = {
    "BadManifest": "batcher.wave.opening",
    "BatcherError": "batcher.errors",
    "CredentialOptions": "batcher.drs.auth.options",
    "CredentialSources": "batcher.drs.auth.sources",
    "Finding": "batcher.manifest",
    "GateResult": "batcher.gate.result",
    "GateVerdict": "batcher.gate.result",
    "JournalFailed": "batcher.journal.errors",
    "ManifestError": "batcher.manifest",
    "NotAJournal": "batcher.journal.errors",
    "OpeningStopped": "batcher.wave.request",
    "Rate": "batcher.rates",
    "Result": "batcher.life.result",
    "RunSettings": "batcher.settings",
    "Service": "batcher.client.service",
    "ServiceLost": "batcher.client.errors",
    "ServiceRefused": "batcher.client.errors",
    "SettingsError": "batcher.settings",
    "SinkFailed": "batcher.wave.sink",
    "Station": "batcher.station",
    "Status": "batcher.life.result",
    "Stop": "batcher.wave.stop",
    "StopKind": "batcher.wave.stop",
    "UserError": "batcher.errors",
    "VerdictsError": "batcher.follow.verdicts_file",
    "Wave": "batcher.api",
    "WaveEnd": "batcher.wave.engine",
    "WaveRefused": "batcher.journal.errors",
    "WaveStatus": "batcher.wave.status",
    "evaluate_gate": "batcher.gate.of_files",
}

__all__ = [
    "BadManifest",
    "BatcherError",
    "CredentialOptions",
    "CredentialSources",
    "Finding",
    "GateResult",
    "GateVerdict",
    "JournalFailed",
    "ManifestError",
    "NotAJournal",
    "OpeningStopped",
    "Rate",
    "Result",
    "RunSettings",
    "Service",
    "ServiceLost",
    "ServiceRefused",
    "SettingsError",
    "SinkFailed",
    "Station",
    "Status",
    "Stop",
    "StopKind",
    "UserError",
    "VerdictsError",
    "Wave",
    "WaveEnd",
    "WaveRefused",
    "WaveStatus",
    "__version__",
    "evaluate_gate",
]


def __getattr__(name: str) -> object:
    """Load a name of the Python face on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
