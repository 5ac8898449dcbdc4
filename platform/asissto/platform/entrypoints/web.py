"""The web application with the handlers of every component."""

from functools import cache

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from asissto.channels import routes as channels
from asissto.channels.events import TOPICS as CHANNELS
from asissto.ingestion import routes as ingestion
from asissto.ingestion.events import TOPICS as DOCUMENTS
from asissto.platform import routes as platform
from asissto.platform.billing import TOPICS as BILLING
from asissto.platform.commissions import pay_partners
from asissto.platform.entrypoints.workspace import TENANT_HOOKS
from asissto.platform.services import Services
from asissto.platform.web import compile_app, open_app
from asissto.retrieval import routes as retrieval
from asissto.retrieval.events import TOPICS as RUNS
from asissto.retrieval.shown_conversations import TOPICS as CONVERSATIONS

HANDLERS: list[ControllerRouterHandler] = [
    *platform.HANDLERS,
    *ingestion.HANDLERS,
    *retrieval.HANDLERS,
    *channels.HANDLERS,
]


TOPICS = {**DOCUMENTS, **RUNS, **CONVERSATIONS, **CHANNELS, **BILLING}


def build_app(services: Services) -> Litestar:
    pay_partners()
    return open_app(_compiled(), services, TENANT_HOOKS, TOPICS)


@cache
def _compiled() -> Litestar:
    return compile_app(HANDLERS)
