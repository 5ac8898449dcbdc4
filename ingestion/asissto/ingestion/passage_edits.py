"""What people correct in the passages of a document, applied to each version on its way into the index."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.ingestion.chunking import Chunk
from asissto.ingestion.parsing import ParsedDocument
from asissto.ingestion.store import passage_sha
from asissto.ingestion.tables import PassageEdit
from asissto.platform.languages import language_of
from asissto.platform.tokens import count_tokens

_APART = "\n\n"


class Edit(msgspec.Struct, frozen=True):
    """What becomes of the passages with these words in the source; `text` is None where the words stay."""

    source_sha: bytes
    text: str | None
    enabled: bool


async def read_edits(session: AsyncSession, tenant_id: UUID, document_id: UUID) -> list[Edit]:
    mine = (PassageEdit.tenant_id == tenant_id, PassageEdit.document_id == document_id)
    columns = (PassageEdit.source_sha, PassageEdit.text, PassageEdit.enabled)
    return [Edit(*row) for row in await session.execute(select(*columns).where(*mine).order_by(PassageEdit.id))]


def apply_edits(
    parsed: ParsedDocument, chunks: Sequence[Chunk], edits: Sequence[Edit]
) -> tuple[ParsedDocument, list[Chunk]]:
    """The document and its passages with the edits in them.

    New words are appended to the document's text and the passage is pointed at them, so that each passage is still a
    span of the text, and the offsets of everything else stay what they are.
    """
    by_sha = {edit.source_sha: edit for edit in edits}
    if not by_sha:
        return parsed, list(chunks)
    pieces, length, edited = [parsed.text], len(parsed.text), list[Chunk]()
    for each in chunks:
        edit = by_sha.get(passage_sha(parsed.text[each.start : each.end]))
        if edit is None or edit.text is None:
            edited.append(each if edit is None else msgspec.structs.replace(each, enabled=edit.enabled))
            continue
        pieces.append(_APART + edit.text)
        end = length + len(_APART) + len(edit.text)
        edited.append(_pointed_at(each, end - len(edit.text), end, edit))
        length = end
    return msgspec.structs.replace(parsed, text="".join(pieces)), edited


def _pointed_at(chunk: Chunk, start: int, end: int, edit: Edit) -> Chunk:
    text = edit.text or ""
    return msgspec.structs.replace(
        chunk,
        start=start,
        end=end,
        source=(chunk.start, chunk.end),
        enabled=edit.enabled,
        language=language_of(text),
        tokens=count_tokens(text),
    )
