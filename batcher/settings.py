"""The settings of a run, wherever they come from: flag, environment, config file, built-in default.

The same names everywhere: `--max-failures`, `BATCHER_MAX_FAILURES`, `max_failures = …`. Importing this module
imports pydantic; what must start quickly imports it late.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from batcher.durations import duration_text, parse_duration
from batcher.errors import UserError
from batcher.masking import is_secret_name, mask_text
from batcher.nearest import nearest
from batcher.rates import Pace, Rate, parse_pace
from batcher.wave.policy import MaxFailures, Reconcile

ENV_PREFIX = "BATCHER_"
CONFIG_NAME = "batcher.toml"

# Names in our environment that are no settings: credentials, and how settings are found.
CREDENTIAL_NAMES = (
    "TOKEN",
    "TOKEN_FILE",
    "AK",
    "SK",
    "SECURITY_TOKEN",
    "USERNAME",
    "PASSWORD",
    "DOMAIN",
    "IAM_ENDPOINT",
)
_OTHER_NAMES = ("CONFIG", "PROFILE")


class SettingsError(UserError):
    """Settings that cannot be used; the message has a line for each, with its source, value and mend."""

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(self.findings))


def _pace(value: Any) -> Any:
    return parse_pace(value) if isinstance(value, str) else value


def _pace_type(value: Any) -> Any:
    if value not in ("off", "auto") and not isinstance(value, Rate):
        raise ValueError("is no rate; write a count and a period: 10/s, 600/min, 1000/h or 10/5s")
    return value


def _max_failures(value: Any) -> Any:
    if isinstance(value, MaxFailures):
        return value
    text = str(value).strip()
    percent = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
    if percent and 0 < float(percent[1]) <= 100:
        return MaxFailures(percent=float(percent[1]))
    if re.fullmatch(r"[1-9]\d*", text) and not isinstance(value, bool):
        return MaxFailures(count=int(text))
    raise ValueError("is neither a count nor a share; write 20 or 5% (at least 1, at most 100%)")


def _max_failures_text(value: MaxFailures | None) -> str | None:
    if value is None or (value.count is None and value.percent is None):
        return None
    return str(value.count) if value.count is not None else f"{value.percent:g}%"


def _digest(value: str) -> str:
    text = value.strip().lower()
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise ValueError("is no digest; copy sha256:… with its 64 hex digits from `batcher check`")
    return text


def _ca_bundle(value: Path) -> Path:
    path = value.expanduser()
    if not path.is_file():
        raise ValueError("is no file; name a PEM file with the certificates to trust")
    return path


def _proxy(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no proxy URL; write http://HOST:PORT")
    return value.strip()


Seconds = Annotated[float, BeforeValidator(parse_duration)]
PaceSetting = Annotated[
    Any,
    BeforeValidator(_pace),
    AfterValidator(_pace_type),
    PlainSerializer(str, return_type=str, when_used="unless-none"),
]


class RunSettings(BaseSettings):
    """Every setting of `batcher run`; durations are seconds. Made by `load`, or in Python by keywords.

    Keywords beat the environment, as flags do.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
        validate_default=False,
    )

    endpoint: str | None = Field(default=None, description="The cloud's DRS endpoint, as a URL; instead of `region`.")
    region: str | None = Field(default=None, description="The cloud's region; gives the endpoint.")
    project_id: str | None = Field(default=None, description="Project of entries that name none.")
    rate: PaceSetting = Field(
        default=Rate(5, 1.0),
        description="Create requests allowed in each scope: `5/s`, `600/min`, `1000/h`, `10/5s`; `off` means no "
        "limit of ours, `auto` means to find the cloud's.",
    )
    read_rate: PaceSetting | None = Field(
        default=None, description="Look-ups allowed in each scope; by default the same as `rate`."
    )
    concurrency: int = Field(
        default=16, ge=1, le=1000, description="Requests in flight at once in each scope, 1 to 1000."
    )
    attempts: int = Field(
        default=5, ge=1, le=100, description="Create requests for one entry at most; throttled ones not counted."
    )
    timeout: Seconds = Field(default=60.0, gt=0, description="Time for one attempt, connecting included.")
    connect_timeout: Seconds = Field(default=10.0, gt=0, description="Time for connecting.")
    entry_deadline: Seconds = Field(
        default=900.0, gt=0, description="No attempt begins later than this after an entry's first one."
    )
    landing_time: Seconds = Field(
        default=150.0,
        gt=0,
        description="How long a request without an answer may still take effect in the cloud; only after that "
        "is an entry that is not in the cloud's list sent again.",
    )
    max_failures: Annotated[MaxFailures | None, BeforeValidator(_max_failures), PlainSerializer(_max_failures_text)] = (
        Field(default=None, description="Stop the wave at so many failed entries: `20`, or `5%` of the manifest.")
    )
    language: Literal["en-us", "zh-cn"] | None = Field(
        default=None, description="Language of the cloud's messages; by default the cloud's choice."
    )
    allow_duplicates: bool = Field(
        default=False, description="Submit entries that name the same job, one after the other."
    )
    skip_invalid: bool = Field(default=False, description="Report invalid entries as `invalid` and submit the others.")
    digest: Annotated[str, AfterValidator(_digest)] | None = Field(
        default=None, description="Run only the manifest with this digest, as `batcher check` showed it."
    )
    reconcile: Reconcile = Field(
        default=Reconcile.WINDOW,
        description="How an entry in doubt is looked up: `window`, `snapshot` (lists the job's comparisons "
        "before the first attempt as well), `off` (every doubt is unsettled).",
    )
    retry_failed: bool = Field(default=False, description="Take up failed entries of the wave again.")
    restart: bool = Field(
        default=False, description="Begin a new wave and keep the old files aside. Submits everything again."
    )
    wait_ready: Seconds = Field(
        default=0.0, ge=0, description="Hold an entry for so long while its job is not ready yet."
    )
    grace: Seconds = Field(default=30.0, ge=0, description="Time for what is in flight to be settled after a signal.")
    ca_bundle: Annotated[Path, AfterValidator(_ca_bundle)] | None = Field(
        default=None, description="PEM file with the certificate authorities to trust."
    )
    proxy: Annotated[str, AfterValidator(_proxy), PlainSerializer(mask_text, return_type=str)] | None = Field(
        default=None, repr=False, description="HTTP proxy to go through."
    )
    insecure_http: bool = Field(default=False, description="Allow endpoints without TLS elsewhere than on loopback.")
    log_format: Literal["console", "json"] = Field(
        default="console", description="How log lines look: for people, or a JSON object each."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important log lines to show."
    )
    quiet: bool = Field(default=False, description="No progress and no summary; warnings and errors only.")

    @property
    def pace(self) -> Pace:
        """`rate`, typed."""
        return cast("Pace", self.rate)

    @property
    def read_pace(self) -> Pace:
        """`read_rate`, which by default is `rate`."""
        return cast("Pace", self.rate if self.read_rate is None else self.read_rate)

    @model_validator(mode="after")
    def _fits_together(self) -> "RunSettings":
        if misfits := tuple(_misfits(self)):
            text = "; ".join(f"{' and '.join(names)}: {problem}" for names, problem in misfits)
            raise PydanticCustomError("misfit", "{text}", {"text": text, "misfits": misfits})
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Highest precedence first; secrets files and dotenv have no part in this."""
        config = _CONFIG.get()
        sections = () if config is None else (config.profile, config.top)
        return (
            init_settings,
            _Environment(settings_cls),
            *(_Section(settings_cls, section) for section in sections),
        )


def _misfits(settings: RunSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that are each sound but do not go together."""
    if settings.endpoint is not None and settings.region is not None:
        yield ("endpoint", "region"), "only one of them can be used: drop the one you do not mean"
    if settings.connect_timeout > settings.timeout:
        yield (
            ("connect_timeout", "timeout"),
            "connecting is part of an attempt: make connect_timeout at most timeout",
        )
    if settings.entry_deadline <= settings.landing_time:
        yield (
            ("entry_deadline", "landing_time"),
            "an entry without an answer could never be sent again: make entry_deadline longer than landing_time",
        )
    if settings.retry_failed and settings.restart:
        yield ("retry_failed", "restart"), "a new wave has no failed entries yet: use one of the two"


