"""Each format is told by its content and read with its tables, pages and warnings; what cannot be read says why."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pytest
from PIL import Image, ImageDraw, ImageFont
from pptx.util import Inches

from asissto.ingestion.names import LONGEST_NAME, clean_name, suffix_of
from asissto.ingestion.parsing import ParsedDocument, TimeLimit, parse
from asissto.ingestion.sniffing import SUPPORTED, sniff
from asissto.platform.errors import (
    AsisstoError,
    DocumentConverterMissing,
    DocumentCorrupt,
    DocumentEmpty,
    DocumentEncrypted,
    DocumentNeedsOcr,
    DocumentOcrTimeout,
    DocumentTypeMismatch,
    DocumentTypeUnknown,
)
from containers import old_workbook, ole_container, outlook_message
from tools import needs_soffice, needs_tesseract

DOCS = Path(__file__).resolve().parents[1].parent / "shared" / "sets" / "docs"
needs_docs = pytest.mark.skipif(not DOCS.is_dir(), reason="the evaluation sets are not here")


def parsed(folder: Path, name: str, content: str | bytes) -> ParsedDocument:
    path = folder / "upload"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return parse(path, name)


def parts(document: ParsedDocument) -> list[tuple[str, str]]:
    return [(element.kind, document.text[element.start : element.end]) for element in document.elements]


def saved(file: Any) -> bytes:
    """Of a document, workbook or presentation."""
    buffer = io.BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def zipped(**entries: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def picture(text: str, size: tuple[int, int] = (1600, 400)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((60, 60), text, fill="black", font=ImageFont.load_default(size=44))
    return image


def image_file(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


OPEN_TEXT = zipped(mimetype="application/vnd.oasis.opendocument.text")
LOCKED_TEXT = zipped(
    mimetype="application/vnd.oasis.opendocument.text", **{"META-INF__manifest.xml": "<encryption-data/>"}
)
CONTENTS: dict[str, Callable[[], bytes]] = {
    "pdf": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "docx": lambda: saved(docx.Document()),
    "xlsx": lambda: saved(openpyxl.Workbook()),
    "pptx": lambda: saved(pptx.Presentation()),
    "odt": lambda: OPEN_TEXT,
    "doc": lambda: ole_container({"WordDocument": b"x"}),
    "xls": lambda: ole_container({"Workbook": b"x"}),
    "msg": lambda: outlook_message("a", "b", "c"),
    "rtf": lambda: rb"{\rtf1 Hello}",
    "html": lambda: b"\xef\xbb\xbf<!-- saved --> <!DOCTYPE html><html><p>Hello",
    "eml": lambda: b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Hello\r\n\r\nText",
    "txt": lambda: "Обычный текст".encode("koi8-r"),
    "utf-16": lambda: "Plain text without a mark".encode("utf-16-le"),
    "png": lambda: image_file(picture("a"), "PNG"),
    "jpg": lambda: image_file(picture("a"), "JPEG"),
    "tif": lambda: image_file(picture("a"), "TIFF"),
    "webp": lambda: image_file(picture("a"), "WEBP"),
    "bmp": lambda: image_file(picture("a"), "BMP"),
    "EXE": lambda: b"MZ\x90\0\3\0\0\0" + bytes(100),
    "ZIP": lambda: zipped(a="text"),
    "ODS": lambda: zipped(mimetype="application/vnd.oasis.opendocument.spreadsheet"),
    "PPT": lambda: ole_container({"PowerPoint Document": b"x"}),
    "GIF": lambda: image_file(picture("a"), "GIF"),
    "noise": lambda: bytes(range(256)) * 4,
    "locked": lambda: ole_container({"EncryptedPackage": b"x"}),
    "locked odt": lambda: LOCKED_TEXT,
}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.pdf", "pdf", ".pdf"),
        ("a.txt", "pdf", ".pdf"),
        ("a", "pdf", ".pdf"),
        ("a.docx", "xlsx", ".xlsx"),
        ("a.xlsx", "pptx", ".pptx"),
        ("report of 12.05", "docx", ".docx"),
        ("a.docx", "odt", ".odt"),
        ("a.docx", "doc", ".doc"),
        ("a.doc", "xls", ".xls"),
        ("a.eml", "msg", ".msg"),
        ("a.doc", "rtf", ".rtf"),
        ("a.doc", "html", ".html"),
        ("a.txt", "html", ".html"),
        ("a.md", "html", ".md"),
        ("a.txt", "eml", ".eml"),
        ("a.html", "eml", ".html"),
        ("a.csv", "txt", ".csv"),
        ("a.md", "txt", ".md"),
        ("a.pdf", "txt", ".txt"),
        ("a", "txt", ".txt"),
        ("a", "utf-16", ".txt"),
        ("a.jpg", "png", ".png"),
        ("a.pdf", "jpg", ".jpg"),
        ("a", "tif", ".tif"),
        ("a", "webp", ".webp"),
        ("a", "bmp", ".bmp"),
        ("a.pdf", "noise", ".pdf"),
    ],
)
def test_the_content_tells_the_type_and_the_name_only_the_kind_of_text(
    tmp_path: Path, name: str, content: str, kind: str
) -> None:
    """What the content does not tell is left to the reader that the name calls for."""
    (tmp_path / "upload").write_bytes(CONTENTS[content]())
    assert sniff(tmp_path / "upload", name) == kind
    assert kind in SUPPORTED


@pytest.mark.parametrize(
    ("name", "content", "error", "sentence"),
    [
        ("a.pdf", "EXE", DocumentTypeMismatch, "The content of “a.pdf” is of the type EXE, which is not supported."),
        ("a.docx", "ZIP", DocumentTypeMismatch, "The content of “a.docx” is of the type ZIP"),
        ("a.xlsx", "ODS", DocumentTypeMismatch, "is of the type ODS"),
        ("a.doc", "PPT", DocumentTypeMismatch, "is of the type PPT"),
        ("a.png", "GIF", DocumentTypeMismatch, "is of the type GIF"),
        ("a.exe", "EXE", DocumentTypeUnknown, "“a.exe” are not supported. Supported: pdf, docx"),
        ("a.py", "txt", DocumentTypeUnknown, "“a.py” are not supported"),
        ("a", "noise", DocumentTypeUnknown, "“a” are not supported"),
        ("a.docx", "locked", DocumentEncrypted, "“a.docx” is protected by a password"),
        ("a.odt", "locked odt", DocumentEncrypted, "“a.odt” is protected by a password"),
    ],
)
def test_what_is_something_else_is_refused_by_what_it_is(
    tmp_path: Path, name: str, content: str, error: type[AsisstoError], sentence: str
) -> None:
    """An EXE under the name of a PDF is not called damaged."""
    (tmp_path / "upload").write_bytes(CONTENTS[content]())
    with pytest.raises(error) as refused:
        sniff(tmp_path / "upload", name)
    assert sentence in refused.value.sentence("en")


def test_sniffing_needs_no_parser() -> None:
    """The API judges uploads by it."""
    heavy = "{'unstructured', 'pypdfium2', 'openpyxl', 'lxml', 'docx', 'PIL', 'olefile', 'oxmsg', 'xlrd'}"
    code = f"import sys, asissto.ingestion.sniffing; print({heavy} & {{m.split('.')[0] for m in sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("name", "clean", "suffix"),
    [
        ("Отчёт.PDF", "Отчёт.PDF", ".pdf"),
        ("../../etc/passwd.txt", "passwd.txt", ".txt"),
        ("C:\\Users\\x.pdf", "x.pdf", ".pdf"),
        ("a\0b.txt", "ab.txt", ".txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe", ".exe"),
        ("a\u200b \t\nb.txt", "a b.txt", ".txt"),
        ("...", "document", ""),
        ("/", "document", ""),
        ("", "document", ""),
        (".pdf", "pdf", ""),
        ("и\u0306.txt", "й.txt", ".txt"),
        ("Report of 12.05", "Report of 12.05", ""),
        ("a.txt. . ", "a.txt", ".txt"),
        ("я" * 500 + ".docx", "я" * (LONGEST_NAME - 6) + "….docx", ".docx"),
        ("я" * 500, "я" * (LONGEST_NAME - 1) + "…", ""),
    ],
)
def test_names_are_cleaned(name: str, clean: str, suffix: str) -> None:
    """No path, nothing unseen, nothing that turns the text around, nothing endless."""
    assert (clean_name(name), suffix_of(name)) == (clean, suffix)
    assert clean_name(clean) == clean


def test_a_title_made_of_a_name_is_clean(tmp_path: Path) -> None:
    """It is shown beside answers."""
    assert parsed(tmp_path, "../a\u202e\0b.txt", "Text.").title == "ab"
    assert parsed(tmp_path, "a.html", "<title>Ti\u202e\u200btle</title><p>Text.").title == "Title"


def test_merged_cells_of_html_are_repeated_down_the_rows(tmp_path: Path) -> None:
    """Each row can be read alone, and its cells stand under their headers."""
    source = """<table><tr><th rowspan="2">Region</th><th colspan="2">2026</th></tr><tr><th>Q1</th><th>Q2</th></tr>
    <tr><td rowspan=2>North</td><td>5</td><td>6</td></tr><tr><td>7</td><td>8</td></tr>
    <tr><td colspan="99999">x</td></tr></table>"""
    assert parts(parsed(tmp_path, "a.html", source)) == [
        ("table", "Region | 2026 |\nRegion | Q1 | Q2\nNorth | 5 | 6\nNorth | 7 | 8\nx | |")
    ]


def test_merged_cells_of_word_are_repeated_down_the_rows(tmp_path: Path) -> None:
    """As in HTML."""
    file = docx.Document()
    table = file.add_table(4, 3)
    rows = (("Регион", "Город", "Цена"), ("Север", "Омск", "5"), ("", "Томск", "7"), ("Итого", "", "12"))
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(3, 0).merge(table.cell(3, 1))
    assert parts(parsed(tmp_path, "a.docx", saved(file))) == [
        ("table", "Регион | Город | Цена\nСевер | Омск | 5\nСевер | Томск | 7\nИтого | | 12")
    ]


def test_workbooks_with_merged_cells_and_formulas_without_values(tmp_path: Path) -> None:
    """A program that only writes a formula leaves its value out, and the reader is told."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Сводка"
    for row in (["Регион", "Город", "Сумма"], ["Север", "Омск", 5], [None, "Томск", 7], ["Итого", None, "=SUM(C2:C3)"]):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    book.create_sheet("Цены").append(["Болт", "=1+1"])
    document = parsed(tmp_path, "a.xlsx", saved(book))
    assert parts(document) == [
        ("title", "Сводка"),
        ("table", "Регион | Город | Сумма\nСевер | Омск | 5\nСевер | Томск | 7\nИтого | |"),
        ("title", "Цены"),
        ("text", "Болт"),
    ]
    assert document.warnings == ("formulas_without_values: Сводка!C4, Цены!B1",)


