"""Invoices and statements as pages to print and as tables for a spreadsheet."""

from collections.abc import Iterable, Sequence
from html import escape

from asissto.platform.amounts import figure
from asissto.platform.invoices import shown_number
from asissto.platform.payment_tables import Invoice
from asissto.platform.spreadsheet_cells import csv_text, harmless
from asissto.platform.statements import Statement
from asissto.platform.texts import TEXTS, Language, text

STYLE = "/page/paper.css"

Rows = Sequence[Sequence[str]]


def invoice_page(invoice: Invoice, language: Language) -> str:
    def say(key: str, **params: object) -> str:
        return text(f"paper.{key}", language, **params)

    number = shown_number(invoice.kind, invoice.number)
    title = say(invoice.kind, number=number)
    corrects = "" if invoice.corrects is None else say("corrects", number=shown_number("invoice", invoice.corrects))
    parties = _parties({say("seller"): invoice.content["seller"], say("buyer"): invoice.content["buyer"]})
    amount = figure(invoice.amount, invoice.currency)
    line = say(f"line.{invoice.kind}", payment=invoice.content["payment"])
    table = _table([say("what"), say("amount", currency=invoice.currency)], [[line, amount]], [say("total"), amount])
    dated = say("dated", day=f"{invoice.issued_at:%Y-%m-%d}")
    return _page(title, language, f"<p>{escape(dated)} {escape(corrects)}</p>{parties}{table}")


def invoice_table(invoice: Invoice) -> str:
    columns = ["number", "kind", "issued_at", "corrects", "payment", "buyer", "amount", "currency"]
    row = [
        shown_number(invoice.kind, invoice.number),
        invoice.kind,
        invoice.issued_at.isoformat(),
        "" if invoice.corrects is None else shown_number("invoice", invoice.corrects),
        invoice.content["payment"],
        invoice.content["buyer"],
        figure(invoice.amount, invoice.currency),
        invoice.currency,
    ]
    return _spreadsheet([columns, row])


def statement_page(statement: Statement, language: Language) -> str:
    def say(key: str, **params: object) -> str:
        return text(f"paper.{key}", language, **params)

    currency = statement.currency
    rows = [
        [f"{move.at:%Y-%m-%d %H:%M}", _what(move.kind, language), figure(move.amount, currency)]
        for move in statement.moves
    ]
    opening = [f"{statement.begin:%Y-%m-%d}", say("opening"), figure(statement.opening, currency)]
    columns = [say("at"), say("what"), say("amount", currency=currency)]
    table = _table(columns, [opening, *rows], ["", say("closing"), figure(statement.closing, currency)])
    parties = _parties({say("buyer"): statement.tenant})
    return _page(say("statement", month=f"{statement.begin:%Y-%m}"), language, parties + table)


def statement_table(statement: Statement) -> str:
    """Signed figures: what came into the balance and what went out of it; the last column is the balance after it."""
    after, rows = statement.opening, [["at", "kind", "about", "amount", "currency", "balance"]]
    for move in statement.moves:
        after += move.amount
        about = "" if move.about is None else str(move.about)
        amounts = [figure(move.amount, statement.currency), statement.currency, figure(after, statement.currency)]
        rows.append([move.at.isoformat(), move.kind, about, *amounts])
    return _spreadsheet(rows)


def _what(kind: str, language: Language) -> str:
    """Kinds of other components are shown as they are."""
    key = f"paper.kind.{kind}"
    return text(key, language) if key in TEXTS else kind


def _spreadsheet(rows: Rows) -> str:
    return csv_text([_cell(cell) for cell in row] for row in rows)


def _cell(shown: str) -> str:
    """Figures below zero are no harm."""
    is_figure = shown.removeprefix("-").replace(".", "", 1).isdigit()
    return shown if is_figure else harmless(shown)


def _page(title: str, language: Language, body: str) -> str:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><link rel="stylesheet" href="{STYLE}">'
    return (
        f'<!doctype html><html lang="{language}"><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>'
    )


def _parties(parties: dict[str, str]) -> str:
    shown = "".join(f"<dt>{escape(who)}</dt><dd>{_lines(details)}</dd>" for who, details in parties.items())
    return f"<dl>{shown}</dl>"


def _lines(details: str) -> str:
    return "<br>".join(escape(part.strip()) for part in details.replace(";", "\n").split("\n") if part.strip())


def _table(columns: Sequence[str], rows: Rows, total: Sequence[str]) -> str:
    body = "".join(_row(row, "td") for row in rows)
    return f"<table><thead>{_row(columns, 'th')}</thead><tbody>{body}</tbody><tfoot>{_row(total, 'td')}</tfoot></table>"


def _row(cells: Iterable[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
