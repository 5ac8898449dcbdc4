"""Names conversations of mail: a token that our Message-IDs and reply addresses carry and that holds for one person."""

import base64
import hmac
import re
from collections.abc import Iterable
from email.message import Message
from email.utils import getaddresses

import msgspec

_ID = re.compile(r"<[^\s<>]{1,250}>")
_HALF = 12  # base32 letters: 60 bits
_MOST_TOKENS, _LONGEST_HEADER = 50, 10_000
_RECIPIENTS = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")


class Threads(msgspec.Struct, frozen=True):
    """`secret` is known to nobody who writes; `address` is the one that we write from.

    The second half of a token is a seal of the first and of the person's address. A token that was forwarded to
    somebody else opens nothing: what they write begins a conversation of their own.
    """

    secret: bytes
    address: str
    plus_token: bool = True

    def find(self, mail: "Message[str, str]", person: str) -> str | None:
        """The conversation that the mail names, if it is this person's."""
        named = [token for _, token in reversed(self.own_ids(_references(mail))[-_MOST_TOKENS:])]
        if self.plus_token:
            named += self._plus_tokens(mail)
        return next((token for token in named if self._holds(token, person)), None)

    def begin(self, mail: "Message[str, str]", person: str, otherwise: str) -> str:
        """The same for each mail of a chain that began elsewhere, so that a second mail joins the first."""
        root = next(iter([*message_ids(_references(mail)), *message_ids(str(mail.get("message-id", "")))]), otherwise)
        half = self._letters(root)
        return half + self._letters(f"{half}|{person}")

    def message_id(self, key: int, thread: str) -> str:
        return f"<{key}.{thread}@{self.domain}>"

    def own_ids(self, text: str) -> list[tuple[int, str]]:
        """Key and conversation of each of our Message-IDs in the text."""
        pattern = rf"<(\d{{1,10}})\.([a-z2-7]{{{2 * _HALF}}})@{re.escape(self.domain)}>"
        return [(int(key), token.lower()) for key, token in re.findall(pattern, text, re.IGNORECASE)]

    def reply_address(self, thread: str) -> str:
        local, _, domain = self.address.rpartition("@")
        return f"{local}+{thread}@{domain}" if self.plus_token else self.address

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()

    def _plus_tokens(self, mail: "Message[str, str]") -> list[str]:
        local, _, domain = self.address.lower().rpartition("@")
        pattern = re.compile(rf"{re.escape(local)}\+([a-z2-7]{{{2 * _HALF}}})@{re.escape(domain)}")
        to = addresses(str(value)[:_LONGEST_HEADER] for name in _RECIPIENTS for value in mail.get_all(name, []))
        return [found[1] for address in to if (found := pattern.fullmatch(address))]

    def _holds(self, token: str, person: str) -> bool:
        half, seal = token[:_HALF], token[_HALF:]
        return hmac.compare_digest(seal, self._letters(f"{half}|{person}"))

    def _letters(self, text: str) -> str:
        digest = hmac.digest(self.secret, text.encode("utf-8", "replace"), "sha256")
        return base64.b32encode(digest).decode()[:_HALF].lower()


def message_ids(text: str) -> list[str]:
    return _ID.findall(text)


def addresses(headers: Iterable[str]) -> list[str]:
    """In lower case; display names are not decoded, so that none can pretend to be an address."""
    return [address.strip().lower() for _, address in getaddresses(list(headers)) if "@" in address]


def _references(mail: "Message[str, str]") -> str:
    """Oldest first."""
    return f"{mail.get('references', '')} {mail.get('in-reply-to', '')}"
