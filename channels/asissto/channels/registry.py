"""The types of channels: one line each. Modules are imported when a channel of the type is used."""

from importlib import import_module

from asissto.channels.contract import Connector

TYPES = {
    "http": "asissto.channels.signed_http:SignedHttp",
    "mail": "asissto.channels.mailbox:Mailbox",
    "sms": "asissto.channels.twilio_sms:TwilioSms",
    "telegram": "asissto.channels.telegram:Telegram",
    "vk": "asissto.channels.vk:Vk",
    "web": "asissto.channels.web_widget:WebWidget",
    "whatsapp": "asissto.channels.twilio_sms:TwilioWhatsApp",
}


def connector_type(name: str) -> type[Connector]:
    """Raises KeyError."""
    module, _, attribute = TYPES[name].partition(":")
    found = getattr(import_module(module), attribute)
    assert issubclass(found, Connector)
    return found  # type: ignore[no-any-return]
