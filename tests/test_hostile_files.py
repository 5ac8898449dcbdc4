"""Files made to do harm are read within limits or refused with a reason, and the worker goes on."""

import io
import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
import pytest
from PIL import Image

from asissto.ingestion import archives
from asissto.ingestion.parse_process import parse_apart
from asissto.ingestion.parsing import parse
from asissto.platform.errors import (
    AsisstoError,
    DocumentBomb,
    DocumentCorrupt,
    DocumentEmpty,
    DocumentEncrypted,
    DocumentParseTimeout,
    DocumentRefused,
    DocumentTooComplex,
    DocumentTypeMismatch,
)
from containers import old_workbook, ole_container, outlook_message
from test_formats import OPEN_TEXT, RTF, image_file, picture, saved, scanned
from tools import needs_soffice, needs_tesseract

OFFICE: dict[str, Callable[[], bytes]] = {
    ".docx": lambda: saved(docx.Document()),
    ".xlsx": lambda: saved(openpyxl.Workbook()),
    ".pptx": lambda: saved(pptx.Presentation()),
    ".odt": lambda: OPEN_TEXT,
}


def refused(folder: Path, name: str, content: bytes, error: type[AsisstoError]) -> AsisstoError:
    path = folder / "upload"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        parse(path, name)
    return caught.value


