"""The documentation names what the product has, all of it and nothing else."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_type_hints

import click
import msgspec
import pytest

from asissto.channels.contract import CommonSecrets, CommonSettings
from asissto.channels.registry import TYPES, connector_type
from asissto.platform.errors import AsisstoError
from asissto.platform.settings import Settings, environment_name
from asissto.platform.texts import TEXTS
from asissto.retrieval.figure_rows import ROWS
from asissto.retrieval.figures import DIMENSIONS, FIGURES

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.ru.md")
COMPONENTS = ("platform", "ingestion", "retrieval", "channels")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pages() -> list[str]:
    """Every Markdown file that is in the repository or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({name for name in listed.stdout.splitlines() if (ROOT / name).exists()})


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def headings(text: str) -> list[tuple[str, str]]:
    """Level (`##`) and words of each heading, in order."""
    return re.findall(r"^(#+) (.+)$", without_code(text), flags=re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """What stands under each heading of the second level, by its words without backticks."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return {name.replace("`", ""): body for name, body in zip(parts[::2], parts[1::2], strict=True)}


def code(text: str) -> list[str]:
    """Fenced blocks and inline code."""
    fenced = re.findall(r"^```.*?\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return fenced + re.findall(r"`([^`\n]+)`", without_code(text))


def settings() -> list[tuple[str, str, str]]:
    """Name in the environment, sentence and default of each setting."""
    hints = get_type_hints(Settings, include_extras=True)
    fields = msgspec.structs.fields(Settings)
    return [(environment_name(f.name), hints[f.name].__metadata__[0].description, default_of(f)) for f in fields]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """As one would type it; the only default that is computed is the data folder's."""
    if field.default is msgspec.NODEFAULT:
        return "~/.local/share/asissto"
    return "" if field.default is None else str(field.default).replace("True", "true").replace("False", "false")


def error_classes(base: type[AsisstoError] = AsisstoError) -> Iterator[type[AsisstoError]]:
    if base.__module__ == AsisstoError.__module__:
        yield base
    for kind in base.__subclasses__():
        yield from error_classes(kind)


@pytest.fixture(scope="module")
def commands() -> Mapping[str, click.Command]:
    from asissto.platform.entrypoints.cli import main

    return main.commands


def test_each_setting_has_its_heading() -> None:
    """The settings page follows settings.py, in its order, with its sentences and defaults."""
    found = [
        (name, *re.findall(r"\A\s*(.+)\n\nDefault: (?:`(.*?)`|empty)\.", body)[0])
        for name, body in sections(page("docs/reference/settings.md")).items()
    ]
    assert found == settings()


def test_each_setting_stands_in_the_example_file() -> None:
    """`.env.example` can be filled in without the docs at hand."""
    lines = re.findall(r"^# (.+)\n#? ?((?:ASISSTO|OPENAI)_\w+)=(.*)$", page(".env.example"), flags=re.MULTILINE)
    assert [(name, sentence, default) for sentence, name, default in lines] == settings()


def test_each_error_code_has_its_row() -> None:
    """The errors page shows code, status and sentence of every error, and of no other."""
    rows = re.findall(r"^\| `.+$", page("docs/reference/errors.md"), flags=re.MULTILINE)
    expected = [f"| `{kind.code}` | {kind.status} | {TEXTS[f'error.{kind.code}'][0]} |" for kind in error_classes()]
    assert sorted(rows) == sorted(expected)


def test_each_figure_of_an_evaluation_is_explained() -> None:
    """Nobody has to guess what a number means."""
    from asissto.retrieval.evaluation import Figures

    explained = re.findall(
        r"`(\w+)`", "\n".join(re.findall(r"^\| `.+? \|", page("docs/reference/evaluation.md"), re.MULTILINE))
    )
    assert sorted(explained) == sorted(Figures.__struct_fields__)


def test_each_measure_of_the_threat_model_has_its_tests() -> None:
    """A measure whose test is gone is a claim; each row names one at least."""
    rows = re.findall(r"^\| (.+) \|$", sections(page("docs/reference/threat-model.md"))["Measures"], flags=re.MULTILINE)
    named = {row: re.findall(r"`(test_\w+)`", row) for row in rows[2:]}
    there = set(
        re.findall(r"def (test_\w+)", "\n".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py")))
    )
    assert [row for row, tests in named.items() if not tests] == []
    assert {test for tests in named.values() for test in tests} - there == set()


@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_state_of_a_document_is_explained(language: str) -> None:
    """The guide says what people see beside a document."""
    from asissto.ingestion.documents import FINISHED, ON_THE_WAY

    explained = re.findall(r"^- `(\w+)`:", page(f"docs/guide/{language}/documents.md"), flags=re.MULTILINE)
    assert sorted(explained) == sorted((*ON_THE_WAY, *FINISHED))


def test_each_command_has_its_heading(commands: Mapping[str, click.Command]) -> None:
    """The page of the command line has one section a command."""
    assert list(sections(page("docs/reference/cli.md"))) == [f"asissto {name}" for name in commands]


def test_each_option_is_named_in_its_commands_section(commands: Mapping[str, click.Command]) -> None:
    """No option is left to be found by reading the code."""
    described = sections(page("docs/reference/cli.md"))
    missing = [
        f"{name} {option}"
        for name, command in commands.items()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in parameter.opts
        if f"`{option}" not in described[f"asissto {name}"]
    ]
    assert missing == []


@pytest.mark.parametrize("name", pages())
def test_commands_shown_exist(name: str, commands: Mapping[str, click.Command]) -> None:
    """Nobody copies a command out of the docs that is not there."""
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), flags=re.MULTILINE))
    shown = "\n".join(code(page(name)))
    assert set(re.findall(r"\bmake ([a-z]\S*)", shown)) <= targets
    assert set(re.findall(r"\basissto ([a-z]\S*)", shown)) <= set(commands)


