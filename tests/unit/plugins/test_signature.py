"""Signatures of the index, made by a real gpg and verified by a real gpgv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provd.errors import RepositoryError, SettingsError
from provd.plugins import signature as module
from provd.plugins.index import INDEX_NAME
from provd.plugins.repository import Cache, Repository
from provd.plugins.signature import SignatureRules
from provd.repository_settings import open_repository
from provd.settings import load_settings

from .web_server import http_server, serving

INDEX = json.dumps({"good": {"filename": "good-1.0.tar.bz2", "version": "1.0", "sha1sum": "0" * 40}}).encode()
OTHER = INDEX.replace(b"1.0", b"0.9")
IS_THERE = bool(shutil.which("gpg") and shutil.which("gpgv"))

pytestmark = pytest.mark.skipif(not IS_THERE and not os.environ.get("CI"), reason="gpg or gpgv is not installed")


class Keys:
    """Two people's keys, and one that has expired."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self._home = home
        for name in ("trusted", "other"):
            self.gpg("--quick-generate-key", name, "ed25519", "sign", "never")
        self.gpg("--faked-system-time", "20200101T000000", "--quick-generate-key", "old", "ed25519", "sign", "1d")

    def gpg(self, *arguments: str, content: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(command, input=content, capture_output=True, check=True).stdout

    def sign(self, content: bytes, *options: str, who: str = "trusted") -> bytes:
        return self.gpg("--local-user", who, *(options or ("--detach-sign",)), content=content)

    def keyring(self, path: Path, *who: str, armored: bool = False) -> Path:
        path.write_bytes(self.gpg(*(["--armor"] if armored else []), "--export", *who))
        return path

    def end(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    assert IS_THERE, "gpg and gpgv have to be installed where CI is set"
    keys = Keys(tmp_path_factory.mktemp("gpg") / "home")
    yield keys
    keys.end()


@pytest.fixture
def check(keys: Keys, tmp_path: Path) -> Callable[..., str | None]:
    """Why an index with this signature is refused, or None: it is accepted."""

    def check(content: bytes, signature: bytes | None, required: bool = True, who: str = "trusted") -> str | None:
        rules = SignatureRules(keys.keyring(tmp_path / "keyring.gpg", who), required)
        try:
            rules.check(content, signature)
        except RepositoryError as error:
            return str(error)
        return None

    return check


@pytest.mark.parametrize("required", [True, False])
def test_a_right_signature_is_accepted(keys: Keys, check: Callable[..., str | None], required: bool) -> None:
    assert check(INDEX, keys.sign(INDEX), required) is None
    assert check(INDEX, keys.sign(INDEX, "--armor", "--detach-sign"), required) is None


@pytest.mark.parametrize("required", [True, False])
def test_a_wrong_signature_is_refused_in_any_case(keys: Keys, check: Callable[..., str | None], required: bool) -> None:
    wrong = "its signature is wrong: "
    assert check(OTHER, keys.sign(INDEX), required) == wrong + "the index is not the one that was signed"
    assert check(INDEX, keys.sign(INDEX, who="other"), required) == wrong + "a key signed that is not in the keyring"
    for content in (b"", b"nonsense", os.urandom(100), keys.sign(INDEX)[:-5], INDEX):
        assert str(check(INDEX, content, required)).startswith(wrong)


def test_a_message_that_is_signed_in_itself_says_nothing_of_the_index(
    keys: Keys, check: Callable[..., str | None]
) -> None:
    for option in ("--sign", "--clear-sign"):
        assert "its signature is wrong" in str(check(OTHER, keys.sign(INDEX, option)))
        assert "its signature is wrong" in str(check(INDEX, keys.sign(INDEX, option)))


def test_a_key_that_has_expired_does_not_count(keys: Keys, check: Callable[..., str | None]) -> None:
    signature = keys.sign(INDEX, "--faked-system-time", "20200101T010000", "--detach-sign", who="old")
    assert check(INDEX, signature, who="old") == "its signature is wrong: the key that signed has expired"


def test_one_right_signature_does_not_outweigh_a_wrong_one(keys: Keys, check: Callable[..., str | None]) -> None:
    both = keys.sign(INDEX) + keys.sign(INDEX, who="other")
    assert "its signature is wrong" in str(check(INDEX, both))


def test_an_index_without_a_signature_is_refused_only_if_it_has_to_have_one(check: Callable[..., str | None]) -> None:
    assert "general.plugin_signature is required" in str(check(INDEX, None, required=True))
    assert check(INDEX, None, required=False) is None


def test_a_keyring_that_cannot_be_used_is_named(keys: Keys, tmp_path: Path) -> None:
    armored = keys.keyring(tmp_path / "keyring.asc", "trusted", armored=True)
    with pytest.raises(RepositoryError, match=r"keyring.asc: armored; gpg --dearmor"):
        SignatureRules(armored).check(INDEX, keys.sign(INDEX))
    with pytest.raises(RepositoryError, match=r"general.plugin_keyring: .*/none: No such file or directory"):
        SignatureRules(tmp_path / "none").check(INDEX, keys.sign(INDEX))
    with pytest.raises(RepositoryError, match=r"general\.plugin_keyring names no file with keys"):
        SignatureRules(None, is_required=True).check(INDEX, keys.sign(INDEX))
    (tmp_path / "empty").touch()
    with pytest.raises(RepositoryError, match="its signature is wrong"):
        SignatureRules(tmp_path / "empty").check(INDEX, keys.sign(INDEX))


def test_without_gpgv_nothing_is_believed(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = SignatureRules(keys.keyring(tmp_path / "keyring.gpg", "trusted"))
    signature = keys.sign(INDEX)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match="gpgv is not installed"):
        rules.check(INDEX, signature)
    (tmp_path / "gpgv").write_text("#!/bin/sh\nexec sleep 5\n")
    (tmp_path / "gpgv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.1)
    with pytest.raises(RepositoryError, match="gpgv does not end"):
        rules.check(INDEX, signature)


# --- repositories


@pytest.mark.parametrize("suffix", [".sig", ".asc"])
def test_a_signed_repository_on_a_server_is_used(keys: Keys, tmp_path: Path, suffix: str) -> None:
    files = {"/plugins.db": INDEX, f"/plugins.db{suffix}": keys.sign(INDEX)}
    repository = signed(tmp_path, keys)
    with http_server(serving(files)) as url:
        assert list(repository(url).update().entries) == ["good"]
        assert list(repository(url).entries()) == ["good"]  # also what is stored is verified
        files["/plugins.db"] = OTHER
        with pytest.raises(RepositoryError, match=r"general.plugin_server: .*the index is not the one that was signed"):
            repository(url).update()
        assert repository(url).entries()["good"].version == "1.0"
        files[f"/plugins.db{suffix}"] = keys.sign(OTHER)
        repository(url).update()
        assert repository(url).entries()["good"].version == "0.9"
        del files[f"/plugins.db{suffix}"]
        with pytest.raises(RepositoryError, match="it is not signed"):
            repository(url).update()
    assert len(list((tmp_path / "plugins").iterdir())) == 2
    (tmp_path / "plugins" / INDEX_NAME).write_bytes(INDEX)
    with pytest.raises(RepositoryError, match="it is not signed"):
        repository(url).entries()


def test_a_signature_that_cannot_be_fetched_is_no_missing_one(keys: Keys, tmp_path: Path) -> None:
    def answer(handler: object) -> None:
        path = handler.path  # type: ignore[attr-defined]
        serving({"/plugins.db": INDEX})(handler) if path == "/plugins.db" else handler.send_error(500)  # type: ignore[arg-type,attr-defined]

    with http_server(answer) as url, pytest.raises(RepositoryError, match="500"):
        signed(tmp_path, keys, required=False)(url).update()


def test_an_index_that_was_stored_before_signatures_were_required_is_refused(keys: Keys, tmp_path: Path) -> None:
    with http_server(serving({"/plugins.db": INDEX})) as url:
        signed(tmp_path, keys, required=False)(url).update()
        assert list(signed(tmp_path, keys, required=False)(url).entries()) == ["good"]
        with pytest.raises(RepositoryError, match="it is not signed"):
            signed(tmp_path, keys)(url).entries()


def test_a_folder_is_verified_too(keys: Keys, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / INDEX_NAME).write_bytes(INDEX)
    repository = signed(tmp_path, keys)(str(folder))
    with pytest.raises(RepositoryError, match="it is not signed"):
        repository.entries()
    (folder / f"{INDEX_NAME}.asc").write_bytes(keys.sign(INDEX, "--armor", "--detach-sign"))
    assert list(repository.entries()) == list(repository.update().entries) == ["good"]
    (folder / INDEX_NAME).write_bytes(OTHER)
    with pytest.raises(RepositoryError, match="its signature is wrong"):
        repository.entries()


def signed(state: Path, keys: Keys, required: bool = True) -> Callable[[str], Repository]:
    rules = SignatureRules(keys.keyring(state / "keyring.gpg", "trusted"), required)
    return lambda location: Repository(
        location, plugins_folder=state / "plugins", cache=Cache(state / "cache"), signatures=rules
    )


def test_the_settings_say_who_signs(keys: Keys, tmp_path: Path) -> None:
    keyring = keys.keyring(tmp_path / "keyring.gpg", "trusted")
    file = tmp_path / "provd.toml"
    text = f'[general]\nplugin_server = "{tmp_path}"\nplugin_signature = "required"\n'
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"plugin_signature is required, but general\.plugin_keyring names no file"):
        load_settings(file, {})
    file.write_text(f'{text}plugin_keyring = "{keyring}"\n')
    (tmp_path / INDEX_NAME).write_bytes(INDEX)
    repository = open_repository(load_settings(file, {}))
    with pytest.raises(RepositoryError, match="it is not signed"):
        repository.entries()
    (tmp_path / f"{INDEX_NAME}.sig").write_bytes(keys.sign(INDEX))
    assert list(repository.entries()) == ["good"]