def with_entries(source: bytes, change: Callable[[str, bytes], bytes], **added: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, content in added.items():
            new.writestr(name.replace("__", "/") + ".xml", content)
    return buffer.getvalue()


def unchanged(_name: str, content: bytes) -> bytes:
    return content


@pytest.mark.parametrize("suffix", OFFICE)
def test_a_zip_bomb_is_not_opened(tmp_path: Path, suffix: str) -> None:
    """A file of 200 KB that unpacks to 200 MB."""
    bomb = with_entries(OFFICE[suffix](), unchanged, media__x=bytes(200 << 20))
    error = refused(tmp_path, f"a{suffix}", bomb, DocumentBomb)
    assert f"“a{suffix}” is made to unpack into far more than a document holds (over 100 MB)" in str(error)


def test_a_bomb_that_declares_less_than_it_holds_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers other than zipfile unpack what is there."""
    monkeypatch.setattr(archives, "UNPACKED_MB", 3)
    honest = with_entries(OFFICE[".odt"](), unchanged, content=os.urandom(1 << 20) + bytes(4 << 20))
    size = struct.pack("<L", 5 << 20)
    assert honest.count(size) == 2
    refused(tmp_path, "a.odt", honest.replace(size, struct.pack("<L", 1000)), DocumentBomb)


def test_an_archive_of_a_million_names_is_not_listed(tmp_path: Path) -> None:
    """Its directory alone would fill the memory."""
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 60 << 20, 4, 0)
    refused(tmp_path, "a.docx", b"PK\3\4" + bytes(100) + end, DocumentBomb)


def test_a_document_with_large_pictures_is_no_bomb(tmp_path: Path) -> None:
    """Pictures are packed already."""
    file = docx.Document()
    file.add_paragraph("Delivery takes three days.")
    (tmp_path / "a.docx").write_bytes(with_entries(saved(file), unchanged, word__noise=os.urandom(20 << 20)))
    assert parse(tmp_path / "a.docx", "a.docx").text == "Delivery takes three days."


LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)


@pytest.mark.parametrize("suffix", OFFICE)
def test_entities_that_multiply_are_not_read(tmp_path: Path, suffix: str) -> None:
    """A billion laughs; none of these formats allows entities at all."""
    refused(tmp_path, f"a{suffix}", with_entries(OFFICE[suffix](), unchanged, word__laughs=LAUGHS), DocumentBomb)


def test_a_workbook_that_claims_every_cell_is_read_as_what_it_holds(tmp_path: Path) -> None:
    """16,384 columns of a million rows would be filled up with empty cells."""
    book = openpyxl.Workbook()
    book.active.append(["Болт", 5])
    claimed = with_entries(saved(book), lambda _, data: data.replace(b'ref="A1:B1"', b'ref="A1:XFD1048576"'))
    last = b'<row r="1048576"><c r="XFD1048576"><v>77</v></c></row></sheetData>'
    far = with_entries(claimed, lambda _, data: data.replace(b"</sheetData>", last))
    (tmp_path / "a.xlsx").write_bytes(far)
    assert parse(tmp_path / "a.xlsx", "a.xlsx").text == "Болт | 5\n\n77"


def test_a_hundred_thousand_empty_rows_are_nothing(tmp_path: Path) -> None:
    """Cells with a style and no value; a million of them took 50 s."""
    book = openpyxl.Workbook()
    book.active.append(["Болт", 5])
    empty = b"".join(b'<row r="%d"><c r="A%d" s="0"/></row>' % (row, row) for row in range(2, 100_002))
    styled = with_entries(saved(book), lambda _, data: data.replace(b"</sheetData>", empty + b"</sheetData>"))
    (tmp_path / "a.xlsx").write_bytes(styled)
    assert parse(tmp_path / "a.xlsx", "a.xlsx").text == "Болт | 5"


async def test_a_workbook_of_wide_rows_is_stopped_in_time(tmp_path: Path) -> None:
    """Each row is filled up to its last column, and there are many."""
    book = openpyxl.Workbook()
    book.active.append(["Болт", 5])
    wide = b"".join(b'<row r="%d"><c r="XFD%d"/></row>' % (row, row) for row in range(2, 100_002))
    wide = with_entries(saved(book), lambda _, data: data.replace(b"</sheetData>", wide + b"</sheetData>"))
    (tmp_path / "a.xlsx").write_bytes(wide)
    with pytest.raises(DocumentParseTimeout):
        await parse_apart(tmp_path / "a.xlsx", "a.xlsx", seconds=3, memory_mb=2000)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_an_endless_field_is_refused(tmp_path: Path, suffix: str) -> None:
    """50 MB behind a quotation mark that never closes."""
    refused(tmp_path, f"a{suffix}", b'a,b\n1,"' + b"x y\n" * 12_500_000, DocumentTooComplex)


def pages(count: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(count))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number in range(count):
        text = b"BT /F1 10 Tf 50 700 Td (Clause %d: goods are delivered within a month.) Tj ET" % number
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
        objects += [page % (5 + 2 * number), b"<</Length %d>>stream\n%s\nendstream" % (len(text), text)]
    return b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % pair for pair in enumerate(objects, 1)) + TRAILER


TRAILER = b"trailer<</Root 1 0 R>>\n%%EOF"


async def test_a_pdf_of_ten_thousand_pages_is_read(tmp_path: Path) -> None:
    """It takes 1.2 CPU-s and 67 MB."""
    (tmp_path / "a.pdf").write_bytes(pages(10_000))
    document = await parse_apart(tmp_path / "a.pdf", "a.pdf", seconds=120, memory_mb=500)
    assert (document.pages, document.elements[-1].page) == (10_000, 10_000)
    assert document.text.endswith("Clause 9999: goods are delivered within a month.")


@pytest.mark.parametrize("count", [b"5", b"2000000000"])
def test_a_pdf_whose_pages_hold_themselves_is_corrupt(tmp_path: Path, count: bytes) -> None:
    """Neither the circle nor the number is believed."""
    circle = b"<</Type/Pages/Kids[%d 0 R]/Count " + count + b">>endobj\n"
    source = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj" + circle % 3 + b"3 0 obj" + circle % 2
    refused(tmp_path, "a.pdf", source + TRAILER, DocumentCorrupt)


@pytest.mark.parametrize(("depth", "tag"), [(1_000, "div"), (2_000, "b")])
def test_deep_html_is_read(tmp_path: Path, depth: int, tag: str) -> None:
    """Tags that nobody closes; parsers drop without a word what lies below 256 levels."""
    (tmp_path / "a.html").write_text(f"<p>Top.</p>{f'<{tag}>' * depth}Bottom.")
    assert parse(tmp_path / "a.html", "a.html").text == "Top.\n\nBottom."


@pytest.mark.parametrize("tag", ["div", "b", "table><tr><td", "ul><li"])
def test_html_without_a_bottom_is_refused(tmp_path: Path, tag: str) -> None:
    """100,000 levels."""
    refused(tmp_path, "a.html", f"<p>Top.</p>{f'<{tag}>' * 100_000}Bottom.".encode(), DocumentTooComplex)


def nested_mail(levels: int) -> bytes:
    head = "From: a@example.com\nSubject: x\nContent-Type: multipart/mixed; boundary=b{0}\n\n--b{0}\n"
    return ("".join(map(head.format, range(levels))) + "Content-Type: text/plain\n\nBottom.\n").encode()


def test_mail_in_mail_is_read_or_refused(tmp_path: Path) -> None:
    """200 levels are read, and what Python cannot follow is said to be too deep."""
    (tmp_path / "a.eml").write_bytes(nested_mail(200))
    assert parse(tmp_path / "a.eml", "a.eml").text == "From: a@example.com\n\nBottom."
    refused(tmp_path, "a.eml", nested_mail(2_000), DocumentTooComplex)


def test_forwarded_mail_200_deep_is_named_and_not_followed(tmp_path: Path) -> None:
    """An attachment in an attachment in an attachment."""
    head = "From: a@example.com\nSubject: Letter {0}\nContent-Type: multipart/mixed; boundary=b{0}\n\n"
    parts = "--b{0}\n\nSee below.\n--b{0}\nContent-Type: message/rfc822\n\n"
    mail = "".join((head + parts).format(level) for level in range(200))
    (tmp_path / "a.eml").write_text(mail + "Subject: Bottom\n\nText.")
    document = parse(tmp_path / "a.eml", "a.eml")
    assert document.text == "From: a@example.com\n\nSee below."
    assert (document.title, document.warnings) == ("Letter 0", ("attachments_not_read: Letter 1",))


def test_a_picture_of_50_000_by_50_000_pixels_is_not_unpacked(tmp_path: Path) -> None:
    """The size stands in its first bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    head = struct.pack(">LLBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    refused(tmp_path, "a.png", png, DocumentBomb)
    refused(
        tmp_path,
        "a.bmp",
        b"BM" + struct.pack("<LLLLllHHLLLLLL", 9, 0, 54, 40, 50_000, 50_000, 1, 24, *[0] * 6),
        DocumentBomb,
    )


WHOLE: dict[str, Callable[[], bytes]] = {
    **OFFICE,
    ".pdf": lambda: pages(1),
    ".xls": lambda: old_workbook("Цены", [["Товар", "Цена"]]),
    ".msg": lambda: outlook_message("Subject", "Text " * 5_000, "a.pdf"),
    ".doc": lambda: ole_container({"WordDocument": bytes(9_000)}),
    ".png": lambda: image_file(picture("Text"), "PNG"),
    ".jpg": lambda: image_file(picture("Text"), "JPEG"),
    ".tif": lambda: image_file(picture("Text"), "TIFF"),
    ".webp": lambda: image_file(picture("Text"), "WEBP"),
    ".bmp": lambda: image_file(picture("Text"), "BMP"),
}


@needs_tesseract
@needs_soffice
@pytest.mark.parametrize("suffix", WHOLE)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_broke_off_is_said_to_be_damaged(tmp_path: Path, suffix: str, share: float) -> None:
    """Whatever its format."""
    whole = WHOLE[suffix]()
    (tmp_path / "upload").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DocumentRefused) as caught:
        parse(tmp_path / "upload", f"a{suffix}")
    assert caught.value.code in {"document_corrupt", "document_empty"}, caught.value


def test_files_under_a_password_are_told_apart(tmp_path: Path) -> None:
    """Those of Office are in test_parsing."""
    locked = bytearray(with_entries(OFFICE[".docx"](), unchanged))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for found in re.finditer(re.escape(mark), bytes(locked)):
            locked[found.start() + at] |= 1
    refused(tmp_path, "a.docx", bytes(locked), DocumentEncrypted)
    refused(tmp_path, "a.zip.pdf", bytes(locked), DocumentEncrypted)
    refused(tmp_path, "a.pdf", with_entries(zip_of(b"x"), unchanged), DocumentTypeMismatch)


def zip_of(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", content)
    return buffer.getvalue()


def test_characters_that_nobody_sees_do_not_reach_the_text(tmp_path: Path) -> None:
    """NUL, controls, bidi marks and tags, which could steer a model."""
    (tmp_path / "a.txt").write_bytes(
        "a\0b\x07 \u202ec\u2066d\U000e0041 \x1b[31m in a sentence of some length.\n\n".encode() * 9
    )
    assert parse(tmp_path / "a.txt", "a.txt").text.splitlines()[0] == "ab cd [31m in a sentence of some length."
    refused(tmp_path, "a.txt", "\u202e\u200b\n".encode() * 5, DocumentEmpty)


@pytest.mark.parametrize("name", ["../../etc/passwd.txt", "C:\\x.txt", "a\0.txt", "x" * 5000 + ".txt", "\u202etxt.txt"])
async def test_names_with_tricks_harm_nobody(tmp_path: Path, name: str) -> None:
    """No path is made of a name."""
    (tmp_path / "upload").write_text("Text.")
    document = await parse_apart(tmp_path / "upload", name, seconds=60, memory_mb=500)
    assert (document.text, len(document.title) < 201, set(document.title) & set("/\\\0\u202e")) == (
        "Text.",
        True,
        set(),
    )


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """A web server on this machine: its port, and what was asked of it."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        do_HEAD = do_OPTIONS = do_PROPFIND = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, paths
        server.shutdown()


@needs_soffice
async def test_libreoffice_fetches_nothing(tmp_path: Path, asked: tuple[int, list[str]]) -> None:
    """Neither pictures from the network nor texts from the disk; without our profile it asks for the picture."""
    port, paths = asked
    (tmp_path / "secret.txt").write_text("secret")
    names = {"office": "office", "text": "text", "draw": "drawing"}
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"' for short, long in names.items()
    )
    picture = f'<text:p><draw:frame><draw:image xlink:href="http://127.0.0.1:{port}/a.png"/></draw:frame></text:p>'
    section = (
        f'<text:section text:name="s"><text:section-source xlink:href="file://{tmp_path}/secret.txt"/></text:section>'
    )
    content = (
        f'<office:document-content {spaces} xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.2">'
        f"<office:body><office:text><text:p>Visible.</text:p>{section}{picture}</office:text></office:body></office:document-content>"
    )
    manifest = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    entry = '<manifest:file-entry manifest:full-path="{}" manifest:media-type="{}"/>'
    entries = entry.format("/", "application/vnd.oasis.opendocument.text") + entry.format("content.xml", "text/xml")
    listed = f'<manifest:manifest xmlns:manifest="{manifest}">{entries}</manifest:manifest>'
    file = with_entries(OPEN_TEXT, unchanged, content=content.encode(), **{"META-INF__manifest": listed.encode()})
    (tmp_path / "a.odt").write_bytes(file)
    document = await parse_apart(tmp_path / "a.odt", "a.odt", seconds=120, memory_mb=2000)
    assert (document.text, paths) == ("Visible.", [])


@needs_soffice
async def test_nothing_is_left_of_a_conversion_that_was_stopped(tmp_path: Path) -> None:
    """No LibreOffice, and no copy of the document."""
    (tmp_path / "a.rtf").write_bytes(RTF[:-1] + rb"\par text " * 2_000_000 + b"}")
    with pytest.raises(DocumentParseTimeout):
        await parse_apart(tmp_path / "a.rtf", "a.rtf", seconds=2, memory_mb=4000)
    assert [command for command in running() if b"source.rtf" in command] == []


def running() -> list[bytes]:
    return [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]


@needs_tesseract
async def test_a_huge_page_is_rendered_small_enough(tmp_path: Path) -> None:
    """At 300 dpi it would take 800 MB; whether words come out is another question."""
    scanned(tmp_path / "a.pdf", [picture("Returns are free of charge.", (1500, 2000))])
    wide = (tmp_path / "a.pdf").read_bytes().replace(b"[ 0 0 600 800]", b"[ 0 0 6000 8000]")
    (tmp_path / "a.pdf").write_bytes(wide)
    with suppress(DocumentEmpty):
        await parse_apart(tmp_path / "a.pdf", "a.pdf", seconds=100, memory_mb=500)


def test_the_limit_of_pixels_is_ours() -> None:
    """Pillow would warn at 90 million, which is an A3 page at 700 dpi, and warnings are errors here."""
    assert Image.MAX_IMAGE_PIXELS is None
