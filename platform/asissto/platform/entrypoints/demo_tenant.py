"""`asissto demo-tenant`: a workspace that pays, as a customer of the service has it, made by what the API calls."""

import secrets
from uuid import UUID

import msgspec
from msgspec import structs
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import add_user, new_user
from asissto.platform.amounts import figure
from asissto.platform.authentication import Principal
from asissto.platform.billing import LIMITED, BillingOut, EntryOut, show_billing
from asissto.platform.commissions import pay_partners
from asissto.platform.entrypoints.asking import ask_here
from asissto.platform.entrypoints.ingest import expand, ingest_files
from asissto.platform.entrypoints.screen import progress, screen
from asissto.platform.entrypoints.workspace import guide_folder, make_workspace
from asissto.platform.invoice_routes import InvoiceOut
from asissto.platform.money_tables import LedgerEntry
from asissto.platform.owed_commissions import Owed, owed
from asissto.platform.payment_tables import Invoice
from asissto.platform.payments import TopUpIn, settle_by_hand, top_up
from asissto.platform.plans import Terms, put_plan
from asissto.platform.referral_codes import PartnerCodeIn, add_code
from asissto.platform.referring import find_referral, note_referral
from asissto.platform.services import Services
from asissto.platform.subscriptions import change_plan
from asissto.platform.tables import Membership, User, new_id
from asissto.platform.texts import Language, text

PLANS: dict[Language, Terms] = {
    "en": Terms(code="demo-en", name="Demo", price=2_900, currency="USD", answers=2, overage_price=10, documents=50),
    "ru": Terms(code="demo-ru", name="Демо", price=190_000, currency="RUB", answers=2, overage_price=500, documents=50),
}
"""Two answers are included, so that the third is charged."""

QUESTIONS: dict[Language, tuple[str, ...]] = {
    "en": ("Which file types can I upload?", "How do I connect Telegram?", "Who can see the audit log?"),
    "ru": ("Какие файлы можно загрузить?", "Как подключить Telegram?", "Кто видит журнал действий?"),
}


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """The password was made for this workspace alone and is shown once; `owed` is what its partner has earned."""

    tenant_id: UUID
    email: str
    password: str
    billing: BillingOut
    entries: list[EntryOut]
    invoices: list[InvoiceOut]
    referral_code: str
    owed: list[Owed]


async def make_demo(services: Services) -> Demo:
    """A person whom a partner has brought, with a workspace, who tops up, takes a plan and asks three questions."""
    pay_partners()
    language = services.settings.language
    services = _selling(services)
    owner, email, password = await _move_in(services, language)
    await _pay(services, owner, language)
    with progress(text("up.sample", language)) as report:
        await ingest_files(services, owner.tenant_id, expand([guide_folder() / language]), report)
    for question in QUESTIONS[language]:
        await ask_here(services, owner.tenant_id, question)
    return await _look(services, owner.tenant_id, email, password)


def show_demo(demo: Demo, language: Language) -> None:
    billing = demo.billing
    screen.print(text("demo.owner", language, email=demo.email, password=demo.password))
    price, balance = (figure(amount, billing.currency) for amount in (billing.plan.price, billing.balance))
    told = {"plan": billing.plan.name, "price": price, "currency": billing.currency, "balance": balance}
    screen.print(text("demo.plan", language, **told))
    used = [[name, str(billing.usage.get(name, 0)), str(billing.limits[name] or "-")] for name in LIMITED]
    _table(text("demo.usage", language), used)
    booked = [[entry.kind, entry.debit, entry.credit, figure(entry.amount, entry.currency)] for entry in demo.entries]
    _table(text("demo.ledger", language), booked)
    issued = [
        [invoice.number, invoice.seller, invoice.buyer, figure(invoice.amount, invoice.currency)]
        for invoice in demo.invoices
    ]
    _table(text("demo.invoices", language), issued)
    for each in demo.owed:
        amounts = {"amount": figure(each.pending + each.payable, each.currency), "currency": each.currency}
        screen.print(text("demo.referral", language, code=demo.referral_code, **amounts))


def _selling(services: Services) -> Services:
    """With plans and bank transfers, whatever this server is set to."""
    settings = services.settings
    bank = settings.bank_details or text("demo.bank", settings.language)
    return structs.replace(services, settings=structs.replace(settings, billing=True, bank_details=bank))


async def _move_in(services: Services, language: Language) -> tuple[Principal, str, str]:
    email, password = f"demo-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12)
    person = await new_user(text("demo.person", language), email, password, language)
    async with services.database.system() as session:
        await add_user(session, person)
        tenant_id = await make_workspace(session, language, text("demo.name", language))
        session.add(Membership(tenant_id=tenant_id, user_id=person.id, role="owner"))
        principal = Principal(
            tenant_id=tenant_id, user_id=person.id, role="owner", session_id=new_id(), kind="command line"
        )
        await _bring(session, principal, person, language)
    return principal, email, password


async def _bring(session: AsyncSession, principal: Principal, person: User, language: Language) -> None:
    """By a partner who is there for this alone, and whose password nobody knows."""
    email = f"partner-{secrets.token_hex(4)}@example.com"
    partner = await new_user(
        text("demo.partner", language), email, secrets.token_urlsafe(12), language, role="referral"
    )
    await add_user(session, partner)
    action = "platform.referrals.codes.create"
    made = await add_code(session, principal, PartnerCodeIn(user_id=partner.id), action)
    await note_referral(session, person, principal.tenant_id, made.code, None)


async def _pay(services: Services, owner: Principal, language: Language) -> None:
    """The plan is put into the catalogue and taken out again: nobody else is to buy it."""
    terms = PLANS[language]
    async with services.database.system() as session:
        await put_plan(session, terms, "active")
    amount = terms.price + 10 * (terms.overage_price or 0)
    paid = await top_up(services, owner, TopUpIn(provider="manual", amount=amount, currency=terms.currency))
    await settle_by_hand(services, owner, owner.tenant_id, paid.id)
    async with services.database.tenant(owner.tenant_id) as session:
        await change_plan(session, owner.tenant_id, terms.code)
    async with services.database.system() as session:
        await put_plan(session, terms, "archived")


async def _look(services: Services, tenant_id: UUID, email: str, password: str) -> Demo:
    async with services.database.system() as session:
        referral = await find_referral(session, tenant_id)
        assert referral is not None
        earned = await owed(session, referral.partner_id)
    async with services.database.tenant(tenant_id) as session:
        entries = select(LedgerEntry).where(LedgerEntry.tenant_id == tenant_id).order_by(LedgerEntry.id)
        invoices = select(Invoice).where(Invoice.tenant_id == tenant_id).order_by(Invoice.id)
        return Demo(
            tenant_id=tenant_id,
            email=email,
            password=password,
            billing=await show_billing(session, tenant_id),
            entries=[EntryOut.of(row) for row in await session.scalars(entries)],
            invoices=[InvoiceOut.of(row) for row in await session.scalars(invoices)],
            referral_code=referral.code,
            owed=earned.get(referral.partner_id, []),
        )


def _table(title: str, rows: list[list[str]]) -> None:
    table = Table(title=title, show_header=False, title_justify="left")
    for row in rows:
        table.add_row(*row)
    screen.print(table)
