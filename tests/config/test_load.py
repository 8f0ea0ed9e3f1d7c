"""Where settings come from, which of two sources wins, and what is said about settings that cannot be used."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.life.policy import MaxFailures
from batcher.rates import Rate
from batcher.settings import RunSettings, SettingsError, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "batcher.toml"


def test_flag_beats_environment_beats_profile_beats_file_beats_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load().settings.pace == Rate(5, 1.0)
    file.write_text('rate = "1/s"\n[profiles.eu]\nrate = "2/s"\n')
    assert load().settings.pace == Rate(1, 1.0)
    assert load(profile="eu").settings.pace == Rate(2, 1.0)
    monkeypatch.setenv("BATCHER_RATE", "3/s")
    assert load(profile="eu").settings.pace == Rate(3, 1.0)
    assert load({"rate": "4/s"}, profile="eu").settings.pace == Rate(4, 1.0)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_RATE", "")
    assert load().settings.pace == Rate(5, 1.0)


def test_origins_name_the_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("attempts = 3\n\n[profiles.eu]\nconcurrency = 2\n")
    monkeypatch.setenv("BATCHER_TIMEOUT", "20s")
    origins = load({"rate": "4/s"}, profile="eu").origins
    assert origins == {
        "rate": "--rate",
        "timeout": "BATCHER_TIMEOUT",
        "attempts": "batcher.toml, line 1",
        "concurrency": "batcher.toml, line 4",
    }


def test_a_region_from_further_up_beats_an_endpoint_from_further_down(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('endpoint = "https://drs.example.com"\n')
    monkeypatch.setenv("BATCHER_REGION", "eu-west-101")
    settings = load().settings
    assert (settings.region, settings.endpoint) == ("eu-west-101", None)


def test_a_profile_s_endpoint_beats_the_region_of_its_file(file: Path) -> None:
    file.write_text('region = "eu-west-101"\n[profiles.lab]\nendpoint = "https://drs.example.com"\n')
    loaded = load(profile="lab")
    assert (loaded.settings.region, loaded.settings.endpoint) == (None, "https://drs.example.com")
    assert list(loaded.origins) == ["endpoint"]


def test_a_variable_may_be_written_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("batcher_rate", "3/s")
    loaded = load()
    assert (loaded.settings.pace, loaded.origins) == (Rate(3, 1.0), {"rate": "BATCHER_RATE"})


def test_a_switch_can_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_SKIP_INVALID", "1")
    assert load().settings.skip_invalid
    assert not load({"skip_invalid": False}).settings.skip_invalid


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"rate": "fast"}, "--rate fast is no rate"),
        ({"rate": "10/fortnight"}, "--rate 10/fortnight names no known period"),
        ({"concurrency": "0"}, "--concurrency 0 must be at least 1"),
        ({"concurrency": "many"}, "--concurrency many is no whole number"),
        ({"timeout": "soon"}, "--timeout soon is no duration"),
        ({"timeout": "0"}, "--timeout 0 must be more than 0s"),
        ({"max_failures": "101%"}, "--max-failures 101% is neither a count nor a share"),
        ({"reconcile": "windw"}, "did you mean window?"),
        ({"digest": "sha256:12"}, "--digest sha256:12 is no digest"),
        ({"ca_bundle": "nowhere.pem"}, "--ca-bundle nowhere.pem is no file"),
        ({"proxy": "proxy:3128"}, "is no proxy URL"),
        (
            {"region": "eu-west-101", "endpoint": "https://drs.sa-brazil-1.myhuaweicloud.com/"},
            "the endpoint is that of sa-brazil-1",
        ),
        ({"retry_failed": True, "restart": True}, "a new wave has no failed entries yet"),
        ({"entry_deadline": "60"}, "make entry_deadline longer than landing_time"),
        ({"timeout": "5", "connect_timeout": "6"}, "make connect_timeout at most timeout"),
        (
            {"rate": f"{'9' * 24}/s"},
            "999/s counts more than 1,000,000 requests in a period; take a shorter one, or off",
        ),
        ({"rate": f"{'9' * 5000}/s"}, "… counts more than 1,000,000 requests"),
        ({"rate": "999999.999/s"}, "counts more than 1,000,000 requests"),
        ({"rate": "١٢/s"}, "is no rate"),
        ({"max_running": "9" * 26}, "must be at most 1000000"),
        ({"max_running": "9" * 5000}, "is no whole number of a sensible size"),
        ({"max_failures": "9" * 26}, "is neither a count nor a share"),
        ({"max_failures": "9" * 5000}, "is neither a count nor a share"),
        ({"max_failures": "9" * 400 + "%"}, "is neither a count nor a share"),
        ({"max_running_per": f"label.a={'9' * 26}"}, "is no limit by label"),
        ({"max_running_per": "label.a\x1b[31m=2"}, "--max-running-per label.a\\x1b[31m=2 is no limit by label"),
        ({"project_id": "p\x1b[31m\n/x"}, "--project-id p\\x1b[31m /x is no project id"),
        ({"concurrency": float("inf")}, "is no whole number"),
        ({"attempts": 10**5000}, "--attempts a number of thousands of digits must be at most 100"),
        ({"landing_time": 1e400}, "is no duration"),
        ({"deadline": f"{'9' * 400}h"}, "is no deadline"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_source_and_its_mend(flags: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(flags)
    assert said in caught.value.message
    assert caught.value.exit_code == 2


def test_a_short_timeout_needs_no_word_about_connecting() -> None:
    assert load({"timeout": "5s"}).settings.timeout == 5.0


def test_everything_wrong_is_said_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("attempts = 0\n")
    monkeypatch.setenv("BATCHER_TIMEOUT", "later")
    with pytest.raises(SettingsError) as caught:
        load({"rate": "x"})
    said = caught.value.message
    assert "--rate x " in said
    assert "BATCHER_TIMEOUT=later " in said
    assert "batcher.toml, line 1: attempts = 0 must be at least 1" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_failure = 3\n", "batcher.toml, line 1: there is no setting 'max_failure'. Did you mean 'max_failures'?"),
        ('[profiles.eu]\ntoken = "abc"\n', "batcher.toml, line 2: token is a credential"),
        ("rate = \n", "is not valid TOML"),
        ("profiles = 3\n", "profiles are sections"),
        (f"attempts = {'9' * 5000}\n", "is not valid TOML"),
        (f"max_running = {'9' * 26}\n", "must be at most 1000000"),
        (f"max_failures = {'9' * 26}\n", "is neither a count nor a share"),
        ("attempts = 1e400\n", "attempts = inf is no whole number"),
        ("language = 3\n", "must be one of"),
    ],
)
def test_a_config_file_is_checked_before_it_is_used(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load()
    assert said in caught.value.message
    assert "abc" not in caught.value.message


def test_a_config_file_in_another_encoding_is_refused(file: Path) -> None:
    file.write_bytes('rate = "5/s" # f\xfcnf'.encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load()


def test_a_missing_profile_names_those_there_are(file: Path) -> None:
    file.write_text("[profiles.production]\nattempts = 2\n")
    with pytest.raises(SettingsError, match="Did you mean 'production'"):
        load(profile="prodction")
    file.unlink()
    with pytest.raises(SettingsError, match="no config file to find it in"):
        load(profile="production")


def test_a_named_config_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load(config="nowhere.toml")
    with pytest.raises(SettingsError, match="is a folder"):
        load(config=tmp_path)


def test_a_mistyped_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_RAET", "5/s")
    assert load().warnings == ("BATCHER_RAET is set, but means nothing to batcher. Did you mean BATCHER_RATE?",)


def test_a_standing_order_to_start_anew_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_RESTART", "1")
    (warning,) = load().warnings
    assert "BATCHER_RESTART" in warning
    assert "--restart" in warning


def test_a_proxy_password_is_in_no_dump() -> None:
    settings = load({"proxy": "http://me:hunter2@proxy:3128"}).settings
    assert settings.proxy == "http://me:hunter2@proxy:3128"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump(mode="json"))


@given(st.one_of(st.integers(1, 10**6), st.decimals("0.1", 100, places=1)))
def test_max_failures_is_read_as_it_is_written(number: object) -> None:
    text = str(number) if isinstance(number, int) else f"{number}%"
    value = RunSettings.model_validate({"max_failures": text}).max_failures
    assert value == (MaxFailures(count=number) if isinstance(number, int) else MaxFailures(percent=float(str(number))))


@pytest.mark.parametrize("value", ["../..", "p 1", "p/1", "", "p\udcff", "x" * 65, "p\n1\x1b"])
def test_a_project_id_that_would_change_the_address_is_refused_as_in_a_manifest(value: str) -> None:
    with pytest.raises(SettingsError, match=r"--project-id .*is no project id"):
        load({"project_id": value})