# `endpoint` and `region` say the same thing: the one that comes from higher up beats both from further down.
_ALTERNATIVES = frozenset({"endpoint", "region"})


def _without_beaten(values: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    if _ALTERNATIVES.isdisjoint(above):
        return values
    return {name: value for name, value in values.items() if name not in _ALTERNATIVES}


class _Environment(EnvSettingsSource):
    def __call__(self) -> dict[str, Any]:
        return _without_beaten(super().__call__(), self.current_state)


class _Section(PydanticBaseSettingsSource):
    """One section of the config file: the top level, or the chosen profile."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return _without_beaten(dict(self._values), self.current_state)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A config file as read: its top level, and the values of the chosen profile."""

    path: Path
    text: str
    top: Mapping[str, Any]
    profile: Mapping[str, Any]
    profile_name: str | None

    def origin(self, name: str) -> str | None:
        """Where *name* is set: "batcher.toml, line 7"; None where it is not."""
        if name in self.profile:
            return _place(self.path, self.text, f"profiles.{self.profile_name}", name)
        return _place(self.path, self.text, None, name) if name in self.top else None


_CONFIG: ContextVar[ConfigFile | None] = ContextVar("batcher_config", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and how they came about. *origins* has the source of each setting that is not built in."""

    settings: RunSettings
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    config: ConfigFile | None


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    config: Path | str | None = None,
    profile: str | None = None,
) -> Loaded:
    """The settings in force. *flags* are those really given, under the settings' names.

    *config* and *profile* default to `BATCHER_CONFIG` and `BATCHER_PROFILE`, then *config* to the first of
    `./batcher.toml` and the user's own. Raises `SettingsError` with everything that is wrong.
    """
    given = dict(flags or {})
    config = config or os.environ.get(ENV_PREFIX + "CONFIG") or None
    profile = profile or os.environ.get(ENV_PREFIX + "PROFILE") or None
    file = read_config(find_config(config), profile=profile)
    token = _CONFIG.set(file)
    try:
        settings = RunSettings(**given)
    except ValidationError as error:
        raise SettingsError(dict.fromkeys(_explained(error, given, file))) from None
    finally:
        _CONFIG.reset(token)
    origins = {
        name: origin
        for name in RunSettings.model_fields
        if (origin := _origin(name, given, file)) is not None
        and not (name in _ALTERNATIVES and getattr(settings, name) is None)
    }
    return Loaded(settings=settings, origins=origins, warnings=tuple(_warnings(settings, origins, given)), config=file)


def find_config(named: Path | str | None = None) -> Path | None:
    """The config file to read: the one *named*, else `./batcher.toml`, else the user's own, else None."""
    if named is not None:
        path = Path(named).expanduser()
        if not path.exists() or path.is_dir():
            raise SettingsError([f"config file {path}: {'is a folder' if path.is_dir() else 'does not exist'}."])
        return path
    candidates = (Path(CONFIG_NAME), user_config())
    return next((path for path in candidates if path.is_file()), None)


def user_config() -> Path:
    """Where the user's own config file lies, whether it exists or not."""
    return platformdirs.user_config_path("batcher") / CONFIG_NAME


def read_config(path: Path | None, *, profile: str | None = None) -> ConfigFile | None:
    """The config file at *path*, checked for what does not belong in it. Raises `SettingsError`."""
    if path is None:
        if profile is not None:
            raise SettingsError(
                [
                    f"profile {profile!r}: there is no config file to find it in. Name one with --config, "
                    f"or write ./{CONFIG_NAME} or {user_config()}."
                ]
            )
        return None
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingsError([f"config file {path}: cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError as error:
        raise SettingsError([f"config file {path}: is not UTF-8 (at byte {error.start}). Save it as UTF-8."]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"config file {path}: is not valid TOML: {error}."]) from None
    profiles = data.pop("profiles", {})
    findings = list(_wrong_keys(path, text, None, data))
    if not isinstance(profiles, dict) or not all(isinstance(section, dict) for section in profiles.values()):
        mend = "profiles are sections: write [profiles.NAME] and its settings below"
        raise SettingsError([f"config file {path}: {mend}."])
    for name, section in profiles.items():
        findings += _wrong_keys(path, text, f"profiles.{name}", section)
    if profile is not None and profile not in profiles:
        near = nearest(profile, profiles)
        there = f"It has {', '.join(profiles)}." if profiles else "It has none."
        findings.append(
            f"profile {profile!r}: config file {path} has no section [profiles.{profile}]. "
            + (f"Did you mean {near!r}? " if near else "")
            + there
        )
    if findings:
        raise SettingsError(findings)
    chosen = profiles[profile] if profile is not None else {}
    return ConfigFile(path=path, text=text, top=data, profile=chosen, profile_name=profile)


def _wrong_keys(path: Path, text: str, section: str | None, values: Mapping[str, Any]) -> Iterator[str]:
    for key in values:
        if key in RunSettings.model_fields:
            continue
        place = _place(path, text, section, key)
        if key.upper() in CREDENTIAL_NAMES or is_secret_name(key):
            yield (
                f"{place}: {key} is a credential and has no place in a config file. Take it out, and set "
                f"{ENV_PREFIX}{key.upper()} in the environment instead."
            )
            continue
        near = nearest(key, RunSettings.model_fields)
        mend = f"Did you mean {near!r}?" if near else "docs/configuration.md has all settings."
        yield f"{place}: there is no setting {key!r}. {mend}"


def _place(path: Path, text: str, section: str | None, key: str) -> str:
    """ "batcher.toml, line 7", or the key's section where the line cannot be told (dotted or inline tables)."""
    current: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            current = re.sub(r"[\s\"']", "", header[1])
        elif current == section and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return f"{path}, line {number}"
        if current == key and section is None:
            return f"{path}, line {number}"
    return f"{path}, [{section}]" if section else str(path)


def _origin(name: str, flags: Mapping[str, Any], file: ConfigFile | None) -> str | None:
    if name in flags:
        return flag_name(name)
    variable = ENV_PREFIX + name.upper()
    if os.environ.get(variable):
        return variable
    return file.origin(name) if file is not None else None


def flag_name(name: str) -> str:
    """The flag of the setting *name*."""
    return "--" + name.replace("_", "-")


def _explained(error: ValidationError, flags: Mapping[str, Any], file: ConfigFile | None) -> Iterator[str]:
    """A sentence for each thing that is wrong: source, value, problem and mend."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "misfit":
            for names, problem in detail["ctx"]["misfits"]:
                sources = [f"{name} ({_origin(name, flags, file) or 'by default'})" for name in names]
                yield f"{' and '.join(sources)}: {problem}."
            continue
        name = str(detail["loc"][0]) if detail["loc"] else ""
        source = _origin(name, flags, file) or name
        value = mask_text(str(detail["input"]))
        if source.startswith("--"):
            shown = f"{source} {value}"
        elif source.startswith(ENV_PREFIX):
            shown = f"{source}={value}"
        else:
            shown = f"{source}: {name} = {detail['input']!r}" if value == str(detail["input"]) else source
        problem = _problem(name, detail)
        yield f"{shown} {problem}" + ("" if problem.endswith("?") else ".")


def _problem(name: str, detail: Mapping[str, Any]) -> str:
    """What is wrong, in words, from pydantic's error *detail*; ends in the mend."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "int_parsing" | "int_type" | "int_from_float":
            return "is no whole number"
        case "bool_parsing" | "bool_type":
            return "is neither true nor false"
        case "greater_than":
            return f"must be more than {_number(name, context['gt'])}"
        case "greater_than_equal":
            return f"must be at least {_number(name, context['ge'])}"
        case "less_than_equal":
            return f"must be at most {_number(name, context['le'])}"
        case "literal_error" | "enum":
            known = re.findall(r"'([^']*)'", context["expected"])
            near = nearest(str(detail["input"]), known)
            return f"must be one of {', '.join(known)}" + (f"; did you mean {near}?" if near else "")
        case "string_type":
            return "must be text, in quotes"
        case "path_type":
            return "must be a file name, in quotes"
        case "extra_forbidden":
            near = nearest(name, RunSettings.model_fields)
            return "is no setting" + (f"; did you mean {near}?" if near else "")
    return str(detail["msg"])


def _number(name: str, bound: float) -> str:
    return duration_text(bound) if isinstance(RunSettings.model_fields[name].default, float) else str(bound)


def _warnings(settings: RunSettings, origins: Mapping[str, str], flags: Mapping[str, Any]) -> Iterator[str]:
    fields = RunSettings.model_fields
    known = {ENV_PREFIX + name.upper() for name in (*fields, *CREDENTIAL_NAMES, *_OTHER_NAMES)}
    for variable in sorted(os.environ):
        if variable.startswith(ENV_PREFIX) and variable not in known:
            near = nearest(variable, known)
            yield f"{variable} is set, but means nothing to batcher." + (f" Did you mean {near}?" if near else "")
    for name in ("restart", "retry_failed"):
        if getattr(settings, name) and name not in flags:
            yield (
                f"{name} is set by {origins[name]}, so every run will do it again. "
                f"It is better given as a flag: {flag_name(name)}."
            )
