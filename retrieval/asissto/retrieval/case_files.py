"""Cases as files: a line of JSON each, or a table of a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

from asissto.ingestion.import_reports import BadRow
from asissto.ingestion.pair_csv import guarded, records, unguarded
from asissto.ingestion.plain_text import decode
from asissto.platform.errors import AsisstoError, InvalidInput
from asissto.platform.problems import from_validation
from asissto.platform.texts import Phrase
from asissto.retrieval.question_sets import CaseIn, CitedDocument, check_case

MOST_CASES = 5_000
COLUMNS = {
    "question": ("question", "вопрос"),
    "expected": ("expected", "ожидается"),
    "must_contain": ("must_contain", "должно быть"),
    "must_not_contain": ("must_not_contain", "не должно быть"),
    "must_cite": ("must_cite", "источники"),
    "note": ("note", "заметка"),
    "tags": ("tags", "теги"),
}
_LISTS = {"must_contain": "\n", "must_not_contain": "\n", "must_cite": "\n", "tags": ","}


class CaseFile(msgspec.Struct, frozen=True):
    """What could be read, by the line it begins in, and what could not."""

    cases: list[tuple[int, CaseIn]] = []
    bad: list[BadRow] = []


def read_lines(data: bytes) -> CaseFile:
    """A JSON object in each line, with the fields of a case; raises InvalidInput where there are too many."""
    file = CaseFile()
    lines = decode(data, "JSONL").splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip():
            _take(file, number, line)
    return _limited(file)


def read_table(data: bytes) -> CaseFile:
    """CSV with columns by the names in the first line.

    Phrases and documents are parted by line breaks, tags by commas; a document is named by its title, or as
    `id:…` or `key:…`. A table has no history. Raises InvalidInput for what is wrong with all of it.
    """
    rows = records(decode(data, "CSV"))
    _, head = next(rows, (1, []))
    places = _places(head)
    file = CaseFile()
    for line, cells in rows:
        if any(map(str.strip, cells)):
            said = {name: unguarded(cells[at]).strip() if at < len(cells) else "" for name, at in places.items()}
            _take(file, line, _values(said))
    return _limited(file)


def write_lines(cases: Iterable[CaseIn]) -> str:
    return "".join(msgspec.json.encode(case).decode() + "\n" for case in cases)


def write_table(cases: Iterable[CaseIn]) -> str:
    """Without histories, which only lines of JSON have room for."""
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(COLUMNS)
    table.writerows([guarded(cell) for cell in _cells(case)] for case in cases)
    return written.getvalue()


def _take(file: CaseFile, line: int, what: str | dict[str, object]) -> None:
    try:
        case = msgspec.json.decode(what, type=CaseIn) if isinstance(what, str) else msgspec.convert(what, CaseIn)
        check_case(case)
    except msgspec.ValidationError as error:
        file.bad.append(BadRow(line, from_validation(str(error))))
    except msgspec.DecodeError:
        file.bad.append(BadRow(line, InvalidInput(field=f"line {line}", detail=Phrase("invalid.form"))))
    except AsisstoError as error:
        file.bad.append(BadRow(line, error))
    else:
        file.cases.append((line, case))


def _limited(file: CaseFile) -> CaseFile:
    if len(file.cases) + len(file.bad) > MOST_CASES:
        raise InvalidInput(field="rows", detail=Phrase("invalid.too_large", MOST_CASES))
    return file


def _places(head: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in head]
    places = {column: names.index(name) for column, known in COLUMNS.items() for name in names if name in known}
    if "question" not in places:
        raise InvalidInput(field="question", detail=Phrase("invalid.missing"))
    return places


def _values(said: dict[str, str]) -> dict[str, object]:
    values: dict[str, object] = {name: cell for name, cell in said.items() if cell}
    for name, separator in _LISTS.items():
        if name in values:
            values[name] = [part.strip() for part in said[name].split(separator) if part.strip()]
    if "must_cite" in values:
        values["must_cite"] = [_document(part) for part in said["must_cite"].split("\n") if part.strip()]
    return values


def _document(name: str) -> dict[str, str]:
    kind, colon, rest = name.strip().partition(":")
    field = {"id": "document_id", "key": "source_key"}.get(kind) if colon else None
    return {field: rest.strip()} if field else {"title": name.strip()}


def _cells(case: CaseIn) -> list[str]:
    return [
        case.question,
        case.expected,
        "\n".join(case.must_contain),
        "\n".join(case.must_not_contain),
        "\n".join(_name(document) for document in case.must_cite),
        case.note,
        ", ".join(case.tags),
    ]


def _name(document: CitedDocument) -> str:
    if document.document_id is not None:
        return f"id:{document.document_id}"
    return f"key:{document.source_key}" if document.source_key is not None else document.title or ""