def test_old_workbooks_are_read(tmp_path: Path) -> None:
    """Excel 95 and its code page."""
    document = parsed(tmp_path, "a.xls", old_workbook("Цены", [["Товар", "Цена"], ["Болт", 12.5], ["Гайка", 7.0]]))
    assert parts(document) == [("table", "Товар | Цена\nБолт | 12.5\nГайка | 7")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "koi8-r", "cp866", "utf-16"])
def test_csv_in_every_delimiter_and_encoding(tmp_path: Path, delimiter: str, encoding: str) -> None:
    """A title above the table and prices with commas do not mislead; quotes keep line breaks."""
    rows = (("Товар", "Цена"), ('"Болт\nстальной"', '"12,50"'), ("Гайка", '"7,00"'), ("Шайба", '"1,10"'))
    source = "Прайс-лист\n" + "\n".join(delimiter.join(row) for row in rows)
    assert parts(parsed(tmp_path, "a.csv", source.encode(encoding))) == [
        ("text", "Прайс-лист"),
        ("table", "Товар | Цена\nБолт стальной | 12,50\nГайка | 7,00\nШайба | 1,10"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "koi8-r", "cp866", "utf-16"])
def test_html_and_mail_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    """What the page declares agrees with what it is in, or is missing."""
    page = f'<html><head><meta charset="{encoding}"></head><body><p>Доставка занимает три дня.</p></body></html>'
    assert parsed(tmp_path, "a.html", page.encode(encoding)).text == "Доставка занимает три дня."
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.com", "Срок"
    mail.set_content("Доставка занимает три дня.", charset="utf-8" if encoding == "utf-16" else encoding)
    assert parsed(tmp_path, "a.eml", mail.as_bytes()).text == "From: a@example.com\n\nДоставка занимает три дня."


