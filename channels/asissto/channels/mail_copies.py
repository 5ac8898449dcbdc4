"""Puts copies of sent mails into the folder where the owner's mail program looks for them."""

import asyncio
import socket

import structlog
from imap_tools import AND, Header, MailMessageFlags

from asissto.channels.contract import Account
from asissto.channels.mail_connecting import MailServer, open_connection
from asissto.channels.mail_imap import Box, sign_in, told
from asissto.channels.send_errors import SendError

COPY_SECONDS = 30.0
log = structlog.get_logger()


async def keep_copy(account: Account, folder: str, message_id: str, content: bytes) -> None:
    """Each once, however often it was sent. The customer has the mail: a copy that fails is told in the log alone."""
    try:
        async with asyncio.timeout(COPY_SECONDS):
            connection = await open_connection(account, account.settings.imap)
            await asyncio.to_thread(_append, connection, account, folder, message_id, content)
    except (SendError, TimeoutError) as error:
        log.warning("a sent mail has no copy in the mailbox", error=repr(error))


async def has_folder(account: Account, folder: str) -> bool:
    """Raises SendError."""
    connection = await open_connection(account, account.settings.imap)
    return await asyncio.to_thread(_exists, connection, account, folder)


def _append(connection: socket.socket, account: Account, folder: str, message_id: str, content: bytes) -> None:
    box = _signed_in(connection, account)
    try:
        with told(is_entering=True):
            box.folder.set(folder)
        with told():
            if not box.uids(AND(header=Header("Message-ID", message_id)), charset=None):
                box.append(content, folder, flag_set=[MailMessageFlags.SEEN])
    finally:
        box.close()


def _exists(connection: socket.socket, account: Account, folder: str) -> bool:
    box = _signed_in(connection, account)
    try:
        with told():
            return box.folder.exists(folder)
    finally:
        box.close()


def _signed_in(connection: socket.socket, account: Account) -> Box:
    server: MailServer = account.settings.imap
    return sign_in(connection, server, account.secrets.imap_password)
