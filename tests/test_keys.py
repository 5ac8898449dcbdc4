"""The key ring: what it seals only it opens, and only in the place that the secret was sealed for."""

import stat
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import get_ident

import pytest
from cryptography.exceptions import InvalidTag

from asissto.platform.errors import BadSetting, DataDirUnusable
from asissto.platform.keys import KeyRing, make_once, open_key_ring, parse_key_ring
from asissto.platform.settings import Settings

OLD = "k1:" + "A" * 43 + "="
NEW = "k2:" + "B" * 43 + "="
HERE = "tenant-1|channels|row-1|secrets"


def test_a_ring_is_read_newest_first() -> None:
    """Ids and 32 bytes each; white space around them does not matter."""
    assert parse_key_ring(f" {NEW} , {OLD} ") == KeyRing(
        (("k2", b"\x04\x10\x41" * 10 + b"\x04\x10"), ("k1", bytes(32)))
    )


@pytest.mark.parametrize("ring", ["", "k1", "k1:AAAA", "k1:not base64 at all", f"{OLD},k2:AAAA", OLD + ","])
def test_a_ring_that_cannot_be_used_is_refused(ring: str) -> None:
    """The error names the setting and does not quote the key."""
    with pytest.raises(BadSetting) as caught:
        parse_key_ring(ring)
    assert caught.value.params["name"] == "ASISSTO_KEYS"
    assert "AAAA" not in str(caught.value)


def test_a_secret_opens_where_it_was_sealed() -> None:
    """The sealed form neither shows the secret nor repeats itself."""
    ring = parse_key_ring(OLD)
    sealed = ring.encrypt("токен 123", about=HERE)
    assert ring.decrypt(sealed, about=HERE) == "токен 123"
    assert "токен".encode() not in sealed
    assert ring.encrypt("токен 123", about=HERE) != sealed


@pytest.mark.parametrize(
    "about",
    ["tenant-2|channels|row-1|secrets", "tenant-1|channels|row-2|secrets", "tenant-1|channels|row-1|settings", ""],
)
def test_a_secret_moved_to_another_row_does_not_open(about: str) -> None:
    """Whoever copies a sealed value between tenants, rows or fields gets nothing."""
    ring = parse_key_ring(OLD)
    with pytest.raises(InvalidTag):
        ring.decrypt(ring.encrypt("secret", about=HERE), about=about)


def test_a_changed_secret_does_not_open() -> None:
    """One flipped bit is noticed."""
    ring = parse_key_ring(OLD)
    sealed = bytearray(ring.encrypt("secret", about=HERE))
    sealed[-1] ^= 1
    with pytest.raises(InvalidTag):
        ring.decrypt(bytes(sealed), about=HERE)


def test_after_a_rotation_old_secrets_open_and_new_ones_take_the_new_key() -> None:
    """The old key serves until it leaves the ring."""
    before, during, after = (parse_key_ring(ring) for ring in (OLD, f"{NEW},{OLD}", NEW))
    sealed_before, sealed_during = (ring.encrypt("secret", about=HERE) for ring in (before, during))
    assert during.decrypt(sealed_before, about=HERE) == "secret"
    assert after.decrypt(sealed_during, about=HERE) == "secret"
    with pytest.raises(KeyError):
        after.decrypt(sealed_before, about=HERE)


def test_derived_keys_differ_by_purpose_and_by_ring() -> None:
    """The same ring derives the same key again, and no purpose sees another one's."""
    old, new = parse_key_ring(OLD), parse_key_ring(NEW)
    assert old.derive("tokens") == parse_key_ring(OLD).derive("tokens")
    assert len({old.derive("tokens"), old.derive("database:app"), new.derive("tokens"), bytes(32)}) == 4
    assert len(old.derive("tokens")) == 32


def test_a_new_installation_makes_keys_that_only_its_owner_reads(tmp_path: Path) -> None:
    """The file is made once, with mode 0600, and read again at the next start."""
    settings = Settings(data_dir=tmp_path / "data")
    ring = open_key_ring(settings)
    assert open_key_ring(settings) == ring
    assert stat.S_IMODE((settings.data_dir / "keys").stat().st_mode) == 0o600
    assert [path.name for path in settings.data_dir.iterdir()] == ["keys"]
    assert open_key_ring(Settings(data_dir=tmp_path / "other")) != ring


def test_of_many_first_starts_one_makes_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second reads what the first has written; threads stand for processes here."""
    path = tmp_path / "data" / "keys"
    monkeypatch.setattr("os.getpid", get_ident)

    def start(_: int) -> str:
        make_once(path)
        return path.read_text()

    with ThreadPool(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1


def test_keys_of_the_settings_win(tmp_path: Path) -> None:
    """Then no file is made."""
    assert open_key_ring(Settings(data_dir=tmp_path, keys=OLD)) == parse_key_ring(OLD)
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    """As an error of ours, with the folder in it."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataDirUnusable) as caught:
        open_key_ring(Settings(data_dir=file))
    assert caught.value.params["path"] == file