def test_attachments_of_mail_are_named(tmp_path: Path) -> None:
    """Nobody believes that they were read; a forwarded letter goes by its subject."""
    forwarded = EmailMessage()
    forwarded["From"], forwarded["Subject"] = "c@example.com", "Старое письмо"
    forwarded.set_content("Old text")
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.com", "Счёт"
    mail.set_content("Счёт во вложении.")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename="../счёт.pdf")
    mail.add_attachment(forwarded)
    document = parsed(tmp_path, "a.eml", mail.as_bytes())
    assert document.text == "From: a@example.com\n\nСчёт во вложении."
    assert document.warnings == ("attachments_not_read: счёт.pdf, Старое письмо",)


def test_outlook_messages_are_read(tmp_path: Path) -> None:
    """Sender, text, and the names of attachments."""
    document = parsed(tmp_path, "a.msg", outlook_message("Заказ", "Доставка в пятницу.\r\n\r\nАнна", "счёт.pdf"))
    assert document.title == "Заказ"
    assert document.text == 'From: "Anna" <anna@example.com>\n\nДоставка в пятницу.\n\nАнна'
    assert document.warnings == ("attachments_not_read: счёт.pdf",)


def test_slides_give_their_tables_and_their_notes(tmp_path: Path) -> None:
    """Notes come after what is on the slide, in its section."""
    file = pptx.Presentation()
    for title, note in (("Прайс", "Скидка 10%."), ("Итоги", "")):
        slide = file.slides.add_slide(file.slide_layouts[5])
        slide.shapes.title.text = title
        if note:
            table = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(2)).table
            for number, text in enumerate(("Товар", "Цена", "Болт", "5")):
                table.cell(number // 2, number % 2).text = text
            slide.notes_slide.notes_text_frame.text = note
    document = parsed(tmp_path, "a.pptx", saved(file))
    assert [(document.text[e.start : e.end], e.page, e.heading_path) for e in document.elements] == [
        ("Прайс", 1, ("Прайс",)),
        ("Товар | Цена\nБолт | 5", 1, ("Прайс",)),
        ("Скидка 10%.", 1, ("Прайс",)),
        ("Итоги", 2, ("Итоги",)),
    ]


RTF = (
    rb"{\rtf1\ansi\ansicpg1251\deff0{\fonttbl{\f0\fcharset204 Times;}}"
    rb"\f0 \'d1\'f0\'ee\'ea \'f2\'f0\'e8 \'e4\'ed\'ff.\par"
    rb"\trowd\cellx3000\cellx6000\intbl A\cell B\cell\row\trowd\cellx3000\cellx6000\intbl 1\cell 2\cell\row\pard}"
)


@needs_soffice
def test_rtf_is_read_through_libreoffice(tmp_path: Path) -> None:
    """With its code page and its table."""
    assert parts(parsed(tmp_path, "a.rtf", RTF)) == [("text", "Срок три дня."), ("table", "A | B\n1 | 2")]


@needs_soffice
@needs_docs
def test_an_old_word_file_is_read_through_libreoffice() -> None:
    """With headings and tables."""
    document = parse(DOCS / "example_ru.doc", "example_ru.doc")
    assert "Статья 1" in [text for kind, text in parts(document) if kind == "title"]
    assert "Фамилия | Имя | Отчество" in [text.partition("\n")[0] for kind, text in parts(document) if kind == "table"]


@needs_soffice
@pytest.mark.parametrize("content", [OPEN_TEXT, ole_container({"WordDocument": b"x" * 9000})])
def test_a_broken_file_for_libreoffice_is_corrupt(tmp_path: Path, content: bytes) -> None:
    """It says nothing and makes nothing."""
    with pytest.raises(DocumentCorrupt):
        parsed(tmp_path, "a.odt", content)


def test_without_libreoffice_old_formats_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user can save the file anew, the administrator can install it."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DocumentConverterMissing, match="Save it as DOCX and upload that"):
        parsed(tmp_path, "a.rtf", RTF)


def test_without_tesseract_pictures_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As scans do."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DocumentNeedsOcr, match="install tesseract"):
        parsed(tmp_path, "a.png", image_file(picture("Text"), "PNG"))


@needs_tesseract
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_pictures_of_text_are_read(tmp_path: Path, kind: str) -> None:
    """Whatever their name says."""
    document = parsed(tmp_path, "scan.png", image_file(picture("Delivery takes three days."), kind))
    assert (document.text, document.warnings) == ("Delivery takes three days.", ("pages_recognised: 1",))


@needs_tesseract
def test_each_picture_of_a_tiff_is_a_page(tmp_path: Path) -> None:
    """Fax machines and scanners write such files."""
    first, second = picture("Delivery takes three days."), picture("Returns are free of charge.")
    document = parsed(tmp_path, "scan.tif", image_file(first, "TIFF", save_all=True, append_images=[second]))
    assert [(document.text[e.start : e.end], e.page) for e in document.elements] == [
        ("Delivery takes three days.", 1),
        ("Returns are free of charge.", 2),
    ]
    assert (document.pages, document.warnings) == (2, ("pages_recognised: 1, 2",))


@needs_tesseract
def test_a_picture_without_words_is_empty(tmp_path: Path) -> None:
    """Specks are not text."""
    with pytest.raises(DocumentEmpty):
        parsed(tmp_path, "a.png", image_file(picture("~ . | -"), "PNG"))


def scanned(path: Path, pages: list[Image.Image | str]) -> None:
    pdf = pdfium.PdfDocument.new()
    for content in pages:
        page = pdf.new_page(600, 800)
        if isinstance(content, str):
            text_onto(pdf, page, content)
        else:
            item = pdfium.PdfImage.new(pdf)
            item.set_bitmap(pdfium.PdfBitmap.from_pil(content))
            item.set_matrix(pdfium.PdfMatrix().scale(600, 800))
            page.insert_obj(item)
        page.gen_content()
    pdf.save(path)
    pdf.close()


def text_onto(pdf: Any, page: Any, text: str) -> None:
    import ctypes

    import pypdfium2.raw as pdfium_c  # type: ignore[import-untyped]

    item = pdfium_c.FPDFPageObj_NewTextObj(pdf, b"Helvetica", 10)
    pdfium_c.FPDFText_SetText(item, (ctypes.c_ushort * (len(text) + 1))(*map(ord, text)))
    pdfium_c.FPDFPageObj_Transform(item, 1, 0, 0, 1, 50, 700)
    pdfium_c.FPDFPage_InsertObject(page, item)


@needs_tesseract
def test_scanned_and_garbled_pages_are_recognised_between_those_with_text(tmp_path: Path) -> None:
    """Only they are; the warning names them, and a picture without words."""
    scan = picture("Returns are free of charge.", (1500, 2000))
    garbled = "M]heh\\guc dh^_dk Jhkkbckdhc N_^_jZpbb h[jZ[hldb i_jkhgZevguo ^Zgguo " * 4
    scanned(
        tmp_path / "a.pdf", ["Delivery takes three days in the whole country.", scan, Image.new("RGB", (9, 9)), garbled]
    )
    document = parse(tmp_path / "a.pdf", "a.pdf")
    assert [(document.text[e.start : e.end], e.page) for e in document.elements][:2] == [
        ("Delivery takes three days in the whole country.", 1),
        ("Returns are free of charge.", 2),
    ]
    assert document.warnings[:2] == ("pages_recognised: 2, 4", "pages_without_text: 3")


def test_without_tesseract_garbled_pages_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on them would be found by nobody."""
    monkeypatch.setenv("PATH", "/nowhere")
    garbled = "M]heh\\guc dh^_dk Jhkkbckdhc N_^_jZpbb h[jZ[hldb i_jkhgZevguo ^Zgguo " * 4
    text = "Delivery takes three days in the whole country, and returns are free of charge for everybody. " * 5
    scanned(tmp_path / "a.pdf", [text, garbled, text, text])
    document = parse(tmp_path / "a.pdf", "a.pdf")
    assert (document.warnings, "dh^_dk" in document.text) == (("pages_garbled: 2",), False)


@needs_tesseract
def test_a_page_on_its_side_is_turned(tmp_path: Path) -> None:
    """tesseract tells how a page lies from enough text on it."""
    line = "Every employee may take twenty eight days of paid leave in each calendar year."
    page = picture("\n".join([line] * 25), (2000, 1600)).rotate(90, expand=True)
    scanned(tmp_path / "a.pdf", [page])
    assert parse(tmp_path / "a.pdf", "a.pdf").text.count("twenty eight days of paid leave") > 20


@needs_tesseract
@needs_docs
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scan_tz_ru.pdf", "противообледенительных жидкостей"),
        ("garbled_fstek17_ru.pdf", "не составляющей государственную тайну"),
    ],
)
def test_real_scans_are_read_where_tesseract_is_installed(name: str, words: str) -> None:
    """The manifest calls them unreadable: they are where it is not installed, as test_parsing shows."""
    document = parse(DOCS / name, name)
    assert words in document.text
    assert document.warnings[0].startswith("pages_recognised: 1")


@needs_tesseract
def test_recognition_that_takes_too_long_says_so(tmp_path: Path) -> None:
    """Before it is stopped by force: how far it came is worth knowing."""
    scanned(tmp_path / "a.pdf", [picture("Returns are free of charge.", (1500, 2000))] * 3)
    with pytest.raises(DocumentOcrTimeout, match=r"0 of 3 pages were read within 1 s"):
        parse(tmp_path / "a.pdf", "a.pdf", TimeLimit(1, started=0))


def test_tables_that_lay_out_a_page_come_apart(tmp_path: Path) -> None:
    """Paragraphs and tables inside them keep their form, and rows of several cells stay rows."""
    source = """<table><tr><td><table><tr><td>Dear customer,<p>your order is ready.</p><ul><li>bolts<li>nuts</ul>
    </td></tr><tr><td><table><tr><th>Item</th><th>Price</th></tr><tr><td>Bolt</td><td>5</td></tr></table></td></tr></table>
    </td></tr><tr><td>Delivery</td><td>3</td></tr><tr><td>Sum</td><td>8</td></tr></table>"""
    assert parts(parsed(tmp_path, "a.html", source)) == [
        ("text", "Dear customer,"),
        ("text", "your order is ready."),
        ("list_item", "bolts"),
        ("list_item", "nuts"),
        ("table", "Item | Price\nBolt | 5"),
        ("table", "Delivery | 3\nSum | 8"),
    ]


def test_text_that_was_encoded_twice_is_put_right(tmp_path: Path) -> None:
    """UTF-8 taken for Latin-1 and written again; a Spanish Ñ before a wide space is left alone."""
    broken = "1997–2004, Привет".encode().decode("latin-1")
    assert parsed(tmp_path, "a.txt", f"{broken} AÑ\u00a0O").text == "1997–2004, Привет AÑ O"


@needs_docs
def test_rows_of_a_pdf_table_are_lines_of_their_own() -> None:
    """For pdfium the caption, the header and the first row are one line."""
    text = parse(DOCS / "gdp_tables_ru.pdf", "gdp_tables_ru.pdf").text
    assert "долл.\nГосударство Место ВВП (по ППС) за 2018 г.\nИндия 3 10498\n" in text
