"""A function of one's own, or a model's class, of any library."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedders.python import models
from vecmig.embedders.python.options import PythonOptions
from vecmig.errors import ConnectorError, RefusedText
from vecmig.protocols import Embedded, TextKind
from vecmig.testing.embedders import EmbedderContract

HERE = "tests.embedders.python.models"


class PythonContract(EmbedderContract):
    vendor = ("tests.embedders.python.models", "numpy", "pyarrow")

    @pytest.fixture
    def model(self) -> str:
        return "mine"

    @pytest.fixture
    def dimensions(self) -> int | None:
        return models.DIMENSIONS


class TestFunction(PythonContract):
    @pytest.fixture
    def options(self) -> PythonOptions:
        return PythonOptions(f"{HERE}:hashed", max_text_tokens=200, thread_safe=True)


class TestFactory(PythonContract):
    @pytest.fixture
    def options(self) -> PythonOptions:
        return PythonOptions(f"{HERE}:Model", factory=True, arguments={"scale": 2.0}, passage_prefix="passage: ")


def embed(texts: list[str], kind: TextKind = "passage", dimensions: int | None = None, **options: Any) -> Embedded:
    with closing(PythonOptions(**options).open("mine", dimensions)) as embedder:
        return embedder.embed(texts, kind)


def test_arrays_of_doubles_and_lists_become_float32() -> None:
    expected = models.hashed(["a", "b"]).astype(np.float32)
    for call in ("hashed", "lists"):
        vectors = embed(["a", "b"], call=f"{HERE}:{call}").vectors
        assert vectors.dtype == np.float32
        assert vectors.tobytes() == expected.tobytes()


def test_a_factory_is_called_once_with_its_arguments_and_a_model_that_can_be_called_is() -> None:
    before = models.Model.made
    with closing(PythonOptions(f"{HERE}:Model", factory=True, arguments={"seed": "x "}).open("mine", None)) as embedder:
        for _ in range(3):
            made = embedder.embed(["a"], "passage").vectors
    assert models.Model.made == before + 1
    assert np.allclose(made, models.hashed(["x a"]))
    assert np.allclose(embed(["a"], call=f"{HERE}:Called", factory=True).vectors, models.hashed(["a"]))


def test_prefixes_stand_before_passages_and_queries() -> None:
    more: dict[str, Any] = {"call": f"{HERE}:hashed", "passage_prefix": "p: ", "query_prefix": "q: "}
    assert np.allclose(embed(["a"], **more).vectors, models.hashed(["p: a"]))
    assert np.allclose(embed(["a"], "query", **more).vectors, models.hashed(["q: a"]))


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": "2"},
        {"call": f"{HERE}:Called"},
        {"arguments": {"scale": 3.0}},
        {"passage_prefix": "p: "},
        {"query_prefix": "q: "},
    ],
)
def test_what_changes_vectors_changes_the_identity(changed: dict[str, Any]) -> None:
    given: dict[str, Any] = {"call": f"{HERE}:Model", "factory": True}
    one, other = (PythonOptions(**each).open("mine", None).identity for each in (given, given | changed))
    assert one != other


def test_a_module_that_is_not_installed_is_found_beside_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "of_the_test.py").write_text("def f(texts):\n    return [[1.0, 2.0] for _ in texts]\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    options = PythonOptions("of_the_test:f", path="models").anchored(str(tmp_path))
    assert options.path == str(tmp_path / "models")
    assert "of_the_test" not in sys.modules, "loaded only when used"
    with closing(options.open("mine", None)) as embedder:
        assert embedder.embed(["a", "b"], "passage").vectors.tolist() == [[1, 2], [1, 2]]
    del sys.modules["of_the_test"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"call": "not_there:f"},
            "the module 'not_there' is not installed; if it is a file, `path` names its directory",
        ),
        ({"call": f"{HERE}:gone"}, "gone"),
        ({"call": f"{HERE}:number"}, "cannot be called: it is a int"),
        ({"call": f"{HERE}:Neither", "factory": True}, "can neither be called nor has it a method `encode`"),
        ({"call": f"{HERE}:Model", "factory": True, "arguments": {"scale": 0}}, r"ValueError at .*models\.py:\d+"),
        ({"call": f"{HERE}:short"}, r"a vector for each text: it gave 1 x 24 for 2 texts"),
        ({"call": f"{HERE}:flat"}, r"a vector for each text: it gave 24 for 2 texts"),
        ({"call": f"{HERE}:words"}, "gives no numbers"),
        ({"call": f"{HERE}:uneven"}, "vectors of unequal lengths"),
        ({"call": f"{HERE}:fails"}, r"failed with 2 texts: KeyError at .*models\.py:\d+"),
        ({"call": f"{HERE}:hashed", "dimensions": 12}, "24 dimensions, not of 12: set `dimensions` to 24"),
    ],
)
def test_what_is_wrong_is_said_without_a_text(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConnectorError, match=complaint) as raised:
        embed(["secret one", "secret two"], **options)
    assert not isinstance(raised.value, RefusedText)
    assert "secret" not in str(raised.value)


def test_arguments_without_a_factory_are_refused() -> None:
    with pytest.raises(ValueError, match="factory: true"):
        PythonOptions(f"{HERE}:hashed", arguments={"a": 1})
