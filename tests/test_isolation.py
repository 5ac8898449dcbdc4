"""Every operation of the API, called by a stranger with the ids of alice's workspace, tells and changes nothing of it.

An operation that has no case here fails `test_every_operation_has_a_case`.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from pgvector import HalfVector
from sqlalchemy import select

from asissto.channels.channels import api_channel
from asissto.channels.privacy_tables import PrivacyRequest
from asissto.channels.tables import Contact, Outgoing, StoredAttachment, Thread
from asissto.ingestion.chunking import Chunk
from asissto.ingestion.documents import newest_version, tenant_number
from asissto.ingestion.source_tables import SourcePage, SourceSync
from asissto.ingestion.sources import NewSource, Reach, add_source
from asissto.ingestion.spaces import space_to_fill
from asissto.ingestion.store import Place, add_passages, passage_sha
from asissto.ingestion.tables import Collection, Document, Finding, PassageEdit
from asissto.platform.database import Addresses, Database
from asissto.platform.embedding import Embedder
from asissto.platform.entrypoints.web import build_app
from asissto.platform.model_calls import ModelCall, store_calls
from asissto.platform.payment_tables import Invoice, Payment
from asissto.platform.payments import book_payment
from asissto.platform.permissions import PERMISSIONS, ROLES, Need, open_to_all
from asissto.platform.postgres import EmbeddedPostgres
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from asissto.retrieval.analytics_tables import Turn
from asissto.retrieval.assistants import first_assistant, hold_assistant, published
from asissto.retrieval.conversations import Asked, Turned, open_conversation, store_answer, store_message
from asissto.retrieval.drafts import write_draft
from asissto.retrieval.gating import put_gate
from asissto.retrieval.quality_tables import QuestionSet
from asissto.retrieval.question_sets import CaseIn, SetIn, add_case, create_set
from asissto.retrieval.reports import ReportIn, create_report
from asissto.retrieval.set_runs import start_run
from asissto.retrieval.tables import Citation, Conversation, Message
from asissto.retrieval.topics.tables import AskedQuestion, QuestionGap, Topic, TopicEdit
from copies import copied, open_at, signed_in
from people import PASSWORD, People, Person, bearer, make_client

DIARY = "Dear diary, it is me."
OWN = 200
"""The stranger gets what is his own."""

HIDDEN = 404
"""The stranger is told that there is no such thing, and alice gets something else."""


@dataclass(frozen=True)
class Case:
    """The status for the stranger; `{names}` in query and body stand for what alice has, as those in the path do."""

    status: int
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    is_open: bool = False


@dataclass(frozen=True)
class World:
    """What alice has; path parameters of these names are filled with it."""

    user_id: UUID
    tenant_id: UUID
    email: str
    collection_id: UUID
    collection_name: str
    document_id: UUID
    version_id: UUID
    chunk_id: UUID
    edit_id: UUID
    pair_id: UUID
    source_id: UUID
    sync_id: UUID
    assistant_id: UUID
    assistant_name: str
    channel_id: UUID
    channel_name: str
    conversation_id: UUID
    message_id: UUID
    part_id: UUID
    attachment_id: UUID
    contact_id: UUID
    other_contact_id: UUID
    finding_id: UUID
    number: int
    set_id: UUID
    set_name: str
    case_id: UUID
    run_id: UUID
    topic_id: UUID
    other_topic_id: UUID
    topic_edit_id: UUID
    gap_id: UUID
    provider_id: UUID
    provider_name: str
    price_id: UUID
    request_id: UUID
    session_id: UUID
    invitation_id: UUID
    key_id: UUID
    payment_id: UUID
    invoice_id: UUID
    code_id: UUID
    payout_id: UUID
    job_id: UUID
    report_id: UUID
    token: str = "guessed"
    code: str = "start"
    view: str = "calls"


PRICE: dict[str, Any] = {
    "model": "alices-private-model",
    "effective_from": "2026-01-01",
    "currency": "EUR",
    "input_micros": 1,
    "cached_micros": 1,
    "output_micros": 1,
}

GATEWAY: dict[str, Any] = {
    "settings": {"callback_url": "https://127.0.0.1:9/alices-gateway"},
    "secrets": {"secret": "whsec_" + "A" * 32},
}

CASES = {
    "auth.register": Case(409, {"name": "C", "email": "{email}", "password": PASSWORD}, is_open=True),
    "auth.setup": Case(
        403, {"token": "guessed", "name": "C", "email": "c@example.com", "password": PASSWORD}, is_open=True
    ),
    "auth.sign_in": Case(401, {"email": "{email}", "password": "guessed guessed"}, is_open=True),
    "auth.refresh": Case(401, {"refresh_token": "guessed"}, is_open=True),
    "auth.sign_out": Case(204),
    # Without a mail server; test_resetting.py tells that with one nobody learns who is known.
    "auth.reset_ask": Case(503, {"email": "{email}"}, is_open=True),
    "auth.reset": Case(403, {"token": "guessed", "password": PASSWORD}, is_open=True),
    "auth.confirm": Case(403, {"token": "guessed"}, is_open=True),
    "auth.confirm_ask": Case(503),
    "auth.invitation": Case(403, {"token": "guessed"}, is_open=True),
    "auth.invitation_register": Case(403, {"token": "guessed", "name": "C", "password": PASSWORD}, is_open=True),
    "auth.invitation_sign_in": Case(403, {"token": "guessed", "password": PASSWORD}, is_open=True),
    "invitations.list": Case(OWN),
    "invitations.create": Case(201, {"email": "{email}", "role": "owner"}),
    "invitations.revoke": Case(HIDDEN),
    "invitations.accept": Case(404, {"token": "guessed"}),
    "keys.list": Case(OWN),
    "keys.create": Case(201, {"name": "My key", "scopes": ["documents.read"]}),
    "keys.revoke": Case(HIDDEN),
    "auth.password": Case(400, {"current": "guessed guessed", "password": PASSWORD}),
    "sessions.list": Case(OWN),
    "sessions.end": Case(HIDDEN),
    "sessions.end_others": Case(OWN),
    "second_factor.read": Case(OWN),
    "second_factor.enrol": Case(400, {"password": "guessed guessed"}),
    "second_factor.confirm": Case(404, {"code": "123456"}),
    "second_factor.renew": Case(400, {"password": "guessed guessed", "code": "123456"}),
    "second_factor.remove": Case(400, {"password": "guessed guessed", "code": "123456"}),
    "auth.me": Case(OWN),
    "users.list": Case(OWN),
    "users.read": Case(HIDDEN),
    "users.update": Case(HIDDEN, {"name": "stolen"}),
    "tenants.read": Case(OWN),
    "tenants.update": Case(OWN, {"name": "my own"}),
    "members.list": Case(OWN),
    "members.add": Case(HIDDEN, {"email": "nobody@example.com", "role": "editor"}),
    "members.update": Case(HIDDEN, {"role": "analyst"}),
    "members.remove": Case(HIDDEN),
    "audit.list": Case(OWN, query={"actor_id": "{user_id}"}),
    "audit.export": Case(OWN, query={"object_id": "{user_id}"}),
    "billing.top_up": Case(404, {"provider": "manual", "amount": 100, "key": "alices-payment"}),
    "payments.list": Case(OWN),
    "payments.providers": Case(OWN),
    "payments.read": Case(HIDDEN),
    "payments.settle": Case(403),
    "payments.refund": Case(403, {"amount": 100}),
    "payments.hook": Case(404, content=b"{}", is_open=True),
    "billing.preview_plan": Case(409),
    "billing.usage": Case(409),
    "platform.payments": Case(403),
    # Partners are nobody's members: test_referrals.py tells what they see of each other, and of whom they brought.
    "referrals.clicks.count": Case(404, {"code": "no-such-code"}, is_open=True),
    "referrals.overview": Case(403),
    "referrals.brought": Case(403),
    "referrals.commissions": Case(403),
    "referrals.codes.list": Case(403),
    "referrals.codes.create": Case(403, {"code": "MINE-NOW"}),
    "referrals.codes.update": Case(403, {"status": "disabled"}),
    "referrals.details.put": Case(403, {"payout_details": "Account 1"}),
    "referrals.payouts.list": Case(403),
    "referrals.payouts.request": Case(403, {"currency": "USD"}),
    "referrals.payouts.cancel": Case(403),
    "platform.referrals.programmes.list": Case(403),
    "platform.referrals.programmes.put": Case(403, {"terms": {"name": "Mine", "rate": {"basis_points": 10_000}}}),
    "platform.referrals.report": Case(403),
    "platform.referrals.report_csv": Case(403),
    "platform.referrals.commissions": Case(403, query={"tenant_id": "{tenant_id}"}),
    "platform.referrals.codes.list": Case(403),
    "platform.referrals.codes.create": Case(403, {"user_id": "{user_id}"}),
    "platform.referrals.codes.update": Case(403, {"status": "disabled"}),
    "platform.referrals.payouts.list": Case(403),
    "platform.referrals.payouts.create": Case(403, {"user_id": "{user_id}", "currency": "USD"}),
    "platform.referrals.payouts.read": Case(403),
    "platform.referrals.payouts.csv": Case(403),
    "platform.referrals.payouts.update": Case(403, {"state": "cancelled"}),
    "platform.referrals.read": Case(403),
    "platform.referrals.put": Case(403, {"code": "MINE-NOW", "reason": "Because I can."}),
    "platform.referrals.remove": Case(403, {"reason": "Because I can."}),
    # Without billing everybody is told the same; test_billing.py has it.
    "plans.list": Case(OWN),
    "billing.read": Case(409),
    "billing.update": Case(409, {"at_zero": "pause"}),
    "billing.change_plan": Case(409, {"plan": "free"}),
    "ledger.list": Case(OWN),
    "platform.plans.list": Case(403),
    "platform.plans.put": Case(403, {"terms": {"code": "stolen", "name": "Stolen"}}),
    "platform.adjustments.create": Case(403, {"amount": 1, "reason": "Because I can.", "key": "1"}),
    "platform.overdraft.put": Case(403, {"amount": 1}),
    "invoices.list": Case(OWN),
    "invoices.read": Case(HIDDEN),
    "invoices.html": Case(HIDDEN),
    "invoices.csv": Case(HIDDEN),
    "statements.html": Case(OWN, query={"month": "2026-11"}),
    "statements.csv": Case(OWN, query={"month": "2026-11"}),
    "events.stream": Case(400, query={"topics": "secrets"}),  # test_events.py tells what a stranger hears
    "health.live": Case(OWN, is_open=True),
    "health.ready": Case(OWN, is_open=True),
    "collections.list": Case(OWN),
    "collections.create": Case(201, {"name": "{collection_name}"}),
    "collections.read": Case(HIDDEN),
    "collections.update": Case(HIDDEN, {"name": "stolen"}),
    "collections.delete": Case(HIDDEN),
    "collections.reprocess": Case(HIDDEN),
    "documents.reprocess": Case(HIDDEN),
    "documents.list": Case(OWN, query={"collection_id": "{collection_id}"}),
    "documents.upload": Case(HIDDEN, query={"name": "intruder.txt"}, content=b"An intruder was here."),
    "documents.read": Case(HIDDEN),
    "documents.update": Case(HIDDEN, {"tags": ["stolen"]}),
    "documents.original": Case(HIDDEN),
    "documents.delete": Case(HIDDEN),
    "documents.versions": Case(HIDDEN),
    "documents.text": Case(HIDDEN, query={"version": "{version_id}"}),
    "passages.list": Case(HIDDEN),
    "passages.read": Case(HIDDEN),
    "passages.update": Case(HIDDEN, {"text": "An intruder was here."}),
    "passages.reset": Case(HIDDEN),
    "passages.citations": Case(HIDDEN),
    "edits.list": Case(HIDDEN),
    "edits.delete": Case(HIDDEN),
    "knowledge.embedding.read": Case(OWN),
    "knowledge.embedding.choose": Case(OWN, {"model": "local"}),
    "knowledge.embedding.cancel": Case(OWN),
    "pairs.list": Case(OWN, query={"collection_id": "{collection_id}"}),
    "pairs.create": Case(HIDDEN, {"collection_id": "{collection_id}", "question": "Stolen?", "answer": "Yes."}),
    "pairs.read": Case(HIDDEN),
    "pairs.update": Case(HIDDEN, {"answer": "stolen"}),
    "pairs.delete": Case(HIDDEN),
    "pairs.import": Case(HIDDEN, content=b"question,answer\nStolen?,Yes."),
    "pairs.export": Case(HIDDEN),
    "sources.list": Case(OWN, query={"collection_id": "{collection_id}"}),
    "sources.create": Case(
        HIDDEN, {"collection_id": "{collection_id}", "kind": "page", "url": "http://intruder.example/"}
    ),
    "sources.read": Case(HIDDEN),
    "sources.update": Case(HIDDEN, {"name": "stolen"}),
    "sources.delete": Case(HIDDEN),
    "sources.sync": Case(HIDDEN),
    "sources.stop": Case(HIDDEN),
    "sources.pages": Case(HIDDEN),
    "sources.syncs": Case(HIDDEN),
    "sources.read_sync": Case(HIDDEN),
    "findings.list": Case(OWN, query={"collection_id": "{collection_id}", "document_id": "{document_id}"}),
    "findings.update": Case(HIDDEN, {"state": "dismissed"}),
    "knowledge.review": Case(202),
    "model_providers.list": Case(OWN),
    "model_providers.create": Case(201, {"name": "{provider_name}", "base_url": "https://intruder.example/v1"}),
    "model_providers.read": Case(HIDDEN),
    "model_providers.update": Case(HIDDEN, {"name": "stolen"}),
    "model_providers.delete": Case(HIDDEN),
    "model_providers.test": Case(HIDDEN, {"model": "stolen"}),
    "model_providers.models": Case(HIDDEN),
    "model_calls.list": Case(OWN, query={"message_id": "{message_id}"}),
    "model_calls.totals": Case(OWN),
    "model_prices.list": Case(OWN),
    "model_prices.create": Case(HIDDEN, {"provider_id": "{provider_id}", **PRICE}),
    "model_prices.delete": Case(HIDDEN),
    "analytics.figures": Case(OWN),
    "analytics.cards": Case(OWN, query={"assistant": "{assistant_id}"}),
    "analytics.series": Case(OWN, query={"figure": "questions", "assistant": "{assistant_id}"}),
    "analytics.breakdown": Case(OWN, query={"figure": "questions", "by": "assistant"}),
    "analytics.turns": Case(OWN, query={"channel": "{channel_id}"}),
    "analytics.inquiries": Case(OWN, query={"channel": "{channel_id}"}),
    "analytics.feedback": Case(OWN, query={"assistant": "{assistant_id}"}),
    "analytics.calls": Case(OWN, query={"provider": "{provider_name}"}),
    "analytics.segments": Case(OWN, query={"channel": "{channel_id}"}),
    "analytics.forecast": Case(OWN, query={"figure": "questions"}),
    # test_reports.py tells what a link does, and to whom.
    "reports.list": Case(OWN),
    "reports.create": Case(503, {"kind": "digest"}),
    "reports.update": Case(HIDDEN, {"hour": 9}),
    "reports.delete": Case(HIDDEN),
    "reports.show_end": Case(200, is_open=True),
    "reports.end": Case(404, is_open=True),
    "reports.file": Case(404, is_open=True),
    "analytics.export": Case(OWN, query={"assistant": "{assistant_id}"}),
    "assistants.list": Case(OWN),
    "assistants.create": Case(201, {"name": "{assistant_name}"}),
    "assistants.read": Case(HIDDEN),
    "assistants.update": Case(HIDDEN, {"name": "stolen"}),
    "assistants.delete": Case(HIDDEN),
    "assistants.draft.read": Case(HIDDEN),
    "assistants.draft.update": Case(HIDDEN, {"revision": 1, "name": "stolen"}),
    "assistants.draft.discard": Case(HIDDEN),
    "assistants.publish": Case(HIDDEN, {}),
    "assistants.gate.read": Case(HIDDEN),
    "assistants.gate.update": Case(HIDDEN, {"set_id": "{set_id}"}),
    "assistants.gate.remove": Case(HIDDEN),
    "assistants.versions": Case(HIDDEN),
    "assistants.version": Case(HIDDEN),
    "assistants.diff": Case(HIDDEN),
    "assistants.rollback": Case(HIDDEN, {"version": 1}),
    "assistants.copy": Case(HIDDEN, {"name": "My copy"}),
    "assistants.export": Case(HIDDEN),
    "assistants.import": Case(201, {"assistant": {"name": "{assistant_name}"}}),
    "assistants.playground": Case(HIDDEN, {"question": "Where is the spare key?", "version": "draft"}),
    "question_sets.list": Case(OWN, query={"assistant_id": "{assistant_id}"}),
    "question_sets.create": Case(201, {"name": "{set_name}"}),
    "question_sets.read": Case(HIDDEN),
    "question_sets.update": Case(HIDDEN, {"name": "stolen"}),
    "question_sets.delete": Case(HIDDEN),
    "question_cases.list": Case(HIDDEN),
    "question_cases.create": Case(HIDDEN, {"question": "Stolen?"}),
    "question_cases.read": Case(HIDDEN),
    "question_cases.update": Case(HIDDEN, {"question": "Stolen?"}),
    "question_cases.delete": Case(HIDDEN),
    "question_cases.import": Case(HIDDEN, content=b'{"question": "Stolen?"}'),
    "question_cases.export": Case(HIDDEN),
    "question_cases.from_messages": Case(HIDDEN, {"message_ids": ["{message_id}"]}),
    "topics.list": Case(OWN, query={"assistant_id": "{assistant_id}"}),
    "topics.map": Case(OWN, query={"assistant_id": "{assistant_id}"}),
    "topics.without": Case(OWN, query={"channel_id": "{channel_id}"}),
    "topics.read": Case(HIDDEN),
    "topics.questions": Case(HIDDEN),
    "topics.update": Case(HIDDEN, {"title": "stolen"}),
    "topics.merge": Case(HIDDEN, {"into": "{other_topic_id}"}),
    "topics.edits": Case(OWN, query={"topic_id": "{topic_id}"}),
    "topics.undo": Case(HIDDEN),
    "topics.runs": Case(OWN),
    "topics.run": Case(202, {}),
    "gaps.list": Case(OWN),
    "gaps.search": Case(202),
    "gaps.read": Case(HIDDEN),
    "gaps.questions": Case(HIDDEN),
    "gaps.approve": Case(HIDDEN, {"collection_id": "{collection_id}", "question": "Why?", "answer": "So."}),
    "gaps.dismiss": Case(HIDDEN),
    "set_runs.list": Case(HIDDEN),
    "set_runs.start": Case(HIDDEN, {"assistant_id": "{assistant_id}"}),
    "set_runs.read": Case(HIDDEN),
    "set_runs.cancel": Case(HIDDEN),
    "set_runs.results": Case(HIDDEN),
    "set_runs.compare": Case(HIDDEN, query={"before": "{run_id}"}),
    "assistants.ask": Case(HIDDEN, {"question": "Where is the spare key?", "conversation_id": "{conversation_id}"}),
    "channels.list": Case(OWN),
    "channels.read": Case(HIDDEN),
    "channels.create": Case(201, {"name": "{channel_name}", "type": "http", **GATEWAY}),
    "channels.update": Case(HIDDEN, {"name": "stolen"}),
    "channels.delete": Case(HIDDEN),
    "channels.check": Case(HIDDEN),
    "channels.install": Case(HIDDEN),
    # A page of an origin that the widget does not name learns nothing; test_widget.py tells what visitors see.
    "widget.session": Case(403, {}, is_open=True),
    "widget.say": Case(403, {"id": "{message_id}", "text": "An intruder was here."}, is_open=True),
    "widget.history": Case(403, is_open=True),
    "widget.events": Case(403, query={"token": "guessed"}, is_open=True),
    "widget.citation": Case(403, is_open=True),
    "widget.feedback": Case(403, {"thumb": "up"}, is_open=True),
    "channels.hook": Case(403, {"conversation": "stolen", "text": "An intruder was here."}, is_open=True),
    "answers.read": Case(404, is_open=True),  # test_answer_pages.py tells what a link opens
    "conversations.list": Case(OWN, query={"assistant_id": "{assistant_id}"}),
    "conversations.read": Case(HIDDEN),
    "conversations.messages": Case(HIDDEN),
    "conversations.receipt": Case(HIDDEN),
    "conversations.citation": Case(HIDDEN),
    "conversations.feedback": Case(HIDDEN, {"thumb": "up"}),
    "conversations.replay": Case(HIDDEN, {}),
    "conversations.reply": Case(HIDDEN, {"text": "An intruder was here.", "key": "k1"}),
    "conversations.note": Case(HIDDEN, {"text": "An intruder was here."}),
    "conversations.assign": Case(HIDDEN, {"user_id": "{user_id}"}),
    "conversations.tag": Case(HIDDEN, {"tags": ["stolen"]}),
    "inbox.list": Case(OWN, query={"person_id": "{contact_id}", "status": "human"}),
    "inbox.read": Case(HIDDEN),
    "deliveries.list": Case(HIDDEN),
    "deliveries.retry": Case(HIDDEN),
    "deliveries.cancel": Case(HIDDEN),
    "attachments.list": Case(HIDDEN),
    "attachments.content": Case(HIDDEN),
    "attachments.retry": Case(HIDDEN),
    "contacts.list": Case(OWN, query={"channel_id": "{channel_id}"}),
    "contacts.read": Case(HIDDEN),
    "contacts.update": Case(HIDDEN, {"name": "An intruder"}),
    "contacts.merge": Case(HIDDEN, {"with": "{other_contact_id}"}),
    "contacts.unmerge": Case(HIDDEN),
    "conversations.hand_over": Case(HIDDEN),
    "conversations.return": Case(HIDDEN),
    "conversations.close": Case(HIDDEN),
    "contacts.export": Case(HIDDEN),
    "contacts.erase": Case(HIDDEN),
    "privacy.requests.list": Case(OWN),
    "privacy.requests.read": Case(HIDDEN),
    "privacy.retention.read": Case(OWN),
    "privacy.retention.update": Case(OWN, {"audit_days": 90}),
    "exports.fetch": Case(404, is_open=True),  # test_privacy.py tells what a link opens
    "auth.export": Case(202),
    "auth.export.read": Case(HIDDEN),
    "auth.erase": Case(400, {"password": "guessed guessed"}),
    "conversations.reopen": Case(HIDDEN),
    # No role on the platform comes with a workspace; test_platform.py tells what administrators and managers see.
    "platform.tenants.list": Case(403),
    "platform.tenants.create": Case(403, {"name": "Stolen", "owner_email": "charlie@example.com"}),
    "platform.tenants.read": Case(403),
    "platform.tenants.suspend": Case(403, {"reason": "An intruder was here."}),
    "platform.tenants.resume": Case(403),
    "platform.tenants.managers": Case(403, {"user_ids": ["{user_id}"]}),
    "platform.operations.read": Case(403),
    "platform.jobs.list": Case(403, query={"tenant_id": "{tenant_id}"}),
    "platform.jobs.retry": Case(403),
    "platform.jobs.cancel": Case(403),
    "platform.audit.list": Case(403, query={"tenant_id": "{tenant_id}"}),
    "platform.audit.export": Case(403, query={"tenant_id": "{tenant_id}"}),
    "platform.users.list": Case(403),
    "platform.users.read": Case(403),
    "platform.users.update": Case(403, {"role": "admin"}),
    "impersonations.begin": Case(403, {"reason": "An intruder was here."}),
    "impersonations.list": Case(403),
    "impersonations.end": Case(403),
}


@pytest.fixture(scope="session")
async def built(
    server: EmbeddedPostgres,
    template: tuple[Addresses, People],
    embedder: Embedder,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Addresses, World, Path]]:
    """Alice's world in a database that the tests copy, and the folder of her files: it is built once."""
    folder = tmp_path_factory.mktemp("alices-world")
    async with copied(server, template[0], "alices_world") as addresses:
        async with open_at(addresses, folder, embedder) as services:
            app = build_app(services)
            async with signed_in(app, services, template[1]["alice"]) as alice:
                world = await build_world(services, alice)
        yield addresses, world, folder / "files"


