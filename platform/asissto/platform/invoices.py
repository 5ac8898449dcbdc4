"""Invoices and credit notes: numbered without gaps over the whole platform, and kept as they were issued."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.errors import NotFound
from asissto.platform.payment_tables import Invoice, InvoiceSeries, Payment
from asissto.platform.tables import Tenant, new_id

Kind = Literal["invoice", "credit_note"]


async def issue_invoice(session: AsyncSession, payment: Payment, kind: Kind, amount: int, seller: str) -> Invoice:
    """In the system transaction that books the money: both are there or neither, so that no number is missing.

    The series' row stays locked until then; whoever comes next waits for some milliseconds.
    """
    tenant = await session.get_one(Tenant, payment.tenant_id)
    invoice = Invoice(
        tenant_id=payment.tenant_id,
        id=new_id(),
        kind=kind,
        number=await _next_number(session, kind),
        payment_id=payment.id,
        corrects=await _first_invoice(session, payment) if kind == "credit_note" else None,
        amount=amount,
        currency=payment.currency,
        content=_content(payment, tenant, seller),
    )
    session.add(invoice)
    await session.flush()
    return invoice


async def find_invoice(session: AsyncSession, tenant_id: UUID, invoice_id: UUID) -> Invoice:
    """Raises NotFound."""
    invoice = await session.get(Invoice, (tenant_id, invoice_id))
    if invoice is None:
        raise NotFound(kind="invoice")
    return invoice


def shown_number(kind: str, number: int) -> str:
    return f"{'CN' if kind == 'credit_note' else 'INV'}-{number:06d}"


async def _next_number(session: AsyncSession, kind: Kind) -> int:
    taken = update(InvoiceSeries).where(InvoiceSeries.kind == kind).values(last=InvoiceSeries.last + 1)
    return (await session.scalars(taken.returning(InvoiceSeries.last))).one()


async def _first_invoice(session: AsyncSession, payment: Payment) -> int | None:
    own = (Invoice.tenant_id == payment.tenant_id, Invoice.payment_id == payment.id, Invoice.kind == "invoice")
    return await session.scalar(select(Invoice.number).where(*own).order_by(Invoice.number).limit(1))


def _content(payment: Payment, tenant: Tenant, seller: str) -> dict[str, Any]:
    return {
        "seller": seller,
        "buyer": payment.payer or tenant.name,
        "provider": payment.provider,
        "payment": str(payment.id),
    }
