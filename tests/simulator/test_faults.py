"""Faults are chosen by seed, job and count alone, in the shares that a profile names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.simulator.faults import FAULTS, PROFILES, FaultProfile, FaultWindow, Script, parse_profile


def chosen(profile: FaultProfile, seed: int, job: str, nth: int) -> str | None:
    fault = profile.choose(seed, call="create-compare-task", job_id=job, nth=nth, elapsed_s=0.0)
    return None if fault is None else fault.name


def test_the_same_request_meets_the_same_fault_in_any_order() -> None:
    keys = [(f"jb{n}", nth) for n in range(50) for nth in (1, 2)]
    forward = {key: chosen(PROFILES["hostile"], 7, *key) for key in keys}
    assert forward == {key: chosen(PROFILES["hostile"], 7, *key) for key in reversed(keys)}
    assert forward != {key: chosen(PROFILES["hostile"], 8, *key) for key in keys}
    assert len(set(forward.values())) > 10


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_keeps_to_its_shares(name: str) -> None:
    profile = PROFILES[name]
    assert sum(profile.chances.values()) <= 1
    met = [chosen(profile, 1, f"jb{n}", 1) for n in range(4000)]
    for fault, chance in profile.chances.items():
        assert met.count(fault) == pytest.approx(4000 * chance, abs=60)


def test_every_fault_is_in_some_profile_but_a_refused_credential() -> None:
    mixed = {fault for profile in PROFILES.values() for fault in profile.chances}
    assert mixed == set(FAULTS) - {"unauthorized"}


def test_a_window_befalls_every_request_in_it_and_no_other() -> None:
    profile = FaultProfile(
        name="w", description="", windows=[FaultWindow(begins_s=10, lasts_s=5, fault="reset-before")]
    )
    met = {
        at: profile.choose(1, call="query-compare-result", job_id="jb1", nth=1, elapsed_s=at) for at in (9, 10, 14, 15)
    }
    assert [at for at, fault in met.items() if fault is not None] == [10, 14]


def test_a_script_tells_faults_one_by_one() -> None:
    script = Script(creates=["reset-after", "", "slow"], reads=["empty"], jobs=frozenset({"jb1"}))

    def met(job: str, nth: int, call: str = "create-compare-task") -> str | None:
        fault = script.choose(0, call=call, job_id=job, nth=nth, elapsed_s=0)
        return None if fault is None else fault.name

    assert [met("jb1", nth) for nth in (1, 2, 3, 4)] == ["reset-after", None, "slow", None]
    assert met("jb1", 1, "query-compare-result") == "empty"
    assert met("jb2", 1) is None


def test_the_first_requests_of_each_job_can_be_named() -> None:
    profile = parse_profile("creates:partial=first, busy-202=first,slow=100%")
    assert [chosen(profile, 1, "jb1", nth) for nth in (1, 2, 3)] == ["partial", "busy-202", "slow"]
    assert profile.choose(1, call="query-compare-result", job_id="jb1", nth=1, elapsed_s=0.0) is None
    assert "number 2 of each job's create requests: 202 DRS.M01504" in profile.description


def test_profiles_are_named_or_mixed_on_the_spot() -> None:
    assert parse_profile("flaky") is PROFILES["flaky"]
    assert parse_profile("slow").chances == {"slow": 0.2}
    assert parse_profile("reset-after=20%, slow=2.5%").chances == {"reset-after": 0.2, "slow": 0.025}


def test_faults_can_spare_look_ups_or_create_requests() -> None:
    def met(text: str) -> list[str]:
        calls = ("create-compare-task", "query-compare-result", "batch-status")
        profile = parse_profile(text)
        return [call for call in calls if profile.choose(1, call=call, job_id="jb1", nth=1, elapsed_s=0.0)]

    assert met("slow=100%") == ["create-compare-task", "query-compare-result", "batch-status"]
    assert met("creates:slow=100%") == ["create-compare-task"]
    assert met("reads: slow=100%") == ["query-compare-result", "batch-status"]
    assert parse_profile("reads:slow=5%").description == "5% of look-ups: done and answered, but slowly"


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("flakey", "did you mean flaky?"),
        ("reset-after=lots", "write reset-after=20%"),
        ("writes:slow", "stands creates or reads"),
        ("slow=60%,empty=50%", "more than 100%"),
        ("", "profiles are none, flaky"),
    ],
)
def test_what_is_no_profile_is_told_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=re.escape(mend)):
        parse_profile(text)


@given(st.text(max_size=30))
def test_any_text_is_a_profile_or_a_value_error(text: str) -> None:
    try:
        profile = parse_profile(text)
    except ValueError:
        return
    assert sum(profile.chances.values()) <= 1
