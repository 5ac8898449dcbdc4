"""The file store: a folder and a bucket of a real S3-compatible server keep the same promises."""

import asyncio
import errno
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from io import BufferedWriter
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec import structs

from asissto.platform.errors import (
    AsisstoError,
    BadSetting,
    DocumentTooLarge,
    OriginalMissing,
    StorageFull,
    StorageUnavailable,
)
from asissto.platform.files import FileStore, make_file_store
from asissto.platform.local_files import LocalFiles
from asissto.platform.services import Services
from asissto.platform.settings import Settings
from asissto.platform.stored_files import FoundFile
from people import Person, bearer, make_client
from s3_server import SECRET_KEY, S3Server, running_s3_server
from test_ingestion import GUIDE, found, publish, send, shown, work

TENANT = UUID("018f0000-0000-7000-8000-000000000001")
MEGABYTE = 1 << 20
_prefixes = count()


@dataclass(frozen=True)
class Kept:
    """A store, and what lies in it as somebody sees who looks past it: keys, and uploads that are not whole."""

    store: FileStore
    left: Callable[[], list[str]]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with tempfile.TemporaryDirectory(prefix="asissto-s3-") as folder, running_s3_server(Path(folder)) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return f"test-{next(_prefixes)}"


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> Kept:
    if request.param == "folder":
        folder = tmp_path / "files"
        return Kept(LocalFiles(folder), lambda: sorted(str(path.relative_to(folder)) for path in folder.rglob("*/*")))
    server: S3Server = request.getfixturevalue("s3")
    return Kept(server.store(prefix), lambda: server.keys(prefix) + server.uploads(prefix))


async def pieces(count: int, size: int = MEGABYTE) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


async def content(store: FileStore, key: str) -> bytes:
    return b"".join([piece async for piece in store.read(key)])


async def test_a_large_file_comes_back_as_it_was(kept: Kept) -> None:
    """Size and hash are those of the content, which reads and opens the same."""
    stored = await kept.store.save(TENANT, "large.bin", pieces(30), limit_mb=30)
    expected = b"".join([piece async for piece in pieces(30)])
    assert (stored.bytes, stored.sha) == (30 * MEGABYTE, hashlib.sha256(expected).digest())
    assert kept.left() == [stored.key]
    assert await content(kept.store, stored.key) == expected
    async with kept.store.open(stored.key) as path:
        assert path.read_bytes() == expected


@pytest.mark.parametrize("size", [0, 1, 5 * MEGABYTE])
async def test_a_file_of_any_size_comes_back(kept: Kept, size: int) -> None:
    """Also an empty one, and one that is exactly a part."""
    stored = await kept.store.save(TENANT, "some.bin", pieces(1, size), limit_mb=5)
    assert (stored.bytes, await content(kept.store, stored.key)) == (size, b"\0" * size)


