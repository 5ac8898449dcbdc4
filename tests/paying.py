"""What the tests of payments share: a workspace in roubles, a shop, an administrator, and the worker's round."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from msgspec import structs

from asissto.platform.entrypoints.web import build_app
from asissto.platform.payment_events import settle_round
from asissto.platform.services import Services
from people import Person, bearer, make_client

BANK = "Account 40702810"
SELLER = "Operator LLC; Main Street 1; Tax number 7701"


@dataclass(frozen=True)
class Shop:
    """`owner` is alice, who tops up; `admin` is charlie, who runs the platform."""

    services: Services
    owner: httpx.AsyncClient
    admin: httpx.AsyncClient
    anybody: httpx.AsyncClient
    database: asyncpg.Connection
    tenant_id: UUID

    async def top_up(self, amount: int, **more: Any) -> dict[str, Any]:
        body = {"provider": "yookassa", "amount": amount, **more}
        made: dict[str, Any] = (await self.owner.post("/api/v1/billing/top-ups", json=body)).raise_for_status().json()
        return made

    async def payment(self, payment_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.owner.get(f"/api/v1/payments/{payment_id}")).raise_for_status().json()
        return shown

    async def order_of(self, payment_id: str) -> str:
        found: str = await self.database.fetchval("SELECT provider_id FROM payments WHERE id = $1", UUID(payment_id))
        return found

    async def hook(self, body: bytes, provider: str = "yookassa", **headers: str) -> int:
        address = f"/api/v1/payments/hooks/{provider}"
        return (await self.anybody.post(address, content=body, headers=headers)).status_code

    async def refund(self, payment_id: str, **body: Any) -> httpx.Response:
        address = f"/api/v1/platform/tenants/{self.tenant_id}/payments/{payment_id}/refund"
        return await self.admin.post(address, json=body)

    async def settle(self, payment_id: str) -> httpx.Response:
        return await self.admin.post(f"/api/v1/platform/tenants/{self.tenant_id}/payments/{payment_id}/settle")

    async def work(self) -> None:
        """As the worker does, with what is due now and what would be due later."""
        await self.make_due()
        await settle_round(self.services)

    async def make_due(self) -> None:
        await self.database.execute("UPDATE payment_events SET next_attempt_at = now() WHERE state = 'new'")

    async def check_all(self) -> None:
        """As if nothing had been heard for hours."""
        await self.database.execute("UPDATE payments SET next_check_at = now() WHERE next_check_at IS NOT NULL")
        await self.work()

    async def wallet(self) -> int:
        found: int = await self.database.fetchval("SELECT balance FROM tenants WHERE id = $1", self.tenant_id)
        return found

    async def ledger(self) -> list[tuple[str, str, str, int]]:
        rows = await self.database.fetch(
            "SELECT kind, debit, credit, amount FROM ledger_entries WHERE tenant_id = $1 ORDER BY id", self.tenant_id
        )
        return [tuple(row) for row in rows]

    async def papers(self) -> list[tuple[str, int, int | None, int]]:
        rows = await self.database.fetch("SELECT kind, number, corrects, amount FROM invoices ORDER BY id")
        return [tuple(row) for row in rows]

    async def spend(self, amount: int, key: str = "spent") -> None:
        from asissto.platform.ledger import transfer

        async with self.services.database.tenant(self.tenant_id) as session:
            spent = {"kind": "spend", "debit": "wallet", "credit": "revenue", "amount": amount, "key": key}
            await transfer(session, self.tenant_id, **spent)  # type: ignore[arg-type]


async def open_shop(
    services: Services, alice: Person, charlie: Person, database: asyncpg.Connection, currency: str, **settings: Any
) -> Shop:
    """In the caller's database; `settings` are those of the payment provider."""
    await database.execute("UPDATE tenants SET currency = $1, name = 'Tea & Co'", currency)
    await database.execute("UPDATE users SET role = 'admin' WHERE id = $1", charlie.user_id)
    given = structs.replace(services.settings, invoice_seller=SELLER, bank_details=BANK, **settings)
    services = structs.replace(services, settings=given)
    app = build_app(services)
    owner, admin = (make_client(app, authorization=bearer(services, person)) for person in (alice, charlie))
    return Shop(services, owner, admin, make_client(app), database, alice.tenant_id)
