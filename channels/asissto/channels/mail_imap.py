"""Signs in to mail servers over IMAP, and tells their errors as those of a channel."""

import imaplib
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from imap_tools import BaseMailBox, ImapToolsError
from imap_tools.errors import UnexpectedCommandStatusError
from imap_tools.utils import check_command_status

from asissto.channels.mail_connecting import MailServer, tls_context
from asissto.channels.send_errors import ChannelBroken, Retryable, SendError

_ANSWER_SECONDS = 8.0  # for which the server may be silent
_PASSING = re.compile(
    r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA)\]|too many|try again|tempor|internal|rate limit", re.IGNORECASE
)


class _Client(imaplib.IMAP4):
    """Over a connection that stands already."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self._given = connection
        super().__init__(host, 0, _ANSWER_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        self._given.settimeout(timeout)
        return self._given


class Box(BaseMailBox):
    def __init__(self, connection: socket.socket, server: MailServer) -> None:
        self._connection, self._server = connection, server
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        host, connection = self._server.host, self._connection
        if self._server.security == "tls":
            connection.settimeout(_ANSWER_SECONDS)
            connection = tls_context().wrap_socket(connection, server_hostname=host)
        client = _Client(connection, host)
        if self._server.security == "starttls":
            check_command_status(client.starttls(tls_context()), UnexpectedCommandStatusError)
        return client

    def cut(self) -> None:
        """Whoever waits for the server, in whichever thread, stops waiting."""
        with suppress(OSError):
            self.client.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Blocks while another thread waits for the server."""
        self.cut()
        with suppress(OSError):
            self.client.shutdown()


def sign_in(connection: socket.socket, server: MailServer, password: str) -> Box:
    """Blocks. Raises ChannelBroken where the password is wrong, else Retryable; the connection is closed then."""
    with told():
        box = Box(connection, server)
    try:
        with told(is_entering=True):
            enter = box.login if f"{server.user}{password}".isascii() else box.login_utf8
            enter(server.user, password, initial_folder=None)
    except BaseException:
        box.close()
        raise
    return box


@contextmanager
def told(*, is_entering: bool = False) -> Iterator[None]:
    """The errors of imap-tools and imaplib as those of a channel; the server's words hold no password.

    `is_entering`: with a password or into a folder, where a no is the owner's matter.
    """
    try:
        yield
    except UnexpectedCommandStatusError as error:
        raise _refusal(_words(error.command_result), is_entering=is_entering) from None
    except imaplib.IMAP4.abort as error:
        raise Retryable(f"imap: {error}") from None
    except imaplib.IMAP4.error as error:
        raise _refusal(str(error), is_entering=is_entering) from None
    except ssl.SSLError as error:
        raise Retryable(f"imap: {error.reason or type(error).__name__}") from None
    except (ImapToolsError, OSError, EOFError) as error:
        raise Retryable(f"imap: {type(error).__name__}") from None


def _refusal(words: str, *, is_entering: bool) -> SendError:
    """A server that is busy need not be looked after."""
    return ChannelBroken(words) if is_entering and not _PASSING.search(words) else Retryable(words)


def _words(result: Any) -> str:
    said = result[1] if isinstance(result, tuple) and len(result) > 1 else result
    return " ".join(each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in said or [])
