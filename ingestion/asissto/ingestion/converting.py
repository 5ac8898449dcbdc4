"""Turns old Word, RTF and OpenDocument files into DOCX with LibreOffice, where it is installed."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msoffcrypto  # type: ignore[import-untyped]

from asissto.ingestion.archives import refuse_bomb
from asissto.platform.errors import DocumentConverterMissing, DocumentCorrupt, DocumentEncrypted

CONVERTED: Final = frozenset({".doc", ".odt", ".rtf"})


@contextmanager
def as_word(path: Path, name: str, suffix: str) -> Iterator[Path]:
    """A DOCX with the same content, for as long as the context lasts.

    It is converted in a profile of its own, which another LibreOffice cannot lock and which lets documents load
    nothing from elsewhere. Its process belongs to the group of this one and ends with it.
    """
    if suffix == ".odt":
        refuse_bomb(path, name)
    if suffix == ".doc" and _is_encrypted(path):
        raise DocumentEncrypted(name=name)
    soffice = shutil.which("soffice")
    if soffice is None:
        raise DocumentConverterMissing(name=name)
    with TemporaryDirectory(prefix="convert-") as folder:
        source, made = Path(folder, f"source{suffix}"), Path(folder, "made", "source.docx")
        shutil.copyfile(path, source)
        _write_profile(Path(folder, "profile"))
        command = [soffice, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--norestore"]
        command += ["--convert-to", "docx", "--outdir", str(made.parent), str(source)]
        ran = subprocess.run(command, capture_output=True, check=False, env=_ENVIRONMENT | {"HOME": folder})  # noqa: S603
        if ran.returncode == 128 + signal.SIGABRT:  # what it does where memory is short
            raise MemoryError
        if not made.exists():
            raise DocumentCorrupt(name=name)
        yield made


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "SAL_USE_VCLPLUGIN": "svp", "LANG": "C.UTF-8"}
"""Nothing of the worker's environment, which holds its keys."""


def _is_encrypted(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            return bool(msoffcrypto.OfficeFile(file).is_encrypted())
        except (msoffcrypto.exceptions.FileFormatError, ValueError, OSError, EOFError, IndexError):
            return False  # damaged, as the conversion will show


def _write_profile(folder: Path) -> None:
    """No macros, no links followed, no pictures or texts fetched from the network or from this machine."""
    (folder / "user").mkdir(parents=True)
    items = "".join(
        f'<item oor:path="/org.openoffice.{path}">'
        f'<prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
        for path, name, value in _SAFE
    )
    schema = 'xmlns:oor="http://openoffice.org/2001/registry"'
    text = f'<?xml version="1.0" encoding="UTF-8"?><oor:items {schema}>{items}</oor:items>'
    (folder / "user" / "registrymodifications.xcu").write_text(text, encoding="utf-8")


_SAFE = (
    ("Office.Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("Office.Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Office.Common/Security/Scripting", "DisableActiveContent", "true"),
    ("Office.Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Office.Writer/Content/Update", "Link", "2"),
    ("Inet/Settings", "ooInetProxyType", "2"),
    ("Inet/Settings", "ooInetNoProxy", ""),
    ("Inet/Settings", "ooInetHTTPProxyName", "127.0.0.1"),
    ("Inet/Settings", "ooInetHTTPProxyPort", "9"),
    ("Inet/Settings", "ooInetHTTPSProxyName", "127.0.0.1"),
    ("Inet/Settings", "ooInetHTTPSProxyPort", "9"),
)
