"""Writes the letters of reports: a digest of figures with what changed, or a link to the rows."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform import jobs
from asissto.platform.jobs import ClaimedJob
from asissto.platform.mail import Letter, mail_later, until
from asissto.platform.services import Services
from asissto.platform.tables import Tenant, User
from asissto.platform.texts import Language, known_language, text
from asissto.platform.worker import Handler
from asissto.retrieval.analytics_tables import Report
from asissto.retrieval.comparing_periods import Card, card, contributions
from asissto.retrieval.figure_rows import TABLES
from asissto.retrieval.figures import DIMENSIONS, FIGURES
from asissto.retrieval.periods import Period, local_day
from asissto.retrieval.reckoning import Reading, Value, breakdown, totals
from asissto.retrieval.report_links import ending_link, file_link
from asissto.retrieval.reports import JOB, may_read

DIGEST = (
    "questions",
    "answered_share",
    "resolved_share",
    "durable_share",
    "hand_over_share",
    "first_reply_p50",
    "first_reply_p95",
    "thumbs_up_share",
    "csat",
    "cost",
    "sms_segments",
)
LOOKED_INTO = ("answered_share", "resolved_share")
"""Shares of which the letter says who had the greatest part in a real change."""

_LIFE = timedelta(days=2)


async def send_report(services: Services, job: ClaimedJob) -> None:
    """The letter goes into the queue in the transaction that ends this job, so that it is sent once."""
    async with services.database.tenant(job.tenant_id) as session:
        await jobs.remove(session, job)
        row = await session.get(Report, (job.tenant_id, UUID(job.payload["report_id"])))
        if row is None or not await may_read(session, job.tenant_id, row.user_id) or not services.settings.has_mail:
            return
        user = await session.get_one(User, row.user_id)
        period = Period(*(datetime.fromisoformat(job.payload[name]) for name in ("since", "until")))
        subject, words = await written(session, services, row, period)
        end = ending_link(services, job.tenant_id, row.id)
        words += "\n\n" + text("report.end", known_language(row.language), link=end)
        await mail_later(session, services, job.tenant_id, Letter(user.email, subject, words, until(_LIFE), end))


HANDLERS = {JOB: Handler(send_report)}


async def written(session: AsyncSession, services: Services, row: Report, period: Period) -> tuple[str, str]:
    """Subject and text, in the language of the report."""
    tenant = await session.get_one(Tenant, row.tenant_id)
    language = known_language(row.language)
    days = local_day(period.since, tenant.timezone), local_day(period.until - timedelta(seconds=1), tenant.timezone)
    about = {"workspace": tenant.name, "since": days[0].isoformat(), "until": days[1].isoformat()}
    subject = text(f"report.{row.kind}.subject", language, **about)
    if row.kind == "csv":
        link = file_link(services, row.tenant_id, row.id, period.since, period.until)
        return subject, text("report.csv.text", language, link=link, **about)
    reading = Reading(tenant_id=row.tenant_id, period=period, sliced=row.sliced, timezone=tenant.timezone)
    return subject, "\n".join(
        [text("report.digest.text", language, **about), *await _lines(session, reading, language)]
    )


async def _lines(session: AsyncSession, reading: Reading, language: Language) -> list[str]:
    earlier = msgspec.structs.replace(reading, period=reading.period.before)
    now, before = await totals(session, reading), await totals(session, earlier)
    found = []
    for name in DIGEST:
        known = {each.currency: each for each in before.get(name, [])}
        for value in now.get(name, []):
            shown = card(name, FIGURES[name], value, known.get(value.currency, Value(0, value.currency)))
            if shown.value is not None:
                found.append(_line(shown, language))
            if name in LOOKED_INTO and shown.is_significant:
                found += await _who(session, reading, earlier, name, language)
    return found


def _line(shown: Card, language: Language) -> str:
    name = text(f"figure.{shown.figure}", language)
    value = amount(shown.value, shown.unit, shown.currency)
    if shown.before is None:
        return f"{name}: {value}"
    line = f"{name}: {value} ({text('report.before', language)} {amount(shown.before, shown.unit, shown.currency)})"
    return f"{line} {text('report.significant', language)}" if shown.is_significant else line


async def _who(session: AsyncSession, reading: Reading, earlier: Reading, name: str, language: Language) -> list[str]:
    """The assistant and the channel with the greatest part in the change."""
    found = []
    for by in ("assistant", "channel"):
        now = await breakdown(session, reading, name, by, None)
        parts = contributions(FIGURES[name], now, await breakdown(session, earlier, name, by, None))
        if len(parts) > 1 and parts[0].contribution:
            points = f"{100 * parts[0].contribution:+.1f}"
            found.append("  " + text(f"report.who.{by}", language, name=parts[0].label or parts[0].key, points=points))
    return found


def amount(value: float | None, unit: str, currency: str | None) -> str:
    if value is None:
        return "-"
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "micros":
        return f"{value / 1_000_000:.2f} {currency}"
    return f"{value:.1f} s" if unit == "seconds" else f"{value:g}" if isinstance(value, float) else str(value)


def applicable(row: Report) -> dict[str, str]:
    """The slice of a file: what its view has no column for is left out."""
    columns = TABLES[row.view].c  # type: ignore[index]
    return {name: key for name, key in row.sliced.items() if DIMENSIONS[name] in columns}
