"""Asissto's side of answer.py: retrieval, the answer core without a model, and the whole turn around it."""

import sys
import time
from pathlib import Path
from typing import Any

from ours import Ours, main

from asissto.channels.channels import api_channel
from asissto.ingestion.pipeline import speaks
from asissto.platform.database import Addresses
from asissto.platform.languages import language_of
from asissto.retrieval.answering import answer_question
from asissto.retrieval.assistants import first_assistant
from asissto.retrieval.conversations import Asked
from asissto.retrieval.rewriting import follow_up_terms
from asissto.retrieval.scopes import whole_workspace
from asissto.retrieval.search import Query, search
from asissto.retrieval.turns import ask

Taken = tuple[float, list[int]]


class OursAnswers(Ours):
    def __init__(self, folder: Path, addresses: Addresses) -> None:
        super().__init__(folder, addresses)
        self._services = self._open_services()

    async def retrieve(self, tenant: str, embed: bool, wanted: int) -> list[Taken]:
        """Seconds and found rows of the hybrid search of each question, without or with embedding the question."""
        return [await self._retrieve(tenant, number, embed, wanted) for number in range(len(self._work.questions))]

    async def answer(self, tenant: str, again: bool, wanted: int) -> list[tuple[float, list[int], dict[str, Any]]]:
        """With the timings of the steps, and `answered`; only `again` finds what the process has kept in memory."""
        if not again:
            self._services = self._open_services()
        scope = await whole_workspace(self._services, self._places[tenant].tenant_id)
        answers = []
        for question in self._work.questions:
            started = time.perf_counter()
            answer = await answer_question(self._services, scope, question, [])
            taken = time.perf_counter() - started
            told = {**answer.timings, "answered": answer.answered}
            answers.append((taken, self._rows(answer.found[:wanted]), told))
        return answers

    async def turn(self, tenant: str, wanted: int) -> list[Taken]:
        """From the assistant's settings to the stored conversation."""
        self._services = self._open_services()
        tenant_id = self._places[tenant].tenant_id
        async with self._database.tenant(tenant_id) as session:
            channel_id = await api_channel(session, tenant_id)
            assistant_id = (await first_assistant(session, tenant_id)).id
        answers = []
        for question in self._work.questions:
            asked = Asked(tenant_id=tenant_id, channel_id=channel_id, assistant_id=assistant_id, question=question)
            started = time.perf_counter()
            told = await ask(self._services, asked)
            answers.append((time.perf_counter() - started, self._rows(told.answer.found[:wanted])))
        return answers

    async def _retrieve(self, tenant: str, number: int, embed: bool, wanted: int) -> Taken:
        """As in the answer core: a question in another language than the embedder's has no vector."""
        place, question = self._places[tenant], self._work.questions[number]
        vector = self._work.question_vectors[number] if speaks(self._embedder, language_of(question)) else None
        started = time.perf_counter()
        if embed and vector is not None:
            vector = (await self._embedder.embed([question]))[0]
        query = Query(
            terms=follow_up_terms(question, ()),
            vector=vector,
            space_id=place.space_id,
            collections=None,
            wanted=wanted,
        )
        async with self._database.tenant(place.tenant_id) as session:
            found = await search(session, place.tenant_id, place.tenant_number, query)
        return time.perf_counter() - started, self._rows(found.passages)


if __name__ == "__main__":
    main(OursAnswers, *sys.argv[1:])
