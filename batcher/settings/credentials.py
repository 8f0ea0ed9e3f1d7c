"""Where credentials may be, as flags, config file and environment have it together."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batcher.drs.auth.option_names import OPTION_NAMES
from batcher.drs.auth.options import NO_OPTIONS, CredentialOptions, ScopeProfile
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.endpoints import endpoint_of_region, normalise_endpoint
from batcher.settings.configfile import ConfigFile
from batcher.settings.errors import SettingsError
from batcher.settings.model import RunSettings


def credential_sources(
    settings: RunSettings, config: ConfigFile | None, flags: CredentialOptions = NO_OPTIONS
) -> CredentialSources:
    """All places where this run's credentials may be. Raises `SettingsError` with everything that is wrong."""
    if config is None:
        return CredentialSources(
            options=flags, endpoints=_endpoints(settings, ()), insecure_http=settings.insecure_http
        )
    findings: list[str] = []
    file_options = _options(config.credentials, str(config.path), findings)
    profiles = tuple(_profiles(config, settings, findings))
    if findings:
        raise SettingsError(findings)
    return CredentialSources(
        options=flags,
        file_options=file_options,
        file_title=str(config.path),
        profiles=profiles,
        endpoints=_endpoints(settings, profiles),
        insecure_http=settings.insecure_http,
    )


def _endpoints(settings: RunSettings, profiles: tuple[ScopeProfile, ...]) -> frozenset[str]:
    """Those that the operator named; where one is wrong, others say so."""
    named = {profile.endpoint for profile in profiles if profile.endpoint is not None}
    try:
        if settings.endpoint is not None:
            named.add(normalise_endpoint(settings.endpoint, insecure_http=settings.insecure_http))
    except ValueError:
        pass
    return frozenset(named)


def _profiles(config: ConfigFile, settings: RunSettings, findings: list[str]) -> Iterator[ScopeProfile]:
    """The sections that hold credentials of their own for a project."""
    for name, section in config.profiles.items():
        origin = f"{config.path}, [profiles.{name}]"
        options = _options(section, origin, findings)
        project_id = section.get("project_id")
        if not isinstance(project_id, str) or not options:
            continue
        try:
            endpoint = _endpoint(section, settings)
        except ValueError as error:
            findings.append(f"{origin}: {error}.")
            continue
        yield ScopeProfile(name=name, origin=origin, project_id=project_id, options=options, endpoint=endpoint)


def _endpoint(section: Mapping[str, Any], settings: RunSettings) -> str | None:
    region, endpoint = section.get("region"), section.get("endpoint")
    if isinstance(endpoint, str):
        allowed = settings.insecure_http or section.get("insecure_http") is True
        return normalise_endpoint(endpoint, insecure_http=allowed)
    return endpoint_of_region(region) if isinstance(region, str) else None


def _options(section: Mapping[str, Any], origin: str, findings: list[str]) -> CredentialOptions:
    values: dict[str, Any] = {}
    for key in OPTION_NAMES:
        value = section.get(key)
        if value is None:
            continue
        if not isinstance(value, str) or not value.strip():
            findings.append(f"{origin}: {key} must be text, in quotes.")
            continue
        values[key] = Path(value) if key.endswith("_file") else value
    return CredentialOptions(**values)