async def test_what_is_opened_leaves_no_copy(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy for the reader is gone after it, also where the reader fails."""
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    stored = await kept.store.save(TENANT, "small.txt", pieces(1), limit_mb=1)

    async def failing() -> None:
        async with kept.store.open(stored.key) as path:
            assert path.stat().st_size == MEGABYTE
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_file_over_the_limit_leaves_nothing(kept: Kept) -> None:
    """It is refused at the first byte too many, when parts of it are sent already."""
    taken = []

    async def counted() -> AsyncIterator[bytes]:
        async for piece in pieces(100):
            taken.append(piece)
            yield piece

    with pytest.raises(DocumentTooLarge) as raised:
        await kept.store.save(TENANT, "large.bin", counted(), limit_mb=20)
    assert raised.value.params == {"name": "large.bin", "limit_mb": 20}
    assert (len(taken), kept.left()) == (21, [])


class Stalling:
    """Twelve megabytes, then nothing more."""

    def __init__(self) -> None:
        self.stalled = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in pieces(12):
            yield piece
        self.stalled.set()
        await asyncio.Event().wait()


async def test_a_cancelled_upload_leaves_nothing(kept: Kept) -> None:
    """Whoever cancelled it gets the control back when what was sent is gone."""
    stalling = Stalling()
    saving = asyncio.create_task(kept.store.save(TENANT, "half.bin", stalling.pieces(), limit_mb=100))
    await stalling.stalled.wait()
    assert len(kept.left()) == 1
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert kept.left() == []


async def test_an_upload_whose_source_fails_leaves_nothing(kept: Kept) -> None:
    """The error of the source arrives as it was, also one that a store might have raised."""

    async def failing() -> AsyncIterator[bytes]:
        async for piece in pieces(12):
            yield piece
        raise FileNotFoundError(errno.ENOENT, "the source is gone")

    with pytest.raises(FileNotFoundError, match="the source is gone"):
        await kept.store.save(TENANT, "half.bin", failing(), limit_mb=100)
    assert kept.left() == []


async def test_deleting_twice_is_fine(kept: Kept) -> None:
    """After it the content is missing, in words that tell what to do."""
    stored = await kept.store.save(TENANT, "small.txt", pieces(1), limit_mb=1)
    other = await kept.store.save(TENANT, "other.txt", pieces(1), limit_mb=1)
    await kept.store.delete(stored.key)
    await kept.store.delete(stored.key)
    assert kept.left() == [other.key]
    with pytest.raises(OriginalMissing, match="Upload the file again"):
        await content(kept.store, stored.key)
    with pytest.raises(OriginalMissing):
        async with kept.store.open(stored.key):
            pass


async def test_a_tenant_is_listed_and_deleted_alone(kept: Kept) -> None:
    """Files of others are neither shown nor touched."""
    mine = {(await kept.store.save(TENANT, "mine.txt", pieces(1), limit_mb=1)).key for _ in range(3)}
    other = await kept.store.save(uuid4(), "other.txt", pieces(1), limit_mb=1)
    listed: list[FoundFile] = [file async for batch in kept.store.find(TENANT) for file in batch]
    assert {file.key for file in listed} == mine
    await kept.store.delete_tenant(TENANT)
    await kept.store.delete_tenant(TENANT)
    assert kept.left() == [other.key]


async def test_the_check_leaves_nothing(kept: Kept) -> None:
    """It says where the files lie."""
    assert re.search(r"/files, .* GB free$|^s3://asissto/test-\d+, \d+ ms to write", await kept.store.check())
    assert kept.left() == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "asissto", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_said_and_leaves_nothing(tiny_disk: Path) -> None:
    """The kernel refuses the third megabyte; a file that fits is taken right after."""
    store = LocalFiles(tiny_disk)
    with pytest.raises(StorageFull) as raised:
        await store.save(TENANT, "large.bin", pieces(3), limit_mb=100)
    assert (raised.value.status, raised.value.code) == (507, "storage_full")
    assert [file async for batch in store.find(TENANT) for file in batch] == []
    stored = await store.save(TENANT, "fits.bin", pieces(1), limit_mb=100)
    assert await content(store, stored.key) == b"\0" * MEGABYTE


async def test_a_full_device_is_said_in_both_languages(
    services: Services, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for those who may not mount: the kernel refuses every write to this device."""

    def create(_path: Path) -> BufferedWriter:
        return Path("/dev/full").open("wb")

    monkeypatch.setattr("asissto.platform.local_files._create", create)
    english = await send(alice, "guide.md", GUIDE)
    alice.client.headers["accept-language"] = "ru"
    russian = await send(alice, "guide.md", GUIDE)
    assert [(answer.status_code, answer.json()["code"]) for answer in (english, russian)] == [(507, "storage_full")] * 2
    assert "no space left" in english.json()["detail"]
    assert "закончилось место" in russian.json()["detail"]
    assert (await alice.client.get("/api/v1/documents")).json()["items"] == []


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "files").write_bytes(b"")
    with pytest.raises(StorageUnavailable, match="cannot be used: Not a directory"):
        await LocalFiles(tmp_path / "files").save(TENANT, "some.txt", pieces(1), limit_mb=1)


async def test_a_folder_that_is_not_mounted_is_unavailable(tmp_path: Path) -> None:
    """The originals are not lost, so that their documents must not fail."""
    with pytest.raises(StorageUnavailable):
        async with LocalFiles(tmp_path / "files").open(f"{TENANT}/something"):
            pass


