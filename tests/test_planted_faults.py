"""Wrong citations planted into true answers are caught, and true ones get through, in both languages."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETS = ROOT.parent / "shared" / "sets"


@pytest.mark.parametrize("name", ["xquad_ru", "xquad_en"])
def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """At least 95 of 100 over all kinds, no kind below 90, and at most 5 of 100 true answers refused."""
    if not (SETS / name).exists():
        pytest.skip(f"no evaluation sets at {SETS}")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    planted = importlib.import_module("citations")
    caught, refused = [], []
    for kind, cases in planted.table(SETS / name, 25, 7).items():
        if planted.is_right(kind):
            refused += list(map(planted.refused, cases))
        else:
            missed = list(map(planted.missed, cases))
            caught += [not each for each in missed]
            assert sum(missed) <= 0.1 * len(missed) + 1, kind
    assert sum(caught) >= 0.95 * len(caught)
    assert sum(refused) <= 0.05 * len(refused)