@pytest.fixture
async def addresses(server: EmbeddedPostgres, built: tuple[Addresses, World, Path]) -> AsyncIterator[Addresses]:
    async with copied(server, built[0]) as addresses:
        yield addresses


@pytest.fixture
def alices_world(built: tuple[Addresses, World, Path], tmp_path: Path) -> World:
    """A workspace with one of everything that an operation can name."""
    shutil.copytree(built[2], tmp_path / "files")
    return built[1]


async def build_world(services: Services, alice: Person) -> World:
    collection = Collection(tenant_id=alice.tenant_id, name="Alice's drawer")
    async with services.database.tenant(alice.tenant_id) as session:
        session.add(collection)
        assistant = await first_assistant(session, alice.tenant_id)
        assistant.name = "Alice's butler"
        channel_id = await api_channel(session, alice.tenant_id)
        asked = Asked(
            tenant_id=alice.tenant_id,
            assistant_id=assistant.id,
            channel_id=channel_id,
            question="Where does alice keep the spare key?",
            user_id=alice.user_id,
        )
        answer = "Alice keeps the spare key under the blue flowerpot."
        turned = Turned(
            text=answer,
            outcome="answered",
            mode="quoted",
            notes=[],
            confidence=0.9,
            citations=[],
            passages=[],
            timings={},
            usage=[],
            details={},
        )
        conversation = await open_conversation(session, asked)
        await store_message(session, asked, conversation)
        message_id = await store_answer(session, conversation, asked.question, turned)
        await session.flush()
        new = NewSource(
            collection_id=collection.id,
            name="Alice's shop window",
            kind="site",
            url="https://alices-shop.example/",
            reach=Reach(),
            every_hours=None,
            by=alice.user_id,
        )
        source = await add_source(session, alice.tenant_id, new, private=False)
        sync = SourceSync(tenant_id=alice.tenant_id, id=new_id(), source_id=source.id)
        page = {"sync_id": sync.id, "outcome": "added", "url": "https://alices-shop.example/secret-prices"}
        session.add_all([sync, SourcePage(tenant_id=alice.tenant_id, source_id=source.id, **page)])
    address = f"/api/v1/collections/{collection.id}/documents"
    upload = await alice.client.post(address, params={"name": "alices-diary.txt"}, content=DIARY.encode())
    document_id = UUID(upload.raise_for_status().json()["id"])
    version_id, chunk_id, edit_id = await switch_off_its_passage(services, alice.tenant_id, document_id)
    pair = {"collection_id": str(collection.id), "question": "Where does alice sleep?", "answer": "In the blue room."}
    made = (await alice.client.post("/api/v1/pairs", json=pair)).raise_for_status()
    async with services.database.tenant(alice.tenant_id) as session:
        version = await newest_version(session, alice.tenant_id, document_id)
        assert version is not None
        quote = {"start": 0, "end": 21, "text": "Dear diary, it is me."}
        finding = Finding(
            tenant_id=alice.tenant_id,
            kind="expired",
            fingerprint=b"alice's finding",
            first_document_id=version.document_id,
            first_version_id=version.id,
            first=quote,
            value_kind="date",
            score=1.0,
            passages=1,
        )
        where = {"document_id": document_id, "version_id": version_id, "chunk_id": chunk_id, "support": 0.9}
        place = {"title": "Alice's diary", "locator": "", "start_offset": 0, "end_offset": 21}
        citation = Citation(
            tenant_id=alice.tenant_id, message_id=message_id, number=1, quote=DIARY[:21], **where, **place
        )
        session.add_all([finding, citation])
    question_set, case_id, run_id = await question_and_run(services, alice, assistant.id)
    topics = await something_asked(services, alice.tenant_id, conversation, message_id)
    provider = {
        "name": "Alice's model shop",
        "base_url": "https://alices-models.example/v1",
        "api_key": "sk-alices-key",
    }
    shop = (await alice.client.post("/api/v1/model-providers", json=provider)).raise_for_status().json()
    price = await alice.client.post("/api/v1/model-prices", json={"provider_id": shop["id"], **PRICE})
    async with services.database.tenant(alice.tenant_id) as session:
        spent = ModelCall(purpose="answer", provider_id=UUID(shop["id"]), provider=shop["name"], model=PRICE["model"])
        await store_calls(session, alice.tenant_id, [spent], message_id)
    gateway = {"name": "Alice's own gateway", "type": "http", **GATEWAY}
    gateway = (await alice.client.post("/api/v1/channels", json=gateway)).raise_for_status().json()
    guest = {"email": "alices-secret-guest@example.com", "role": "analyst"}
    invitation = await alice.client.post("/api/v1/invitations", json=guest)
    key_body = {"name": "Alice's key to the cellar", "scopes": ["ask"]}
    key = await alice.client.post("/api/v1/keys", json=key_body)
    paid_and_papered = await something_paid(services, alice)
    written = await something_through(services, UUID(gateway["id"]), conversation.id, message_id, alice.tenant_id)
    return World(
        user_id=alice.user_id,
        tenant_id=alice.tenant_id,
        email=alice.email,
        collection_id=collection.id,
        collection_name=collection.name,
        document_id=document_id,
        version_id=version_id,
        chunk_id=chunk_id,
        edit_id=edit_id,
        pair_id=UUID(made.json()["id"]),
        source_id=source.id,
        sync_id=sync.id,
        assistant_id=assistant.id,
        assistant_name=assistant.name,
        channel_id=UUID(gateway["id"]),
        channel_name=gateway["name"],
        conversation_id=conversation.id,
        message_id=message_id,
        part_id=written["part_id"],
        attachment_id=written["attachment_id"],
        contact_id=written["contact_id"],
        other_contact_id=written["other_contact_id"],
        finding_id=finding.id,
        number=1,
        set_id=question_set.id,
        set_name=question_set.name,
        case_id=case_id,
        run_id=run_id,
        topic_id=topics["topic_id"],
        other_topic_id=topics["other_topic_id"],
        topic_edit_id=topics["topic_edit_id"],
        gap_id=topics["gap_id"],
        provider_id=UUID(shop["id"]),
        provider_name=shop["name"],
        price_id=UUID(price.raise_for_status().json()["id"]),
        request_id=written["request_id"],
        session_id=alice.session_id,
        invitation_id=UUID(invitation.raise_for_status().json()["id"]),
        key_id=UUID(key.raise_for_status().json()["id"]),
        payment_id=paid_and_papered[0],
        invoice_id=paid_and_papered[1],
        code_id=new_id(),
        payout_id=new_id(),
        job_id=new_id(),
        report_id=await something_counted(services, alice, message_id),
    )


