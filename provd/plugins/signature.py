"""Who signed a repository's index: gpgv is asked, with the keys that the administrator trusts."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from provd.errors import RepositoryError

SIGNATURE_SUFFIXES = (".sig", ".asc")
MAX_SIGNATURE_BYTES = 64 * 1024
_TIMEOUT_S = 30
_BAD = {
    "BADSIG": "the index is not the one that was signed",
    "ERRSIG": "a key signed that is not in the keyring",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key that signed has expired",
    "REVKEYSIG": "the key that signed was revoked",
    "NODATA": "it is no signature",
}
_SETTING = "general.plugin_signature"


@dataclass(frozen=True, slots=True)
class SignatureRules:
    """Whose signatures count (a keyring's file; None: nobody looks at signatures), and whether there has to be one."""

    keyring: Path | None = None
    is_required: bool = False

    def check(self, content: bytes, signature: bytes | None) -> None:
        """Refuse an index with a wrong signature, and one without, if it has to have one.

        gpgv is waited for, and gevent's hub goes on meanwhile, if this is called in one of its greenlets; not in its
        threadpool.

        Raises:
            RepositoryError: see above.
        """
        if self.keyring is None and self.is_required:
            raise RepositoryError(f"{_SETTING} is required, but general.plugin_keyring names no file with keys")
        if signature is None and self.is_required:
            names = " and no ".join(f"plugins.db{suffix}" for suffix in SIGNATURE_SUFFIXES)
            raise RepositoryError(f"it is not signed (there is no {names}), and {_SETTING} is required")
        if signature is not None and self.keyring is not None:
            _check_keyring(self.keyring)
            _verify(content, signature, self.keyring)


def _check_keyring(keyring: Path) -> None:
    """Name what is wrong with a keyring in better words than gpgv.

    Raises:
        RepositoryError: it cannot be used.
    """
    try:
        with keyring.open("rb") as file:
            begin = file.read(64)
    except OSError as error:
        raise RepositoryError(f"general.plugin_keyring: {keyring}: {error.strerror}") from error
    if b"-----BEGIN" in begin:
        raise RepositoryError(f"general.plugin_keyring: {keyring}: armored; gpg --dearmor makes of it what is needed")


def _verify(content: bytes, signature: bytes, keyring: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="provd-") as folder:
        signed, detached = Path(folder, "index"), Path(folder, "index.sig")
        signed.write_bytes(content)
        detached.write_bytes(signature)
        command = ["gpgv", "--homedir", folder, "--keyring", str(keyring), "--weak-digest", "SHA1", "--status-fd", "1"]
        try:
            ended = subprocess.run(
                [*command, str(detached), str(signed)],
                capture_output=True, check=False, timeout=_TIMEOUT_S, env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
        except FileNotFoundError as error:
            raise RepositoryError("its signature cannot be verified: gpgv is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise RepositoryError("its signature cannot be verified: gpgv does not end") from error
    words = [line.split() for line in ended.stdout.decode("ascii", "replace").splitlines()]
    verdicts = {each[1] for each in words if len(each) > 1 and each[0] == "[GNUPG:]"}
    wrong = [reason for verdict, reason in _BAD.items() if verdict in verdicts]
    if ended.returncode != 0 or wrong or not {"GOODSIG", "VALIDSIG"} <= verdicts:
        raise RepositoryError(f"its signature is wrong: {wrong[0] if wrong else 'gpgv does not accept it'}")
