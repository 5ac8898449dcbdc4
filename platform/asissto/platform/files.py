"""Where uploaded originals lie: a folder, or a bucket of an S3-compatible server; one object per key."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from asissto.platform.errors import BadSetting
from asissto.platform.local_files import LocalFiles
from asissto.platform.s3_files import S3Files
from asissto.platform.settings import Settings
from asissto.platform.stored_files import FoundFile, StoredFile

if TYPE_CHECKING:
    from obstore.store import S3Config


class FileStore(Protocol):
    """Every method raises StorageUnavailable where the store cannot be used, and StorageFull where it is full."""

    async def save(self, tenant_id: UUID, name: str, pieces: AsyncIterator[bytes], *, limit_mb: int) -> StoredFile:
        """Durable when it returns; raises DocumentTooLarge. Whatever it raises, nothing is left behind."""

    def open(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The content as a local file while the block runs; raises OriginalMissing."""

    def read(self, key: str) -> AsyncIterator[bytes]:
        """The content in pieces; raises OriginalMissing before the first."""

    async def delete(self, key: str) -> None:
        """Deleting what is gone already is fine: the job that asks for it may run twice."""

    async def delete_tenant(self, tenant_id: UUID) -> None:
        """Everything of a tenant that is no more."""

    def find(self, tenant_id: UUID) -> AsyncIterator[list[FoundFile]]:
        """What is there of a tenant, up to a thousand at a time."""

    async def check(self) -> str:
        """Writes and deletes something; says where the files lie."""


def make_file_store(settings: Settings) -> FileStore:
    """The store of the settings; a bucket is asked for when the first file comes. Raises BadSetting."""
    if settings.files_url is None:
        return LocalFiles(settings.data_dir / "files")
    return _in_bucket(settings, settings.files_url)


def _in_bucket(settings: Settings, place: str) -> S3Files:
    from obstore.store import S3Store

    url = urlsplit(place)
    if url.scheme != "s3" or not url.netloc:
        raise BadSetting(name="ASISSTO_FILES_URL", detail="it is not of the form s3://bucket/prefix")
    store = S3Store(
        url.netloc,
        prefix=url.path.strip("/") or None,
        config=_config(settings, url.netloc),
        # The second one is the time for a whole object, also for one that is read.
        client_options={"allow_http": True, "timeout": timedelta(minutes=15), "read_timeout": timedelta(seconds=30)},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
    )
    return S3Files(store, place)


def _config(settings: Settings, bucket: str) -> "S3Config":
    config: S3Config = {
        "region": settings.s3_region,
        "virtual_hosted_style_request": not settings.s3_path_style,
        "disable_bulk_delete": True,  # not every server has it
    }
    if endpoint := _endpoint(settings, bucket):
        config["endpoint"] = endpoint
    if settings.s3_access_key and settings.s3_secret_key:
        config["access_key_id"] = settings.s3_access_key
        config["secret_access_key"] = settings.s3_secret_key
    return config


def _endpoint(settings: Settings, bucket: str) -> str | None:
    """The library wants the bucket in the host's name where it does not stand in the path."""
    if settings.s3_endpoint is None or settings.s3_path_style:
        return settings.s3_endpoint
    scheme, _, host = settings.s3_endpoint.partition("://")
    return f"{scheme}://{bucket}.{host}"