async def something_through(
    services: Services, channel_id: UUID, conversation_id: UUID, message_id: UUID, tenant_id: UUID
) -> dict[str, UUID]:
    """Two contacts of the gateway, what one of them sent with a file, and a part that did not reach them."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"alice's secret picture"

    stored = await services.files.save(tenant_id, "picture", pieces(), limit_mb=1)
    ids = {name: new_id() for name in ("part_id", "attachment_id", "contact_id", "other_contact_id", "request_id")}
    mine = {"tenant_id": tenant_id, "channel_id": channel_id}
    async with services.database.tenant(tenant_id) as session:
        for name in ("contact_id", "other_contact_id"):
            session.add(Contact(**mine, id=ids[name], external_id=f"alices-{name}", name="Alice's best customer"))
        session.add(Thread(**mine, id=conversation_id, external_key="alices-thread"))
        content = {"text": "The spare key is under the flowerpot."}
        about = {"message_id": message_id, "conversation_id": conversation_id}
        session.add(Outgoing(**mine, **about, id=ids["part_id"], seq=1, part=0, content=content, key=1, state="failed"))
        picture = {"content": {"type": "photo"}, "state": "stored", "file_key": stored.key, "size": stored.bytes}
        asked = {"kind": "export", "subject": "contact", "subject_id": ids["contact_id"]}
        session.add(PrivacyRequest(tenant_id=tenant_id, id=ids["request_id"], **asked))
        attachment_id = ids["attachment_id"]
        session.add(StoredAttachment(tenant_id=tenant_id, id=attachment_id, message_id=message_id, **picture))
        await session.flush()
        (await session.get_one(Conversation, (tenant_id, conversation_id))).contact_id = ids["contact_id"]
        (await session.get_one(Thread, (tenant_id, conversation_id))).seq = 1
    return ids


async def something_counted(services: Services, alice: Person, message_id: UUID) -> UUID:
    """What the answer came to, and a report of hers."""
    async with services.database.tenant(alice.tenant_id) as session:
        message = await session.get_one(Message, (alice.tenant_id, message_id))
        conversation = await session.get_one(Conversation, (alice.tenant_id, message.conversation_id))
        turn = Turn(tenant_id=alice.tenant_id, message_id=message_id, conversation_id=conversation.id, milliseconds=1)
        turn.assistant_id, turn.channel_id = conversation.assistant_id, conversation.channel_id
        turn.at = turn.asked_at = message.created_at
        turn.mode, turn.result, turn.language = "quoted", "answered", "en"
        session.add(turn)
        row = await create_report(session, alice.tenant_id, alice.user_id, ReportIn(kind="digest"))
        return row.id


async def something_paid(services: Services, alice: Person) -> tuple[UUID, UUID]:
    """A bank transfer that came in, and its invoice."""
    payment_id = new_id()
    mine = {"tenant_id": alice.tenant_id, "id": payment_id, "provider": "manual", "idempotency_key": "alices-payment"}
    async with services.database.system() as session:
        payment = Payment(**mine, amount=77_700, currency="USD", email="alices-books@example.com", payer="Alice Ltd")
        session.add(payment)
        await session.flush()
        await book_payment(session, payment, "alices-transfer", "The operator")
        invoice_id = await session.scalar(select(Invoice.id).where(Invoice.payment_id == payment_id))
    assert invoice_id is not None
    return payment_id, invoice_id


async def something_asked(
    services: Services, tenant_id: UUID, conversation: Conversation, message_id: UUID
) -> dict[str, UUID]:
    """A question with its topic, an edit of that, and a gap, with alice's words in each."""
    ids = {name: new_id() for name in ("topic_id", "other_topic_id", "topic_edit_id", "gap_id")}
    middle = HalfVector([1.0, 0.0])
    async with services.database.tenant(tenant_id) as session:
        named = {"tenant_id": tenant_id, "pool": "en", "title": "Where does alice hide her gold?", "size": 1}
        for name in ("topic_id", "other_topic_id"):
            session.add(Topic(id=ids[name], centroid=middle, x=0.5, y=0.5, **named))
        draft = {"question": "Where is alice's gold?", "variants": []}
        session.add(QuestionGap(id=ids["gap_id"], cohesion=1.0, centroid=middle, draft=draft, **named))
        await session.flush()
        edit = {"topic_id": ids["topic_id"], "before": {"own_title": None}, "after": {"own_title": "Alice's gold"}}
        session.add(TopicEdit(tenant_id=tenant_id, id=ids["topic_edit_id"], **edit))
        asked = AskedQuestion(
            tenant_id=tenant_id,
            message_id=message_id,
            conversation_id=conversation.id,
            assistant_id=conversation.assistant_id,
            channel_id=conversation.channel_id,
            question="Where does alice hide her gold?",
            language="en",
            outcome="abstained",
            topic_id=ids["topic_id"],
            gap_id=ids["gap_id"],
        )
        session.add(asked)
    return ids


