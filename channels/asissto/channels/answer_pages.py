"""The page of one answer, for a customer whose channel had no room for it: HTML without scripts."""

from collections.abc import Iterator, Sequence
from html import escape

from asissto.channels.blocks import Block, Span, blocks_of
from asissto.channels.contract import Cited, Said
from asissto.platform.texts import Language, text

_DEEPEST = 3

STYLE = """\
:root { color-scheme: light dark; }
body { max-width: 40rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; font: 1.05rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p, li, pre { overflow-wrap: anywhere; white-space: pre-line; } pre { white-space: pre-wrap; }
.item { margin: .3rem 0 .3rem 1.2rem; } .level-1 { margin-left: 2.4rem; } .level-2, .level-3 { margin-left: 3.6rem; }
blockquote { margin: .5rem 0; padding-left: .8rem; border-left: 3px solid #8884; white-space: pre-line; }
li { margin-bottom: 1.2rem; } li:target { outline: 2px solid; outline-offset: .4rem; }
a { color: inherit; } sup a { text-decoration: none; padding: 0 .15rem; }
"""


def answer_page(said: Said) -> str:
    """The answer, whose marks lead to its sources with what they say; `said.link` and `said.notice` are left out."""
    numbers = {cited.number for cited in said.citations}
    answer = "".join(_block(block, numbers) for block in blocks_of(said))
    sources = _sources(said.citations, said.language)
    title = text("answer_page.title", said.language)
    return _page(said.language, title, f"<h1>{title}</h1><main>{answer}</main>{sources}")


def sorry_page(key: str) -> str:
    """In both languages: nobody knows whose link it was."""
    languages: tuple[Language, Language] = ("ru", "en")
    sentences = "".join(f'<p lang="{each}">{escape(text(key, each))}</p>' for each in languages)
    return _page("ru", "Asissto", f"<main>{sentences}</main>")


def _page(language: Language, title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<link rel="stylesheet" href="style.css"></head><body>{body}</body></html>'
    )


def _block(block: Block, numbers: set[int]) -> str:
    words = "".join(_span(span, numbers) for span in block.spans)
    match block.kind:
        case "heading":
            return f"<h2>{words}</h2>"
        case "quote":
            return f"<blockquote>{words}</blockquote>"
        case "code":
            return f"<pre>{escape(block.text)}</pre>"
        case "item":
            level = min(block.level, _DEEPEST)
            return f'<p class="item level-{level}">{escape(f"{block.marker} ".lstrip())}{words}</p>'
    return f"<p>{words}</p>"


def _span(span: Span, numbers: set[int]) -> str:
    if span.number is not None:
        known = span.number in numbers
        return f'<sup><a href="#source-{span.number}">[{span.number}]</a></sup>' if known else ""
    words = escape(span.text)
    for is_so, name in ((span.code, "code"), (span.italic, "em"), (span.bold, "strong")):
        words = f"<{name}>{words}</{name}>" if is_so else words
    return _link(span.url, words) if span.url else words


def _link(url: str, words: str) -> str:
    return f'<a href="{escape(url)}" rel="nofollow noopener noreferrer">{words}</a>'


def _sources(citations: Sequence[Cited], language: Language) -> str:
    if not citations:
        return ""
    return f"<h2>{escape(text('channel.sources', language))}</h2><ol>{''.join(_items(citations))}</ol>"


def _items(citations: Sequence[Cited]) -> Iterator[str]:
    for cited in citations:
        title = escape(cited.title)
        is_on_web = (cited.url or "").lower().startswith(("http://", "https://"))
        place = f"<cite>{_link(cited.url, title) if is_on_web and cited.url else title}</cite>"
        locator = f", {escape(cited.locator)}" if cited.locator else ""
        quote = f"<blockquote>{escape(cited.quote)}</blockquote>"
        yield f'<li id="source-{cited.number}" value="{cited.number}">{place}{locator}{quote}</li>'
