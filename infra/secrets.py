"""Secrets that must not stand in the log in plain: sealed with a key that is kept outside it.

The key is ERRATA_SECRET_KEY, or the file `secret.key` in the data folder, made when it is first
needed. Without the key a sealed value is lost: whoever has the log alone cannot read it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from functools import cached_property
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from domain.failures import Conflict, Unavailable
from domain.integration import Sealed

FILE = "secret.key"


class SecretBox:
    """Seals and opens with one key: `key` where it is given, else the one in the data folder."""

    def __init__(self, key: str | None, data_dir: Path) -> None:
        self._given = key
        self._path = data_dir / FILE

    def seal(self, plain: bytes) -> Sealed:
        """What may stand in an event. Raises Unavailable where the key's file cannot be used."""
        digest = hmac.new(self._derived("digest"), plain, hashlib.sha256).hexdigest()
        return Sealed(self._fernet.encrypt(plain).decode(), digest)

    def open(self, sealed: Sealed) -> bytes:
        """The plain value. Raises Conflict where it was sealed with another key, Unavailable where
        the key's file cannot be used."""
        try:
            return self._fernet.decrypt(sealed.ciphertext)
        except InvalidToken:
            reason = "the configuration was sealed with another secret key; configure it again"
            raise Conflict(reason) from None

    @cached_property
    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._derived("encryption")))

    def _derived(self, purpose: str) -> bytes:
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()

    @cached_property
    def _key(self) -> bytes:
        if self._given is not None:
            return self._given.encode()
        try:
            if not self._path.exists():
                _create(self._path)
            return self._path.read_bytes()
        except OSError as error:
            reason = f"the secret key {self._path} cannot be used ({error.strerror})"
            raise Unavailable("secrets", f"{reason}; ERRATA_SECRET_KEY takes its place") from None


def _create(path: Path) -> None:
    """A new key in its place, readable by us alone; whichever process is first makes it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(32).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # whole, or not at all: nobody reads half a key
        except FileExistsError:
            return
    finally:
        draft.unlink()