async def question_and_run(services: Services, alice: Person, assistant_id: UUID) -> tuple[QuestionSet, UUID, UUID]:
    """A set with a case, a run of it that waits, and a draft that the set guards."""
    async with services.database.tenant(alice.tenant_id) as session:
        row = await create_set(session, alice.tenant_id, SetIn(name="Alice's secret questions"), alice.user_id)
        case = await add_case(session, alice.tenant_id, row.id, CaseIn(question="Where does alice hide her cake?"))
        run = await start_run(
            session, alice.tenant_id, row.id, assistant_id=assistant_id, which="published", by=alice.user_id
        )
        assistant = await hold_assistant(session, alice.tenant_id, assistant_id)
        await put_gate(session, assistant, row.id, 0)
        draft = published(assistant) | {"prompt": "Alice's secret plan for her butler."}
        await write_draft(session, assistant, draft, alice.user_id)
        return row, case.id, run.id


async def switch_off_its_passage(services: Services, tenant_id: UUID, document_id: UUID) -> tuple[UUID, UUID, UUID]:
    """Publishes the diary as one passage that is switched off, without a worker; gives version, passage and edit."""
    only = Chunk(0, 0, len(DIARY), 0, len(DIARY), None, (), "text", "", "en", 6, enabled=False)
    space_id = await space_to_fill(services, tenant_id)
    async with services.database.tenant(tenant_id) as session:
        document = await session.get(Document, (tenant_id, document_id))
        version = await newest_version(session, tenant_id, document_id)
        assert document is not None
        assert version is not None
        number = await tenant_number(session, tenant_id)
        place = Place(tenant_id, number, document.collection_id, document_id, version.id, space_id)
        version.text = DIARY
        document.active_version_id = version.id
        edit = PassageEdit(
            tenant_id=tenant_id,
            id=new_id(),
            document_id=document_id,
            source_sha=passage_sha(DIARY),
            source_text=DIARY,
            enabled=False,
        )
        session.add(edit)
        chunk_id = new_id()
        await add_passages(session, place, DIARY, [only], [None], [chunk_id])
    return version.id, chunk_id, edit.id


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    is_open: bool
    permission: str | None


