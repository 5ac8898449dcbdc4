"""The channel of the web widget: an answer is delivered by being visible, and the live stream of the page shows it."""

from typing import Annotated, ClassVar

from msgspec import Meta

from asissto.channels.contract import (
    Capabilities,
    CommonSecrets,
    CommonSettings,
    Connector,
    Destination,
    Health,
    Hook,
    Part,
    Said,
    Sent,
    Taken,
)
from asissto.channels.structured import structured_part
from asissto.platform.errors import HookRefused

WEB = "web"
_HOST = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
Origin = Annotated[
    str,
    Meta(max_length=300, pattern=rf"^(https://{_HOST}|http://(localhost|127\.0\.0\.1|\[::1\]))(:[1-9]\d{{0,4}})?\Z"),
]
"""As a browser sends it: scheme, host in lower case, and the port where it is not the usual one."""


class WebWidgetSettings(CommonSettings, frozen=True, kw_only=True):
    """`allowed_origins` are the sites that may show the widget, word for word; only localhost may be unencrypted."""

    allowed_origins: Annotated[list[Origin], Meta(min_length=1, max_length=50)]
    greeting: Annotated[str, Meta(min_length=1, max_length=1_000)] | None = None
    """What the widget shows before anything was said."""
    session_hours: Annotated[int, Meta(ge=1, le=8_760)] = 168
    """A visitor who stays away for longer begins a new conversation, unless their identity is signed."""
    require_identity: bool = False
    """Only visitors whose identity the site has signed may write."""
    address_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 120
    """Requests from one network address, which a whole office may share."""


class WebWidgetSecrets(CommonSecrets, frozen=True, kw_only=True):
    """By `identity_secret` the site signs who a visitor is; a new one ends all sessions of the widget."""

    identity_secret: Annotated[str, Meta(min_length=32, max_length=200)] | None = None


class WebWidget(Connector):
    """The row in the outbox is what the stream reads, so that sending it once more changes nothing."""

    capabilities: ClassVar[Capabilities] = Capabilities(again="idempotent", rates=True)
    Settings = WebWidgetSettings
    Secrets = WebWidgetSecrets

    def take(self, _hook: Hook) -> Taken:
        """Pages use the routes of the widget, and nobody else has anything to bring."""
        raise HookRefused

    def render(self, said: Said) -> list[Part]:
        return [structured_part(said)]

    async def send(self, _to: Destination, _part: Part, key: int) -> Sent:
        """That the courier writes it down as sent makes it visible."""
        return Sent(str(key))

    async def check(self) -> Health:
        settings, secrets = self.account.settings, self.account.secrets
        is_shut = settings.require_identity and secrets.identity_secret is None
        notes = ("widget.no_identity_secret",) if is_shut else ()
        return Health(name=", ".join(settings.allowed_origins), notes=notes)