REFUSED = {
    "secret": ({"s3_secret_key": "wrong"}, "SignatureDoesNotMatch"),
    "key": ({"s3_access_key": "nobody"}, "InvalidAccessKeyId"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_wrong_keys_are_refused_for_good(case: str, s3: S3Server, prefix: str) -> None:
    """The reason is the server's own word for it, and no secret stands in the error."""
    changes, reason = REFUSED[case]
    store = s3.store(prefix, **changes)
    for asked in (store.save(TENANT, "some.bin", pieces(12), limit_mb=100), store.check(), store.delete("some")):
        with pytest.raises(StorageUnavailable) as raised:
            await asked
        assert (raised.value.permanent, raised.value.params) == (True, {"reason": reason})
        assert SECRET_KEY not in f"{raised.value} {raised.value.__cause__!r}"
    assert s3.keys(prefix) + s3.uploads(prefix) == []


async def test_a_bucket_that_is_not_there_is_unavailable(s3: S3Server) -> None:
    """It is no proof that an original is lost."""
    store = make_file_store(structs.replace(s3.settings("x"), files_url="s3://elsewhere"))
    with pytest.raises(StorageUnavailable) as raised:
        await content(store, "some")
    assert (raised.value.permanent, raised.value.params) == (True, {"reason": "NoSuchBucket"})


async def test_a_server_that_goes_away_ends_the_upload(tmp_path: Path, prefix: str) -> None:
    """Whoever uploads is told within seconds, and may try again."""
    with running_s3_server(tmp_path) as server:
        store = server.store(prefix)

        async def killing() -> AsyncIterator[bytes]:
            async for piece in pieces(12):
                yield piece
            server.kill()
            async for piece in pieces(1000):
                yield piece

        with pytest.raises(StorageUnavailable) as raised:
            await asyncio.wait_for(store.save(TENANT, "large.bin", killing(), limit_mb=2000), 30)
        assert (raised.value.permanent, raised.value.status) == (False, 503)


@pytest.mark.parametrize("place", ["https://host/bucket", "s3://", "bucket"])
def test_an_address_without_a_bucket_stops_the_start(place: str) -> None:
    """With the name of the setting."""
    with pytest.raises(BadSetting, match="ASISSTO_FILES_URL"):
        make_file_store(Settings(files_url=place))


@dataclass(frozen=True)
class Bucketed:
    """Services whose files lie in a bucket, and alice in them."""

    services: Services
    alice: Person


@pytest.fixture
async def bucketed(services: Services, alice: Person, s3: S3Server, prefix: str) -> AsyncIterator[Bucketed]:
    from asissto.platform.entrypoints.web import build_app

    services = structs.replace(services, files=s3.store(prefix))
    async with make_client(build_app(services), authorization=bearer(services, alice)) as client:
        member = {name: getattr(alice, name) for name in Person.__dataclass_fields__ if name != "client"}
        yield Bucketed(services, Person(**member, client=client))


async def test_a_document_lives_in_a_bucket(bucketed: Bucketed, s3: S3Server, prefix: str) -> None:
    """Uploaded, read by the worker, found, and its object goes with the job that deletes it."""
    services, alice = bucketed.services, bucketed.alice
    document = await publish(services, alice, "guide.md", GUIDE)
    assert (document["state"], len(s3.keys(prefix))) == ("ready", 1)
    best = (await found(services, alice.tenant_id, "What does renting a bicycle cost?"))[0]
    assert "Renting a bicycle for a day costs 12 euros." in best
    (await alice.client.delete(f"/api/v1/documents/{document['id']}")).raise_for_status()
    assert len(s3.keys(prefix)) == 1
    await work(services)
    assert s3.keys(prefix) + s3.uploads(prefix) == []


async def test_a_document_waits_for_a_store_that_is_away(
    bucketed: Bucketed, s3: S3Server, prefix: str, superuser: asyncpg.Connection
) -> None:
    """Its job is put back with the reason, and is done when the store is there again."""
    document = (await send(bucketed.alice, "guide.md", GUIDE)).json()
    denied = structs.replace(bucketed.services, files=s3.store(prefix, s3_secret_key="wrong"))
    await work(denied)
    waiting = await superuser.fetchrow("SELECT state, attempts, error FROM jobs WHERE kind = 'documents.ingest'")
    assert (waiting["state"], waiting["attempts"], "SignatureDoesNotMatch" in waiting["error"]) == ("todo", 0, True)
    told = await shown(bucketed.alice, document["id"])
    assert (told["state"], told["stage"], told["reason"]) == ("queued", "parsing", "storage_unavailable")
    await superuser.execute("UPDATE jobs SET run_at = now() WHERE kind = 'documents.ingest'")
    await work(bucketed.services)
    assert (await shown(bucketed.alice, document["id"]))["state"] == "ready"


async def test_a_document_without_its_original_says_so(bucketed: Bucketed, superuser: asyncpg.Connection) -> None:
    """It fails at once, since trying again cannot help."""
    document = (await send(bucketed.alice, "guide.md", GUIDE)).json()
    await bucketed.services.files.delete(await superuser.fetchval("SELECT storage_key FROM document_versions"))
    await work(bucketed.services)
    failed = await shown(bucketed.alice, document["id"])
    assert (failed["state"], failed["reason"], failed["attempts"]) == ("failed", "original_missing", 1)
    assert failed["detail"] == "The original is not in the file store any more. Upload the file again."
    assert "Загрузите его снова" in (await shown(bucketed.alice, document["id"], "ru"))["detail"]


async def test_an_upload_to_a_store_that_is_away_leaves_no_document(bucketed: Bucketed, s3: S3Server) -> None:
    """The answer is 503, and says what the server said."""
    from asissto.platform.entrypoints.web import build_app

    denied = structs.replace(bucketed.services, files=s3.store("x", s3_secret_key="wrong"))
    headers = {"authorization": bearer(denied, bucketed.alice)}
    async with make_client(build_app(denied), **headers) as client:
        member = {name: getattr(bucketed.alice, name) for name in Person.__dataclass_fields__ if name != "client"}
        refused = await send(Person(**member, client=client), "guide.md", GUIDE)
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    assert "SignatureDoesNotMatch" in refused.json()["detail"]
    assert (await bucketed.alice.client.get("/api/v1/documents")).json()["items"] == []


def test_every_error_of_a_store_has_a_sentence_in_both_languages() -> None:
    """None of them lacks what to do."""
    errors: list[AsisstoError] = [StorageFull(), StorageUnavailable(permanent=True, reason="no"), OriginalMissing()]
    assert all(error.sentence("en") != error.sentence("ru") for error in errors)
