"""The routes of invoices, credit notes and monthly statements."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import msgspec
from litestar import Controller, MediaType, Response, get
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler
from sqlalchemy import select

from asissto.platform.given import Caller, Reader, Session
from asissto.platform.invoices import find_invoice, shown_number
from asissto.platform.openapi import MEDIA_TYPES
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page, newest_first
from asissto.platform.paper_rendering import invoice_page, invoice_table, statement_page, statement_table
from asissto.platform.payment_tables import Invoice
from asissto.platform.permissions import need
from asissto.platform.statements import read_statement

Month = Annotated[str, QueryParameter(max_length=7, description="As `2026-11`, in UTC.")]


class InvoiceOut(msgspec.Struct, frozen=True, kw_only=True):
    """`corrects` is the invoice that a credit note is about; amounts in minor units."""

    id: UUID
    kind: str
    number: str
    corrects: str | None
    payment_id: UUID
    amount: int
    currency: str
    seller: str
    buyer: str
    issued_at: datetime

    @classmethod
    def of(cls, row: Invoice) -> Self:
        plain = {name: getattr(row, name) for name in ("id", "kind", "payment_id", "amount", "currency", "issued_at")}
        corrects = None if row.corrects is None else shown_number("invoice", row.corrects)
        parties = {"seller": row.content["seller"], "buyer": row.content["buyer"]}
        return cls(**plain, **parties, number=shown_number(row.kind, row.number), corrects=corrects)


class InvoiceController(Controller):
    path = "/api/v1/invoices"
    tags = ("payments",)

    @get(operation_id="invoices.list", guards=[need("billing.read")])
    async def list(
        self, principal: Caller, session: Session, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[InvoiceOut]:
        mine = select(Invoice).where(Invoice.tenant_id == principal.tenant_id)
        return (await newest_first(session, mine, Invoice.id, limit, after)).map(InvoiceOut.of)

    @get("/{invoice_id:uuid}", operation_id="invoices.read", guards=[need("billing.read")])
    async def read(self, invoice_id: FromPath[UUID], principal: Caller, session: Session) -> InvoiceOut:
        return InvoiceOut.of(await find_invoice(session, principal.tenant_id, invoice_id))

    @get(
        "/{invoice_id:uuid}/html",
        operation_id="invoices.html",
        guards=[need("billing.read")],
        opt={MEDIA_TYPES: ("text/html",)},
    )
    async def html(
        self, invoice_id: FromPath[UUID], principal: Caller, session: Session, language: Reader
    ) -> Response[str]:
        """To be printed, in the language of the caller."""
        invoice = await find_invoice(session, principal.tenant_id, invoice_id)
        return Response(invoice_page(invoice, language), media_type=MediaType.HTML)

    @get(
        "/{invoice_id:uuid}/csv",
        operation_id="invoices.csv",
        guards=[need("billing.read")],
        opt={MEDIA_TYPES: ("text/csv",)},
    )
    async def csv(self, invoice_id: FromPath[UUID], principal: Caller, session: Session) -> Response[str]:
        invoice = await find_invoice(session, principal.tenant_id, invoice_id)
        return _spreadsheet(invoice_table(invoice), shown_number(invoice.kind, invoice.number))


class StatementController(Controller):
    path = "/api/v1/billing/statement"
    tags = ("payments",)

    @get(
        "/html",
        operation_id="statements.html",
        guards=[need("billing.read")],
        opt={MEDIA_TYPES: ("text/html",)},
    )
    async def html(self, month: Month, principal: Caller, session: Session, language: Reader) -> Response[str]:
        """What moved the balance within a month, to be printed."""
        statement = await read_statement(session, principal.tenant_id, month)
        return Response(statement_page(statement, language), media_type=MediaType.HTML)

    @get(
        "/csv",
        operation_id="statements.csv",
        guards=[need("billing.read")],
        opt={MEDIA_TYPES: ("text/csv",)},
    )
    async def csv(self, month: Month, principal: Caller, session: Session) -> Response[str]:
        statement = await read_statement(session, principal.tenant_id, month)
        return _spreadsheet(statement_table(statement), f"statement-{month}")


def _spreadsheet(table: str, name: str) -> Response[str]:
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(table, media_type="text/csv", headers=headers)


HANDLERS: list[ControllerRouterHandler] = [InvoiceController, StatementController]