_operations: dict[str, Operation] = {}


async def operations(client: httpx.AsyncClient) -> dict[str, Operation]:
    """By their ids, as the description of the API has them; it is the same for everybody, and read once."""
    if not _operations:
        description = (await client.get("/api/v1/openapi.json")).json()
        _operations.update(
            {
                operation["operationId"]: Operation(
                    method, path, operation.get("security") == [], operation.get("x-permission")
                )
                for path, methods in description["paths"].items()
                for method, operation in methods.items()
            }
        )
    return _operations


async def call(client: httpx.AsyncClient, operation_id: str, world: World) -> httpx.Response:
    """Calls the operation with everything filled in from alice's world."""
    case, operation = CASES[operation_id], (await operations(client))[operation_id]
    names = asdict(world)
    body = None if case.body is None else msgspec.json.encode(case.body).decode()
    for name, value in names.items():
        body = body and body.replace(f"{{{name}}}", str(value))
    query = {key: value.format(**names) for key, value in case.query.items()}
    content = case.content if body is None else body.encode()
    return await client.request(operation.method, operation.path.format(**names), params=query, content=content)


async def rows_of(connection: asyncpg.Connection, tenant_id: UUID) -> dict[str, list[str]]:
    """Every row of a tenant as text, by table; with the people of the tenant."""
    named = "table_schema = 'public' AND column_name = 'tenant_id'"
    tables = await connection.fetch(f"SELECT table_name FROM information_schema.columns WHERE {named}")
    queries = {row[0]: f"SELECT t::text FROM {row[0]} t WHERE tenant_id = $1 ORDER BY 1" for row in tables}
    queries["tenants"] = "SELECT t::text FROM tenants t WHERE id = $1"
    queries["users"] = (
        "SELECT u::text FROM users u JOIN memberships m ON m.user_id = u.id WHERE m.tenant_id = $1 ORDER BY 1"
    )
    return {table: [row[0] for row in await connection.fetch(query, tenant_id)] for table, query in queries.items()}


