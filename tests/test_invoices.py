"""Invoices, credit notes and statements: numbered without gaps, kept as they were, to be read, printed and counted."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from asissto.platform.amounts import figure, read_figure
from asissto.platform.payments import SETTLED
from asissto.platform.services import Services
from paying import SELLER, Shop, open_shop
from people import Person


@pytest.fixture
async def shop(
    services: Services, alice: Person, charlie: Person, superuser: asyncpg.Connection
) -> AsyncIterator[Shop]:
    yield await open_shop(services, alice, charlie, superuser, "EUR")
    await services.payments.close()


async def pay(shop: Shop, amount: int, **more: str) -> str:
    """The id of a transfer that came in."""
    payment_id: str = (await shop.top_up(amount, provider="manual", **more))["id"]
    (await shop.settle(payment_id)).raise_for_status()
    return payment_id


async def test_an_invoice_is_kept_as_it_was_issued(shop: Shop) -> None:
    """Whatever the workspace and the operator are called later."""
    payment_id = await pay(shop, 123_456, payer="Tea & <b>Co</b>; VAT 77")
    await shop.database.execute("UPDATE tenants SET name = 'Renamed'")
    (listed,) = (await shop.owner.get("/api/v1/invoices")).json()["items"]
    assert {name: listed[name] for name in ("kind", "number", "corrects", "amount", "currency")} == {
        "kind": "invoice",
        "number": "INV-000001",
        "corrects": None,
        "amount": 123_456,
        "currency": "EUR",
    }
    assert (listed["payment_id"], listed["seller"], listed["buyer"]) == (payment_id, SELLER, "Tea & <b>Co</b>; VAT 77")
    assert (await shop.owner.get(f"/api/v1/invoices/{listed['id']}")).json() == listed


@pytest.mark.parametrize(
    ("language", "title", "total", "corrects"),
    [
        ("en", "Credit note CN-000001", "Total", "It corrects the invoice INV-000001."),
        ("ru", "Корректировочный счёт CN-000001", "Итого", "Корректирует счёт INV-000001."),
    ],
)
async def test_papers_are_printed_in_the_readers_language(
    shop: Shop, language: str, title: str, total: str, corrects: str
) -> None:
    """A page of its own with its style in a file, since our policy allows no style inside; names are no markup."""
    payment_id = await pay(shop, 123_456, payer="Tea & <b>Co</b>; VAT 77")
    await shop.refund(payment_id, amount=23_400)
    credit_note, _invoice = (await shop.owner.get("/api/v1/invoices")).json()["items"]
    headers = {"accept-language": language}
    shown = await shop.owner.get(f"/api/v1/invoices/{credit_note['id']}/html", headers=headers)
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<h1>{title}</h1>" in shown.text
    assert f"<td>{total}</td><td>234.00</td>" in shown.text
    assert corrects in shown.text
    assert "<dd>Tea &amp; &lt;b&gt;Co&lt;/b&gt;<br>VAT 77</dd>" in shown.text
    assert "<dd>Operator LLC<br>Main Street 1<br>Tax number 7701</dd>" in shown.text
    (style,) = re.findall(r'href="(.+?)"', shown.text)
    assert (await shop.anybody.get(style)).headers["content-type"].startswith("text/css")


async def test_a_table_holds_no_formulas(shop: Shop) -> None:
    """A spreadsheet would run what a customer calls themselves."""
    await pay(shop, 500, payer="=HYPERLINK(1)")
    (listed,) = (await shop.owner.get("/api/v1/invoices")).json()["items"]
    shown = await shop.owner.get(f"/api/v1/invoices/{listed['id']}/csv")
    assert shown.headers["content-disposition"] == 'attachment; filename="INV-000001.csv"'
    columns, row = csv.reader(io.StringIO(shown.text))
    assert dict(zip(columns, row, strict=True)) == {
        "number": "INV-000001",
        "kind": "invoice",
        "issued_at": datetime.fromisoformat(listed["issued_at"]).isoformat(),
        "corrects": "",
        "payment": listed["payment_id"],
        "buyer": "'=HYPERLINK(1)",
        "amount": "5.00",
        "currency": "EUR",
    }


async def test_no_number_is_left_out(shop: Shop) -> None:
    """Neither by many at once nor by bookings that fail after their number was taken."""
    payments = [(await shop.top_up(100 + n, provider="manual"))["id"] for n in range(12)]

    async def fail_every_third(_session: object, payment: object) -> None:
        if str(payment.id) in payments[::3]:  # type: ignore[attr-defined]
            raise RuntimeError

    SETTLED.append(fail_every_third)
    try:
        answers = await asyncio.gather(*map(shop.settle, payments))
    finally:
        SETTLED.remove(fail_every_third)
    assert sorted(answer.status_code for answer in answers) == [200] * 8 + [500] * 4
    await asyncio.gather(*map(shop.settle, payments[::3]))
    assert [number for _, number, *_ in sorted(await shop.papers(), key=lambda paper: paper[1])] == list(range(1, 13))


async def test_a_statement_adds_up(shop: Shop) -> None:
    """From the balance before to the balance after, a day's usage as one line; other months are other pages."""
    now = datetime.now(UTC)
    payment_id = await pay(shop, 10_000)
    for answer, amount in {"first": 2_000, "second": 500}.items():
        await shop.spend(amount, answer)
    await shop.refund(payment_id, amount=1_000)
    shown = await shop.owner.get("/api/v1/billing/statement/csv", params={"month": f"{now:%Y-%m}"})
    columns, *rows = csv.reader(io.StringIO(shown.text))
    assert columns == ["at", "kind", "about", "amount", "currency", "balance"]
    assert [(kind, amount, balance) for _, kind, _, amount, _, balance in rows] == [
        ("top_up", "100.00", "100.00"),
        ("usage", "-25.00", "75.00"),
        ("refund", "-10.00", "65.00"),
    ]
    assert await shop.wallet() == 6_500
    later = {"month": f"{now.year + 1}-01"}
    page = (await shop.owner.get("/api/v1/billing/statement/html", params=later)).text
    assert "Balance at the beginning</td><td>65.00" in page
    assert "Balance at the end</td><td>65.00" in page
    assert (await shop.owner.get("/api/v1/billing/statement/csv", params={"month": "2026-13"})).status_code == 400


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(1050, "USD", "10.50"), (5, "RUB", "0.05"), (-7, "EUR", "-0.07"), (500, "JPY", "500"), (1234, "KWD", "1.234")],
)
def test_figures_are_those_of_the_currency(amount: int, currency: str, shown: str) -> None:
    """By the digits of its minor unit, and back without a loss."""
    assert (figure(amount, currency), read_figure(shown, currency)) == (shown, amount)


@pytest.mark.parametrize("value", ["-", "1.005", "1e3", "NaN", "0x1", "1,5", " 1"])
def test_what_is_no_figure_is_refused(value: str) -> None:
    """A provider's answer is no place for guesses."""
    with pytest.raises(ValueError, match=re.escape(value)):
        read_figure(value, "RUB")
