"""Secrets do not print, whatever is done with them; files of secrets are read again when they change."""

import copy
import json
import logging
import os
import pickle
import threading
import traceback
from pathlib import Path

import orjson
import pytest
from rich.pretty import pretty_repr

from batcher.drs.auth.options import CredentialOptions
from batcher.drs.auth.secret import FileSecret, GivenSecret, Hidden, HiddenBytes, Secret, SecretUnusable
from batcher.drs.auth.sources import CredentialPlaces, CredentialSources
from batcher.masking import mask_text

VALUE = "MARK-of-a-secret-0123456789"


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret(VALUE)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, format(secret, "s")]  # noqa: UP031
    shown += [repr([secret]), repr({"token": secret}), str(Hidden(VALUE).__repr__()), repr(HiddenBytes(VALUE.encode()))]
    shown += [json.dumps({"token": secret}, default=str), orjson.dumps({"t": secret}, default=str).decode()]
    assert not [text for text in shown if VALUE in text]
    assert secret.reveal() == VALUE


def test_the_places_of_an_environment_do_not_show_it() -> None:
    sources = CredentialSources(environ={"BATCHER_TOKEN": VALUE}, options=CredentialOptions(token_env="BATCHER_TOKEN"))
    places = CredentialPlaces(sources)
    for show in (repr, pretty_repr):
        shown = show([sources, places.flags, places.own, *places.of(None, None)])
        assert "OptionsPlace(" in shown
        assert VALUE not in shown


def test_it_is_neither_pickled_nor_serialised_by_accident() -> None:
    for writes in (pickle.dumps, copy.deepcopy, json.dumps, orjson.dumps):
        with pytest.raises(TypeError):
            writes(Secret(VALUE))
    assert not hasattr(Secret(VALUE), "__dict__")


def test_a_traceback_with_locals_does_not_show_it() -> None:
    def fails(secret: Secret, headers: dict[str, str]) -> None:
        raise ValueError(f"cannot use {secret}")

    try:
        fails(Secret(VALUE), {"X-Auth-Token": Secret(VALUE).reveal()})
    except ValueError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "X-Auth-Token" in told
    assert VALUE not in told.replace(f'VALUE = "{VALUE}"', "")


def test_the_second_net_knows_its_value() -> None:
    Secret("only-known-by-value-77")
    assert mask_text("the cloud quotes only-known-by-value-77 back") == "the cloud quotes *** back"


def test_a_log_line_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("using %s and %r", Secret(VALUE), Secret(VALUE))
    assert VALUE not in caplog.text


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("\ufefffirst\n", encoding="utf-8")
    source = FileSecret(path, "the file")
    assert source.current().reveal() == "first"
    replaced(path, "second")
    assert source.current().reveal() == "second"


def test_a_file_that_is_being_written_leaves_the_former_secret_in_force(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    source = FileSecret(path, "the file")
    for nothing in ("", "two\nlines"):
        replaced(path, nothing)
        assert source.current().reveal() == "first"
    path.unlink()
    assert source.current().reveal() == "first"
    replaced(path, "second")
    assert source.current().reveal() == "second"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"a\nb", "several lines"),
        (b"\xff\xfe", "is not text"),
        (b"x" * 70_000, "longer than any secret"),
    ],
)
def test_a_file_without_a_secret_is_said_at_once(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SecretUnusable, match=told):
        FileSecret(path, "the file")


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    for path, told in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SecretUnusable, match=told):
            FileSecret(path, "the file")


def test_an_empty_variable_is_no_secret() -> None:
    with pytest.raises(SecretUnusable, match="BATCHER_TOKEN is empty"):
        GivenSecret("  ", "BATCHER_TOKEN")


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
def test_a_file_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x")
    for mode, readable in ((0o600, False), (0o640, True), (0o644, True), (0o400, False)):
        path.chmod(mode)
        assert FileSecret(path, "the file").readable_by_others is readable


def replaced(path: Path, text: str) -> None:
    """Replace the file as careful programs do: whole, by renaming; so it is noticed within any clock's grain."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def test_a_pipe_is_read_once_and_one_that_nobody_writes_to_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `--token-file <(vault read …)`. Nothing but SIGKILL would end a wait for a writer."""
    monkeypatch.setattr("batcher.drs.auth.secret._PATIENCE_S", 0.05)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(SecretUnusable, match="is a pipe, and nobody has written to it"):
        FileSecret(path, "the file")
    monkeypatch.undo()
    writer = threading.Thread(target=path.write_text, args=("from-a-pipe\n",))
    writer.start()
    source = FileSecret(path, "the file")
    writer.join()
    assert [source.current().reveal(), source.reload().reveal()] == ["from-a-pipe"] * 2


@pytest.mark.parametrize("value", ["a\x1bb", "a\tb", "a\udcffb", "a\x7fb"])
def test_what_no_secret_holds_is_said_without_it(value: str) -> None:
    with pytest.raises(SecretUnusable, match="BATCHER_SK holds control characters or bytes that are no UTF-8"):
        GivenSecret(value, "BATCHER_SK")