async def secrets_of(connection: asyncpg.Connection, tenant_id: UUID, strangers_id: UUID) -> set[str]:
    """Every id and every text of some length that stands in a tenant's rows and not in the stranger's."""

    async def values(tenant_id: UUID) -> set[str]:
        rows = await rows_of(connection, tenant_id)
        joined = "\n".join(text for texts in rows.values() for text in texts)
        split = await connection.fetch(
            "SELECT DISTINCT v FROM regexp_split_to_table($1, '[(),\"{}\\[\\]\\n]+') v", joined
        )
        return {row[0].strip() for row in split if len(row[0].strip()) >= 12}

    return await values(tenant_id) - await values(strangers_id)


def hidden_operations() -> set[str]:
    """Without the ones that name somebody or a provider whom nobody knows, or bring a link that nobody made."""
    unknown = {"members.add", "answers.read", "second_factor.confirm", "invitations.accept"}
    unknown |= {"billing.top_up", "payments.hook", "referrals.clicks.count", "exports.fetch", "auth.export.read"}
    unknown |= {"reports.end", "reports.file"}
    return {name for name, case in CASES.items() if case.status == HIDDEN} - unknown


def leaked(response: httpx.Response, secrets: set[str]) -> set[str]:
    """What the answer tells of alice that the request did not say itself."""
    sent = str(response.request.url) + response.request.content.decode()
    return {secret for secret in secrets if secret in response.text and secret not in sent}