@pytest.mark.parametrize("name", pages())
def test_local_links_lead_somewhere(name: str) -> None:
    """Links to files of the repository resolve from the page they stand on."""
    links = re.findall(r"\]\(([^)#\s]+)", without_code(page(name)))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_readmes_have_the_same_shape_in_both_languages() -> None:
    """Levels of headings, and blocks of code, are the same one by one."""
    english, russian = (page(name) for name in READMES)
    assert [level for level, _ in headings(russian)] == [level for level, _ in headings(english)]
    assert russian.count("\n```") == english.count("\n```")
    assert all(len(page(name).splitlines()) <= 120 for name in READMES)


def test_guide_has_the_same_pages_in_both_languages() -> None:
    """Whoever reads the guide in Russian misses nothing."""
    names = {
        language: sorted(path.name for path in (ROOT / "docs/guide" / language).iterdir()) for language in ("en", "ru")
    }
    assert names["ru"] == names["en"] != []
    for name in names["en"]:
        english, russian = (headings(page(f"docs/guide/{language}/{name}")) for language in ("en", "ru"))
        assert (name, [level for level, _ in russian]) == (name, [level for level, _ in english])


@pytest.mark.parametrize("component", COMPONENTS)
def test_components_explain_themselves_in_forty_lines(component: str) -> None:
    """A component's README can be read at a glance."""
    assert len(page(f"{component}/README.md").splitlines()) <= 40


@pytest.mark.parametrize("name", sorted(TYPES))
def test_each_type_of_channel_shows_its_fields(name: str) -> None:
    """Settings first, then secrets, in their order; those of every channel stand above."""
    kind = connector_type(name)
    body = sections(page("docs/reference/channels.md"))[name]
    common = {*CommonSettings.__struct_fields__, *CommonSecrets.__struct_fields__}
    fields = [*kind.Settings.__struct_fields__, *kind.Secrets.__struct_fields__]
    assert re.findall(r"^\| `(\w+)` \|", body, flags=re.MULTILINE) == [each for each in fields if each not in common]


def test_every_figure_has_its_definition() -> None:
    """Each in the table of its view, with all columns of the views and all dimensions."""
    page = (ROOT / "docs/reference/analytics.md").read_text()
    tables = {view: page.split(f"### {view}\n")[1].split("\n#")[0] for view in ROWS}
    told = {view: re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for view, table in tables.items()}
    assert told == {view: [name for name, each in FIGURES.items() if each.view == view] for view in ROWS}
    columns = dict(re.findall(r"^\| `(\w+)` \| (`id`, .*) \|$", page, re.MULTILINE))
    assert {view: re.findall(r"`(\w+)`", line) for view, line in columns.items()} == {
        view: list(row.__struct_fields__) for view, row in ROWS.items()
    }
    dimensions = page.split("## Dimensions\n")[1].split("\n#")[0]
    assert set(DIMENSIONS) <= set(re.findall(r"`(\w+)`", dimensions))
