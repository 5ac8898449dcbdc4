"""A plain table with pgvector, asked by asyncpg: what a question costs before there is any product around it."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import contest
import workload
from pgvector.asyncpg import register_vector

from asissto.platform.minilm import MiniLM

NEAREST = "SELECT id, body FROM {table} WHERE tenant = $1 ORDER BY embedding <=> $2 LIMIT $3"


class Plain:
    """`plain_exact` is read through its index of tenants, `plain_hnsw` through one HNSW index (m 16, ef 64, 40)."""

    def __init__(self, folder: Path, connection: asyncpg.Connection) -> None:
        self._work = workload.load(folder)
        self._embedder = MiniLM(folder / "models")
        self._connection = connection

    async def store(self, tenant: str, first: int, last: int) -> None:
        rows = [(tenant, row, self._work.texts[row], self._work.vectors[row]) for row in range(first, last)]
        await self._connection.copy_records_to_table("plain_exact", records=rows)

    async def index(self) -> None:
        """One HNSW index of all rows, and a table without it."""
        await self._connection.execute(
            "CREATE INDEX ON plain_exact (tenant);"
            "CREATE TABLE plain_hnsw AS SELECT * FROM plain_exact;"
            "SET maintenance_work_mem = '512MB';"
            "CREATE INDEX ON plain_hnsw USING hnsw (embedding vector_cosine_ops);"
            "ANALYZE plain_exact; ANALYZE plain_hnsw"
        )

    async def search(self, table: str, tenant: str, embed: bool, wanted: int) -> list[tuple[float, list[int]]]:
        """Seconds and found rows of each question."""
        await self._embedder.embed(["The model loads at the first text."])
        answers = []
        for number, question in enumerate(self._work.questions):
            vector = self._work.question_vectors[number]
            started = time.perf_counter()
            if embed:
                vector = (await self._embedder.embed([question]))[0]
            rows = await self._connection.fetch(NEAREST.format(table=table), tenant, vector, wanted)
            answers.append((time.perf_counter() - started, [row["id"] for row in rows]))
        return answers

    async def plan(self, table: str, tenant: str, wanted: int) -> str:
        """How the server reads the table."""
        explain = f"EXPLAIN {NEAREST.format(table=table)}"
        rows = await self._connection.fetch(explain, tenant, self._work.question_vectors[0], wanted)
        return "\n".join(row[0] for row in rows)


async def connect(socket_dir: str, database: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(host=socket_dir, user="postgres", database=database)
    await register_vector(connection)
    await connection.execute("CREATE TABLE plain_exact (tenant text, id int, body text, embedding vector(384));")
    return connection


def main(folder: str, socket_dir: str, database: str) -> None:
    with asyncio.Runner() as runner:
        plain = Plain(Path(folder), runner.run(connect(socket_dir, database)))

        def call(method: str, **arguments: Any) -> Any:
            return runner.run(getattr(plain, method)(**arguments))

        contest.serve(call)


if __name__ == "__main__":
    main(*sys.argv[1:])