async def test_every_operation_has_a_case(client: httpx.AsyncClient) -> None:
    """A new operation is not done before somebody says what a stranger gets from it."""
    assert sorted(await operations(client)) == sorted(CASES)


def test_every_route_carries_one_guard(app: Litestar) -> None:
    """Also those that the description leaves out: a route that nobody thought about is open to nobody."""
    counts = {
        (route.path, str(handler)): sum(guard is open_to_all or isinstance(guard, Need) for guard in guards)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.http_methods != {"OPTIONS"}
        for guards in [handler.resolve_guards()]
    }
    assert {route: count for route, count in counts.items() if count != 1} == {}


async def test_only_these_operations_are_open(client: httpx.AsyncClient) -> None:
    """Each of the others asks for a permission."""
    found = await operations(client)
    assert {name for name, operation in found.items() if operation.is_open} == {
        name for name, case in CASES.items() if case.is_open
    }
    assert {name for name, operation in found.items() if operation.permission is None} == {
        name for name, case in CASES.items() if case.is_open
    }


@pytest.mark.parametrize("operation_id", sorted(CASES))
async def test_a_stranger_gets_nothing_of_alices(
    operation_id: str, alices_world: World, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """Not in the answer, and not by changing what she has."""
    before = await rows_of(superuser, alices_world.tenant_id)
    secrets = await secrets_of(superuser, alices_world.tenant_id, charlie.tenant_id)
    response = await call(charlie.client, operation_id, alices_world)
    assert response.status_code == CASES[operation_id].status, response.text
    assert leaked(response, secrets) == set()
    assert await rows_of(superuser, alices_world.tenant_id) == before


async def test_what_is_foreign_answers_like_what_is_not_there(alices_world: World, charlie: Person) -> None:
    """Status and words are the same, so that nobody learns which ids there are."""
    ids = {name: uuid4() for name, value in asdict(alices_world).items() if isinstance(value, UUID)}
    nowhere = replace(alices_world, **ids)  # type: ignore[arg-type]
    names = sorted(hidden_operations())
    foreign, unknown = [[await told(charlie, name, world) for name in names] for world in (alices_world, nowhere)]
    assert dict(zip(names, unknown, strict=True)) == dict(zip(names, foreign, strict=True))


async def told(person: Person, operation_id: str, world: World) -> tuple[int, dict[str, Any]]:
    """Without the id of the request, which is another one each time."""
    response = await call(person.client, operation_id, world)
    return response.status_code, {**response.json(), "request_id": ""}


async def test_a_stranger_streams_nothing_of_alices(
    alices_world: World, charlie: Person, superuser: asyncpg.Connection
) -> None:
    """A stream has begun when the assistant turns out to be somebody else's: it ends with the problem."""
    secrets = await secrets_of(superuser, alices_world.tenant_id, charlie.tenant_id)
    charlie.client.headers["accept"] = "text/event-stream"
    response = await call(charlie.client, "assistants.ask", alices_world)
    problem = '{"code":"not_found","detail":"There is no such assistant."}'
    assert response.text.splitlines() == ["event: error", f"data: {problem}", ""]
    assert leaked(response, secrets) == set()


async def test_the_check_notices_a_leak(
    alices_world: World, charlie: Person, services: Services, superuser: asyncpg.Connection
) -> None:
    """With the policies out of force the same call does tell, or the check above would prove nothing."""
    addresses = services.database.addresses
    database = Database(Addresses(addresses.owner, addresses.app.set(username="postgres"), addresses.sys))
    secrets = await secrets_of(superuser, alices_world.tenant_id, charlie.tenant_id)
    app = build_app(msgspec.structs.replace(services, database=database))
    async with make_client(app, authorization=bearer(services, charlie)) as client:
        response = await call(client, "users.read", alices_world)
    await database.close()
    assert response.status_code == OWN
    assert leaked(response, secrets) == {"alice@example.com"}


@pytest.mark.parametrize("operation_id", sorted(hidden_operations()))
async def test_what_is_hidden_from_a_stranger_is_there_for_alice(
    operation_id: str, alices_world: World, alice: Person
) -> None:
    """So that the cases above prove something: the same call finds its thing for her."""
    response = await call(alice.client, operation_id, alices_world)
    assert response.status_code in (200, 201, 202, 204, 409), response.text


async def test_nobody_passes_without_signing_in(
    client: httpx.AsyncClient, alices_world: World, superuser: asyncpg.Connection
) -> None:
    """Every operation that is not open to all answers 401, and changes nothing."""
    before = await rows_of(superuser, alices_world.tenant_id)
    closed = sorted(name for name, case in CASES.items() if not case.is_open)
    answers = {name: (await call(client, name, alices_world)).status_code for name in closed}
    assert answers == dict.fromkeys(closed, 401)
    assert await rows_of(superuser, alices_world.tenant_id) == before


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_a_role_stops_at_its_permissions(
    role: str, bob: Person, alices_world: World, superuser: asyncpg.Connection
) -> None:
    """Whatever the table does not give to a role is forbidden, and changes nothing."""
    await superuser.execute("UPDATE memberships SET role = $1 WHERE user_id = $2", role, bob.user_id)
    before = await rows_of(superuser, alices_world.tenant_id)
    granted: frozenset[str] = PERMISSIONS[role]  # type: ignore[index]
    needed = {name: operation.permission for name, operation in (await operations(bob.client)).items()}
    beyond = sorted(name for name, permission in needed.items() if permission and permission not in granted)
    answers = {name: (await call(bob.client, name, alices_world)).status_code for name in beyond}
    assert answers == dict.fromkeys(beyond, 403)
    assert await rows_of(superuser, alices_world.tenant_id) == before
