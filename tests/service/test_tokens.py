"""Tokens are shown once and kept as hashes, in a file that is read again when it changes, if it can be trusted."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.service.roles import Role
from batcher.service.tokens import TokensFile, TokensUnusable, new_token, parse, revoke

NOW = SystemClock.now()


def test_a_token_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "tokens"
    portal, anna = new_token(path, "portal", Role.SUBMIT, NOW), new_token(path, "anna", Role.APPROVE, NOW)
    text = path.read_text()
    assert portal not in text
    assert portal.removeprefix("batcher_") not in text
    assert len(portal) >= 43  # 256 bits
    assert path.stat().st_mode & 0o777 == 0o600
    file = TokensFile(path)
    assert [(token.name, token.role) for token in file.tokens()] == [("portal", Role.SUBMIT), ("anna", Role.APPROVE)]
    known = file.find(anna)
    assert known is not None
    assert known.name == "anna"
    for other in ("", anna[:-1], anna + "x", anna.upper(), known.hash.hex(), "\udcff"):
        assert file.find(other) is None


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = new_token(path, "portal", Role.READ, NOW)
    file = TokensFile(path)
    assert file.find(token) is not None
    path.write_text(path.read_text().replace("portal read", "portal admin"))
    found = file.find(token)
    assert found is not None
    assert found.role is Role.ADMIN
    revoke(path, "portal")
    assert file.find(token) is None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.chmod(0o620), "chmod 600"),
        (lambda path: path.chmod(0o602), "chmod 600"),
        (lambda path: path.parent.chmod(0o777), "chmod go-w"),
        (lambda path: path.write_text("portal"), "line 1"),
        (lambda path: path.write_bytes(b"\xff"), "UTF-8"),
        (lambda path: path.unlink(), "batcher token new"),
    ],
)
def test_nobody_is_let_in_by_a_file_that_cannot_be_trusted(tmp_path: Path, spoil: object, said: str) -> None:
    """Neither is anybody by what it held before: whoever spoils it might want that."""
    path = tmp_path / "own" / "tokens"
    token = new_token(path, "portal", Role.READ, NOW)
    file = TokensFile(path)
    assert file.find(token) is not None
    assert callable(spoil)
    spoil(path)
    with pytest.raises(TokensUnusable, match=said):
        file.find(token)
    with pytest.raises(TokensUnusable, match=said):
        file.find(token)  # the second look is not taken in by a stamp that has not changed since


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = new_token(path, "portal", Role.READ, NOW)
    os.chown(path, 12345, 12345)
    with pytest.raises(TokensUnusable, match="belongs to somebody else"):
        TokensFile(path).find(token)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("portal read", "a line has a name"),
        ("portal read sha256:" + "0" * 64 + " then more", "a line has a name"),
        ("por/tal read sha256:" + "0" * 64, "no name"),
        ("portal boss sha256:" + "0" * 64, "no role"),
        ("portal read sha256:" + "0" * 63, "64 hexadecimal"),
        ("portal read md5:" + "0" * 64, "64 hexadecimal"),
    ],
)
def test_what_is_no_tokens_line_is_named_with_its_place(line: str, said: str) -> None:
    with pytest.raises(TokensUnusable, match=f"tokens, line 3: .*{said}"):
        parse(f"# a comment\n\n{line}\n", "tokens")


def test_comments_stay_when_tokens_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    new_token(path, "one", Role.READ, NOW)
    path.write_text("# of the portal team\n" + path.read_text() + "# the end\n")
    new_token(path, "two", Role.READ, NOW)
    revoke(path, "one")
    text = path.read_text()
    assert text.startswith("# of the portal team\n")
    assert "# the end\n" in text
    assert [token.name for token in parse(text, "")] == ["two"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_tokens_made_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: new_token(path, f"t{n}", Role.READ, NOW), range(24)))
    file = TokensFile(path)
    assert sorted(file.find(token).name for token in made) == sorted(f"t{n}" for n in range(24))  # type: ignore[union-attr]


def test_a_name_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    new_token(path, "one", Role.READ, NOW)
    for name, said in (("one", "another name"), ("a b", "no name"), ("", "no name"), ("x" * 65, "no name")):
        with pytest.raises(UserError, match=said):
            new_token(path, name, Role.READ, NOW)
    with pytest.raises(UserError, match="no token 'two'"):
        revoke(path, "two")


def test_the_command_shows_it_on_stdout_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    environ = {**os.environ, "BATCHER_TOKENS": str(path)}

    def batcher(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "batcher", "token", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    made = batcher("new", "portal", "--role", "submit")
    assert made.returncode == 0
    token = made.stdout.strip()
    found = TokensFile(path).find(token)
    assert found is not None
    assert found.role is Role.SUBMIT
    assert token not in made.stderr
    assert str(path) in made.stderr
    assert "portal  submit" in batcher("list").stdout
    again = batcher("new", "portal", "--role", "submit")
    assert (again.returncode, again.stdout) == (2, "")
    assert batcher("revoke", "portal").returncode == 0
    assert TokensFile(path).tokens() == []
