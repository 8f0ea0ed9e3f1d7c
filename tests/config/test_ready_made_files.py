"""The files in config/ work as they stand, and the default one is the built-in truth."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from batcher.drs.auth.option_names import OPTION_NAMES
from batcher.life.policy import MaxFailures, Reconcile
from batcher.rates import Rate
from batcher.service.notices.targets import targets_of
from batcher.settings import RunSettings, load
from batcher.settings.credentials import credential_sources
from batcher.settings.groups import FURTHER, GROUPS, group_of

CONFIG = Path(__file__).parents[2] / "config"
# They belong to one run, so a file that sets them for every run would be a trap.
OF_ONE_RUN = {"digest", "restart", "retry_failed"}


def test_the_default_file_changes_nothing() -> None:
    assert load(config=CONFIG / "default.toml").settings == load().settings


def test_the_default_file_speaks_of_every_setting() -> None:
    text = (CONFIG / "default.toml").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?(\w+) = ", text, flags=re.MULTILINE))
    assert named - set(OPTION_NAMES) == set(RunSettings.model_fields) - OF_ONE_RUN
    assert {"token_file", "ak_file", "sk_file", "username", "domain", "password_file", "iam_endpoint"} <= named


def test_what_the_default_file_comments_out_would_be_valid(tmp_path: Path) -> None:
    """A user takes the # away; an example that is refused then would be a defect."""
    text = (CONFIG / "default.toml").read_text(encoding="utf-8")
    bundle = tmp_path / "company.pem"
    bundle.touch()
    for line in re.findall(r"^# (\w+ = .+)", text, flags=re.MULTILINE):
        (values,) = [tomllib.loads(line)]
        ((name, value),) = values.items()
        if name in OPTION_NAMES:
            continue  # says where a credential is, which is no setting
        flags: dict[str, Any] = {name: str(bundle) if name == "ca_bundle" else value}
        load(flags)


def test_its_credentials_and_the_project_of_its_own_are_sound_without_the_comment_signs(tmp_path: Path) -> None:
    text = (CONFIG / "default.toml").read_text(encoding="utf-8")
    block = text[text.index("# --- credentials") : text.index("# --- how fast")]
    file = tmp_path / "batcher.toml"
    file.write_text(re.sub(r"^# (?=\w+ = |\[)", "", block, flags=re.MULTILINE))
    loaded = load(config=file)
    sources = credential_sources(loaded.settings, loaded.config)
    assert sources.file_options.sk_file == Path("/run/secrets/sk")
    (profile,) = sources.profiles
    assert profile.name == "other-project"
    assert profile.options.ak_file == Path("/run/secrets/other-ak")


@pytest.mark.parametrize("profile", [None, "eu", "singapore", "first-wave"])
def test_production_is_cautious(profile: str | None) -> None:
    settings = load(config=CONFIG / "production.toml", profile=profile).settings
    assert settings.reconcile is Reconcile.SNAPSHOT
    assert isinstance(settings.pace, Rate)
    assert settings.pace.per_s < Rate(5, 1.0).per_s
    assert settings.max_failures is not None
    assert settings.log_format == "json"


def test_a_profile_lies_over_the_top_of_its_file() -> None:
    settings = load(config=CONFIG / "production.toml", profile="first-wave").settings
    assert (settings.pace, settings.max_failures) == (Rate(30, 60.0), MaxFailures(count=3))


@pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")
def test_the_service_file_is_sound_also_without_its_comment_signs(tmp_path: Path) -> None:
    pytest.importorskip("apprise")
    text = (CONFIG / "service.toml").read_text(encoding="utf-8")
    assert load(config=CONFIG / "service.toml").settings.reconcile is Reconcile.SNAPSHOT
    file = tmp_path / "batcher.toml"
    file.write_text(re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE).replace("/run/secrets", str(tmp_path)))
    (tmp_path / "portal-hook").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (tmp_path / "team-chat").write_text("json://127.0.0.1/")
    config = load(config=file).config
    assert config is not None
    assert [target.name for target in targets_of(config.notifications, file)] == ["portal", "team"]


def test_the_simulator_file_points_to_loopback() -> None:
    settings = load(config=CONFIG / "simulator.toml").settings
    assert settings.endpoint is not None
    assert settings.endpoint.startswith("http://127.0.0.1:")
    assert settings.project_id


def test_every_setting_is_in_exactly_one_group() -> None:
    """Help and docs list settings by group: put a new field into `batcher.settings.groups`."""
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) <= set(RunSettings.model_fields)
    assert [name for name in RunSettings.model_fields if group_of(name) == FURTHER] == []
