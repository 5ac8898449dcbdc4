"""The key ring: encrypts secrets at rest and derives the keys of everything else that is signed."""

import base64
import hmac
import os
import secrets
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from asissto.platform.errors import BadSetting, DataDirUnusable
from asissto.platform.settings import Settings


class KeyRing(msgspec.Struct, frozen=True):
    """32-byte keys by their id, newest first: the first encrypts, all decrypt."""

    keys: tuple[tuple[str, bytes], ...]

    def encrypt(self, plain: str, *, about: str) -> bytes:
        """AES-256-GCM as `id:nonce:ciphertext`; `about` (tenant | table | row | field) must be the same to decrypt."""
        name, key = self.keys[0]
        nonce = os.urandom(12)
        return name.encode() + b":" + nonce + AESGCM(key).encrypt(nonce, plain.encode(), about.encode())

    def decrypt(self, sealed: bytes, *, about: str) -> str:
        """Raises InvalidTag for another row's secret and KeyError for a key that left the ring."""
        name, _, rest = sealed.partition(b":")
        key = dict(self.keys)[name.decode()]
        return AESGCM(key).decrypt(rest[:12], rest[12:], about.encode()).decode()

    def reseal(self, sealed: bytes, *, about: str) -> bytes:
        """With the newest key; the same where it has that already. Raises what `decrypt` raises."""
        if sealed.partition(b":")[0] == self.keys[0][0].encode():
            return sealed
        return self.encrypt(self.decrypt(sealed, about=about), about=about)

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only this installation can compute, different for each purpose (HKDF-SHA256)."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(self.keys[0][1])

    def sign(self, purpose: str, message: bytes) -> bytes:
        """32 bytes (HMAC-SHA256) that only this installation can make, by the newest key."""
        return hmac.digest(self.derive(purpose), message, "sha256")

    def is_signed(self, purpose: str, message: bytes, signature: bytes) -> bool:
        """By any key of the ring, also where only the beginning of the signature is left, 12 bytes at least."""
        rings = (KeyRing((pair,)) for pair in self.keys)
        return len(signature) >= 12 and any(
            hmac.compare_digest(ring.sign(purpose, message)[: len(signature)], signature) for ring in rings
        )


def with_new_key(ring: str) -> str:
    """The ring of a setting or a file with a fresh key in front; ids go on as k1, k2, k3."""
    taken = {name for name, _ in parse_key_ring(ring).keys} if ring else set()
    name = next(f"k{number}" for number in range(1, len(taken) + 2) if f"k{number}" not in taken)
    fresh = f"{name}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"
    return ",".join(filter(None, (fresh, ring)))


def add_key(settings: Settings) -> str | None:
    """Puts a fresh key in front of the ring in the data folder; of a ring in the settings returns the new value."""
    if settings.keys:
        return with_new_key(settings.keys)
    open_key_ring(settings)
    path = settings.data_dir / "keys"
    _write(path.with_name("keys.new"), with_new_key(path.read_text().strip())).replace(path)
    return None


def open_key_ring(settings: Settings) -> KeyRing:
    """The ring of the settings, else the one in the data folder, which is made at the first start."""
    if settings.keys:
        return parse_key_ring(settings.keys)
    path = settings.data_dir / "keys"
    try:
        make_once(path)
        return parse_key_ring(path.read_text().strip())
    except OSError as error:
        raise DataDirUnusable(path=settings.data_dir, detail=error.strerror) from None


def parse_key_ring(ring: str) -> KeyRing:
    """Reads `id:base64url,id:base64url`; raises BadSetting."""
    try:
        pairs = [pair.split(":", 1) for pair in ring.split(",")]
        keys = tuple((name.strip(), base64.urlsafe_b64decode(key.strip())) for name, key in pairs)
    except ValueError:
        raise BadSetting(name="ASISSTO_KEYS", detail="not of the form id:base64url") from None
    if any(len(key) != 32 for _, key in keys):
        raise BadSetting(name="ASISSTO_KEYS", detail="a key has not 32 bytes")
    return KeyRing(keys)


def make_once(path: Path) -> None:
    """Writes a new ring readable by its owner alone; of two processes at once the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    fresh = _write(path.with_name(f"keys.{os.getpid()}"), with_new_key(""))
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _write(path: Path, ring: str) -> Path:
    """On the disk when it returns: without its keys an installation opens no secret."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{ring}\n")
        file.flush()
        os.fsync(file.fileno())
    return path
