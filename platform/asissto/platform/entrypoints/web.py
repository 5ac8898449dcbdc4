"""The web application with the handlers of every component."""

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from asissto.platform import routes as platform
from asissto.platform.entrypoints.workspace import TENANT_HOOKS
from asissto.platform.services import Services
from asissto.platform.web import create_app

HANDLERS: list[ControllerRouterHandler] = [*platform.HANDLERS]


def build_app(services: Services) -> Litestar:
    return create_app(services, HANDLERS, TENANT_HOOKS)
