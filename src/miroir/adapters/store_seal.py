"""
What is kept secret in the store: settings, which may hold embedder keys.

A sealed value is one byte naming the form, then the value: `0` + JSON as it is, or `1` + nonce +
AES-256-GCM of the JSON. The column's label is authenticated, so that a value cannot be moved to
another column. Key and key id are derived from one secret string by HKDF-SHA256 (RFC 5869) with
different labels; the id says which secret opens a store and nothing about the secret.

With no secret nothing can be sealed; then settings that hold an embedder secret are refused before
they are written, so that no secret ever reaches the disk in clear. No SQL here.
"""

import os
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from miroir.errors import ConfigError, SecretsRefused

_PLAIN: Final = b"0"
_SEALED: Final = b"1"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 8
_SECRET_KEYS: Final = frozenset({"apiKey", "headers"})


class Seal(Protocol):
    """Turns settings into bytes that may be written to a disk, and back."""

    @property
    def key_id(self) -> str:
        """Which key seals; empty if none does."""
        ...

    def seal(self, label: str, value: Any) -> bytes:
        """
        Return the bytes to store for a JSON value.

        Args:
            label: The column; the same one is needed to open the value.
            value: Settings, or part of them.

        Raises:
            SecretsRefused: There is a secret in it and no key.
        """
        ...

    def open(self, label: str, sealed: bytes) -> Any:
        """
        Return the value again.

        Raises:
            ConfigError: It was sealed by another key, or damaged.
        """
        ...


class AesSeal:
    """Seals by a key derived from a secret string."""

    def __init__(self, secret: str) -> None:
        assert secret, "an empty secret is no secret: use NoSeal"
        self._cipher = AESGCM(_derive(secret, b"miroir store: key", _KEY_BYTES))
        self._key_id = _derive(secret, b"miroir store: key id", _KEY_ID_BYTES).hex()

    def __repr__(self) -> str:
        return f"AesSeal(key_id={self._key_id!r})"

    @property
    def key_id(self) -> str:
        """See `Seal.key_id`."""
        return self._key_id

    def seal(self, label: str, value: Any) -> bytes:
        """See `Seal.seal`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, msgspec.json.encode(value), label.encode())
        return _SEALED + nonce + sealed

    def open(self, label: str, sealed: bytes) -> Any:
        """See `Seal.open`. A value from before there was a key is still read."""
        if sealed[:1] == _PLAIN:
            return msgspec.json.decode(sealed[1:])
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return msgspec.json.decode(self._cipher.decrypt(nonce, rest, label.encode()))
        except InvalidTag:
            raise ConfigError(
                f"{label} in the store is damaged or sealed by another key"
            ) from None


class NoSeal:
    """Keeps settings in clear, and refuses those that hold a secret."""

    key_id = ""

    def seal(self, label: str, value: Any) -> bytes:
        """See `Seal.seal`."""
        if isinstance(value, Mapping) and (
            _holds_secret(value.get("embedders")) or value.get("headers")
        ):
            what = "headers" if value.get("headers") else "embedder secrets"
            raise SecretsRefused(
                f"{label}: {what} are refused, because no secret key is configured to "
                "keep them under; set MIROIR_SECRET_KEY or a master key"
            )
        return _PLAIN + msgspec.json.encode(value)

    def open(self, label: str, sealed: bytes) -> Any:
        """See `Seal.open`."""
        if sealed[:1] != _PLAIN:
            raise ConfigError(f"{label} in the store is sealed, and no secret key is configured")
        return msgspec.json.decode(sealed[1:])


def _derive(secret: str, label: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=label).derive(secret.encode())


def _holds_secret(value: Any) -> bool:
    """Whether a non-empty `apiKey` or `headers` stands anywhere in it (composite ones nest)."""
    match value:
        case Mapping():
            return any((k in _SECRET_KEYS and v) or _holds_secret(v) for k, v in value.items())
        case list() | tuple():
            return any(_holds_secret(item) for item in value)
        case _:
            return False
