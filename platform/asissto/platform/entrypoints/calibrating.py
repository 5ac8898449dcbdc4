"""`asissto calibrate`: fits the confidence of an assistant to labelled questions and says what they can show."""

from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from click import UsageError

from asissto.ingestion.labels import DocumentFilter
from asissto.platform.entrypoints.evaluating import throw_away
from asissto.platform.entrypoints.screen import print_json, progress, screen
from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval.assistants import first_assistant, named_assistant, settings_of
from asissto.retrieval.calibration import Fitted, Labelled, calibrate_in, save, scope_of, unsupported
from asissto.retrieval.evaluation import SetPassage, load_passages, read_lines
from asissto.retrieval.generation import Turn
from asissto.retrieval.tables import Assistant


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to calibrate and how: `name` is that of the assistant, None the first one."""

    folder: Path
    name: str | None
    budget: float
    save: bool
    as_json: bool


class SetLine(msgspec.Struct, frozen=True):
    """A question of a set; where passages can be left out, `answerable_in_abstain` is what counts."""

    question: str
    answerable: bool = True
    answerable_in_abstain: bool | None = None
    history: list[Turn] = []

    def labelled(self) -> Labelled:
        known = self.answerable if self.answerable_in_abstain is None else self.answerable_in_abstain
        return Labelled(self.question, known, self.history)


class Told(msgspec.Struct, frozen=True):
    """`version` is that of the assistant which the calibration was saved as."""

    assistant: str
    version: int | None
    fitted: Fitted


async def calibrate_here(services: Services, tenant_id: UUID, asked: Asked) -> None:
    """Raises NotFound, CalibrationUnsupported, and click's UsageError for a folder without questions."""
    if not (asked.folder / "questions.jsonl").exists():
        raise UsageError(f"{asked.folder} holds no set: questions.jsonl is needed.")
    labelled = [line.labelled() for line in read_lines(asked.folder / "questions.jsonl", SetLine)]
    assistant = await _assistant(services, tenant_id, asked.name)
    with progress(text("cli.asking", services.settings.language)) as bar:
        fitted = await _fitted(services, assistant, labelled, asked, bar)
    version = await _save(services, assistant, fitted) if asked.save else None
    if asked.as_json:
        print_json(Told(assistant.name, version, fitted))
    else:
        _show(services, assistant.name, version, fitted)


async def _fitted(
    services: Services,
    assistant: Assistant,
    labelled: Sequence[Labelled],
    asked: Asked,
    report: Callable[[int, int], None],
) -> Fitted:
    """Over the documents of the assistant, or over the passages of the set, where it has any."""
    if not (asked.folder / "passages.jsonl").exists():
        scope = await scope_of(services, assistant.tenant_id, assistant.id)
        return await calibrate_in(services, scope, labelled, asked.budget, report)
    passages = [each for each in read_lines(asked.folder / "passages.jsonl", SetPassage) if not each.removed_in_abstain]
    async with throw_away(services, 1) as tenants:
        loaded = await load_passages(services, tenants[0], passages, lambda _label, done, total: report(done, total))
        settings = msgspec.structs.replace(
            settings_of(assistant), collections=None, filter=DocumentFilter(), audience=[]
        )
        scope = msgspec.structs.replace(loaded.scope, settings=settings)
        fitted = await calibrate_in(services, scope, labelled, asked.budget, report)
    if fitted.calibration is None:
        return fitted
    foreign = msgspec.structs.replace(fitted.calibration, own_documents=False)
    return msgspec.structs.replace(fitted, calibration=foreign)


async def _assistant(services: Services, tenant_id: UUID, name: str | None) -> Assistant:
    async with services.database.tenant(tenant_id) as session:
        if name is None:
            return await first_assistant(session, tenant_id)
        return await named_assistant(session, tenant_id, name)


async def _save(services: Services, assistant: Assistant, fitted: Fitted) -> int:
    async with services.database.tenant(assistant.tenant_id) as session:
        return (await save(session, assistant.tenant_id, assistant.id, fitted, None)).version


def _show(services: Services, name: str, version: int | None, fitted: Fitted) -> None:
    language = services.settings.language
    figures = {"auroc": fitted.auroc, "before": fitted.error_before, "after": fitted.error}
    shown = {key: f"{value:.3f}" for key, value in figures.items()}
    counts = {"questions": fitted.questions, "unanswerable": fitted.unanswerable}
    screen.print(text("cli.calibration", language, **counts, **shown, supported=f"{fitted.supported_budget:.3f}"))
    screen.print(text("cli.thresholds", language))
    for each in fitted.thresholds:
        row = (each.confidence, each.answered_share, each.false_answers, each.false_share, each.upper_bound)
        screen.print(
            f"{'*' if each.chosen else ' '} {row[0]:.3f}  {row[1]:.3f}  {row[2]:5d}  {row[3]:.3f}  {row[4]:.3f}"
        )
    screen.print(text("cli.reliability", language))
    for group in fitted.bins:
        screen.print(f"  {group.questions:5d}  {group.promised:.3f}  {group.answerable:.3f}")
    if fitted.calibration is None:
        screen.print(unsupported(fitted).sentence(language))
    elif version is None:
        screen.print(text("cli.calibration_not_saved", language))
    else:
        least = f"{fitted.calibration.least_confidence:.3f}"
        screen.print(text("cli.calibration_saved", language, version=version, name=name, least=least))
