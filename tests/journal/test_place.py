"""A wave's place in a database: read, printed to be typed again, and refused without a word of a password."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.errors import UserError
from batcher.journal.errors import WaveRefused
from batcher.journal.place import WavePlace, is_place, wave_id


@pytest.mark.parametrize(
    ("text", "url", "schema", "wave"),
    [
        ("postgresql://db/fleet/night-3", "postgresql://db/fleet", "batcher", "night-3"),
        ("postgresql://db/fleet", "postgresql://db/fleet", "batcher", None),
        ("postgresql://me@db:5433/f/n?sslmode=require", "postgresql://me@db:5433/f?sslmode=require", "batcher", "n"),
        ("postgresql://a:1,b:2/fleet/n.1", "postgresql://a:1,b:2/fleet", "batcher", "n.1"),
        ("postgresql://[::1]:5432/fleet/n", "postgresql://[::1]:5432/fleet", "batcher", "n"),
        ("postgresql://db/f%2Fl/n", "postgresql://db/f%2Fl", "batcher", "n"),
        ("postgresql://?service=fleet", "postgresql://?service=fleet", "batcher", None),
        ("postgresql:////n?service=fleet", "postgresql://?service=fleet", "batcher", "n"),
        ("postgresql://db/fleet/n?schema=other&sslmode=require", "postgresql://db/fleet?sslmode=require", "other", "n"),
        ("postgresql://db/fleet?schema=other", "postgresql://db/fleet", "other", None),
    ],
)  # fmt: skip
def test_a_place_is_read_and_printed_to_be_typed_again(text: str, url: str, schema: str, wave: str | None) -> None:
    place = WavePlace.of(text)
    assert (place.address.url, place.address.schema, place.wave) == (url, schema, wave)
    assert WavePlace.of(str(place)) == place
    assert WavePlace.of(str(place.at("w"))) == place.at("w")
    assert is_place(text)


def test_what_is_printed_says_postgresql_and_leaves_an_empty_wave_out() -> None:
    assert str(WavePlace.of("postgres://db/fleet/n")) == "postgresql://db/fleet/n"
    assert WavePlace.of("postgresql://db/fleet/").wave is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql:/db/fleet/n", "write postgresql://HOST/DATABASE/WAVE"),
        ("postgresql://db/fleet/n/m", "too many parts"),
        ("postgresql://db/fleet/n%20m", "'n%20m' can be no wave's id"),
        ("postgresql://db/fleet/-n", "can be no wave's id"),
        ("postgresql://db/fleet/n#m", "can be no wave's id"),
        ("postgresql://db/fleet/" + "n" * 201, "can be no wave's id"),
        ("postgresql://db/fleet/n?schema=No", "schema= in the address takes a name"),
        ("postgresql://db/fleet/n?bogus=1", "cannot be read"),
        ("postgresql://db/fleet/n?options=-cfsync%3Doff", "leave options= out"),
        ("postgresql://[db/fleet/n", "cannot be read"),
    ],
)
def test_each_mistake_has_a_message_of_its_own(text: str, told: str) -> None:
    with pytest.raises(WaveRefused, match=told):
        WavePlace.of(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:hunter22@db/fleet/n",
        "postgresql://me:hunt/er22@db/fleet/n",
        "postgresql://me:er22@x@db/fleet/n",
        "postgresql://me:hunt?er22@db/fleet/n",
        "postgresql://me:hunt#er22@db/fleet/n",
        "postgresql://db/fleet/n?password=hunter22",
        "postgresql://db/fleet/n?user=me&sslpassword=hunter22",
        "postgresql:me:hunter22@db/fleet/n",
    ],
)
def test_a_password_is_refused_wherever_it_stands_and_never_repeated(text: str) -> None:
    with pytest.raises(WaveRefused) as refused:
        WavePlace.of(text)
    assert "er22" not in str(refused.value)


_ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


_PASSWORD = st.builds("{}Hunter22{}".format, _ANY, _ANY)


@given(st.builds("postgresql://{}:{}@{}/{}".format, _ANY, _PASSWORD, _ANY, _ANY))
def test_whatever_is_typed_is_a_place_without_the_password_or_refused_without_it(text: str) -> None:
    try:
        said = str(WavePlace.of(text))
    except WaveRefused as refused:
        said = str(refused)
    assert "Hunter22" not in said or "Hunter22" in text.partition("@")[2]


def test_a_database_alone_is_no_wave() -> None:
    with pytest.raises(WaveRefused, match=r"many waves: say which, postgresql://db/fleet/WAVE\. `batcher status"):
        WavePlace.of("postgresql://db/fleet").required_wave()
    assert WavePlace.of("postgresql://db/fleet/n").required_wave() == "n"


@given(_ANY)
def test_a_waves_id_can_be_read_again_whatever_its_manifest_is_called(stem: str) -> None:
    wave = wave_id(stem, "sha256:" + "0123456789abcdef" * 4)
    assert wave.endswith("-0123456789ab")
    assert WavePlace.of(f"postgresql://db/fleet/{wave}").wave == wave


def test_a_missing_psycopg_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"pip install 'drs-batcher\[fleet\]'"):
        WavePlace.of("postgresql://db/fleet/n")
