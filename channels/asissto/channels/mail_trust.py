"""Tells whether a mail comes from whom it says, by what the owner's own mail server found out."""

import re
from email.message import Message

_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"\s*(dmarc|dkim|spf)\s*=\s*pass\b(.*)", re.IGNORECASE | re.DOTALL)
_PROPERTY = re.compile(r"([a-z]+\.[a-z]+)\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_SPEAKS_FOR = {"dmarc": ("header.from",), "dkim": ("header.d", "header.i"), "spf": ("smtp.mailfrom", "smtp.mail")}


def is_verified(mail: "Message[str, str]", sender: str, authserv_id: str) -> bool:
    """Only the topmost Authentication-Results of our own server counts: those below may have come with the mail.

    `authserv_id` may be `*.yandex.net`, where each of the provider's servers has a name of its own.
    """
    if not authserv_id or len(mail.get_all("from", [])) != 1:
        return False
    for header in mail.get_all("authentication-results", []):
        server, *results = _COMMENT.sub(" ", str(header)[:10_000]).split(";")
        if server.split() and _is_ours(server.split()[0], authserv_id):
            return any(_vouches(result, sender.rpartition("@")[2].lower()) for result in results)
    return False


def _is_ours(server: str, authserv_id: str) -> bool:
    server, ours = server.lower(), authserv_id.lower()
    return server.endswith(ours[1:]) if ours.startswith("*.") else server == ours


def _vouches(result: str, domain: str) -> bool:
    """Whether a passed method speaks for the domain of the From line, as DMARC aligns them."""
    passed = _RESULT.match(result)
    if passed is None:
        return False
    named = [value for name, value in _PROPERTY.findall(passed[2]) if name.lower() in _SPEAKS_FOR[passed[1].lower()]]
    return any(_aligned(value.rpartition("@")[2].lower(), domain) for value in named)


def _aligned(named: str, domain: str) -> bool:
    return "." in named and (domain == named or domain.endswith(f".{named}"))
