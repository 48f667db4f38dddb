"""What is sent, where, and how its answer is read."""

import numpy as np
import pytest

from tests.doubles.openai import Double, Fault
from tests.doubles.openai.api import Model
from tests.doubles.openai.faults import Change
from tests.doubles.openai.model import embedded
from tests.embedders.openai.providers import ADA, LARGE, SMALL, opened, options
from vecmig.embedders.openai.client import client_of
from vecmig.embedders.openai.keys import keys_of
from vecmig.embedders.openai.options import OWN_URL, Azure, InputType, OpenAIOptions
from vecmig.errors import ConnectorError, LostAnswer, SpecError, UnsupportedError
from vecmig.model.secret import Secret

TEXTS = ["one text", "another text", "a third"]


def test_vectors_come_as_base64_and_bit_for_bit(openai_double: Double) -> None:
    with opened(openai_double) as embedder:
        made = embedder.embed(TEXTS, "passage")
    (request,) = openai_double.requests
    assert (request.is_base64, request.texts) == (True, 3)
    assert made.vectors.tobytes() == np.stack([embedded(SMALL, text, 1536, 1536) for text in TEXTS]).tobytes()
    assert made.tokens == openai_double.ledger.tokens


def test_a_server_that_answers_with_numbers_is_understood(openai_double: Double) -> None:
    openai_double.models["numbers"] = Model(16, ignores_encoding=True)
    with opened(openai_double, model="numbers") as embedder:
        made = embedder.embed(TEXTS, "passage").vectors
    assert not openai_double.requests[0].is_base64
    assert made.tobytes() == np.stack([embedded("numbers", text, 16, 16) for text in TEXTS]).tobytes()


@pytest.mark.parametrize(("model", "own", "asked"), [(SMALL, 1536, 256), (LARGE, 3072, 1024), (SMALL, 1536, 1536)])
def test_dimensions_are_asked_of_the_provider(openai_double: Double, model: str, own: int, asked: int) -> None:
    with opened(openai_double, model=model, dimensions=asked) as embedder:
        made = embedder.embed(TEXTS, "passage").vectors
    assert made.tobytes() == np.stack([embedded(model, text, own, asked) for text in TEXTS]).tobytes()


def test_a_model_that_does_not_shorten_is_not_asked_for_its_own_dimensions(openai_double: Double) -> None:
    with opened(openai_double, model=ADA, dimensions=1536) as embedder:  # it would refuse the parameter
        assert embedder.embed(TEXTS, "passage").vectors.shape == (3, 1536)


@pytest.mark.parametrize(
    ("model", "dimensions", "has"), [(ADA, 512, "1,536, and they cannot be shortened"), (SMALL, 3072, "1 to 1,536")]
)
def test_dimensions_that_a_model_does_not_have_are_refused_before_anything_is_sent(
    openai_double: Double, model: str, dimensions: int, has: str
) -> None:
    with pytest.raises(UnsupportedError, match=has):
        options(openai_double).open(model, dimensions)
    assert not openai_double.requests


def test_a_server_that_cannot_shorten_is_told_from_one_that_does(openai_double: Double) -> None:
    openai_double.models["long"] = Model(32, ignores_dimensions=True)
    with (
        opened(openai_double, model="long", dimensions=8) as embedder,
        pytest.raises(ConnectorError, match=r"32 dimensions where 8 were asked for: .*set `dimensions` to 32"),
    ):
        embedder.embed(TEXTS, "passage")


def test_another_model_under_the_same_name_is_noticed(openai_double: Double) -> None:
    openai_double.models[ADA] = Model(768)
    with (
        opened(openai_double, model=ADA) as embedder,
        pytest.raises(ConnectorError, match="is another model served under its name"),
    ):
        embedder.embed(TEXTS, "passage")


def test_an_unknown_model_must_keep_to_the_dimensions_of_its_first_answer(openai_double: Double) -> None:
    openai_double.models["mine"] = Model(8)
    with opened(openai_double, model="mine") as embedder:
        before = embedder.identity
        embedder.embed(TEXTS, "passage")
        assert embedder.identity == before, "the cache rests on it"
        openai_double.models["mine"] = Model(9)
        with pytest.raises(ConnectorError, match="9 dimensions where this model has 8"):
            embedder.embed(TEXTS, "passage")


@pytest.mark.parametrize("change", ["shuffled", "unindexed", "no usage"])
def test_vectors_are_in_the_order_of_the_texts_however_they_come(openai_double: Double, change: Change) -> None:
    openai_double.faults.add(Fault.changed(change))
    with opened(openai_double, dimensions=8) as embedder:
        made = embedder.embed(TEXTS, "passage")
    assert made.vectors.tobytes() == np.stack([embedded(SMALL, text, 1536, 8) for text in TEXTS]).tobytes()
    assert made.tokens == openai_double.ledger.tokens, "counted here where the answer does not say"


@pytest.mark.parametrize("change", ["short", "long", "twice", "uneven", "half", "html"])
def test_an_answer_that_is_not_whole_may_come_right_and_was_charged(openai_double: Double, change: Change) -> None:
    openai_double.faults.add(Fault.changed(change), times=1)
    with opened(openai_double) as embedder:
        with pytest.raises(LostAnswer):
            embedder.embed(TEXTS, "passage")
        assert embedder.embed(TEXTS, "passage").vectors.shape == (3, 1536)


@pytest.mark.parametrize("deployment", [None, "embeddings-prod"])
def test_azure_is_asked_at_its_deployment_with_its_version_and_key(
    openai_double: Double, deployment: str | None
) -> None:
    openai_double.models["embeddings-prod"] = openai_double.models[SMALL]
    openai_double.keys = {"azure-key"}
    azure = Azure(openai_double.origin, "2024-10-21", deployment)
    with opened(openai_double, "azure-key", base_url=None, azure=azure, dimensions=32) as embedder:
        made = embedder.embed(TEXTS, "passage").vectors
    expected = [embedded(deployment or SMALL, text, 1536, 32) for text in TEXTS]
    assert made.tobytes() == np.stack(expected).tobytes()
    assert [each.status for each in openai_double.requests] == [200]


def test_azure_and_another_address_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="leave `base_url` out"):
        OpenAIOptions(base_url="http://localhost", azure=Azure("https://kb.openai.azure.com", "2024-10-21"))


def test_the_address_of_the_spec_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    plain = OpenAIOptions((Secret("sk"),))
    assert str(client_of(plain, keys_of(plain)[0]).base_url).rstrip("/") == OWN_URL


def test_the_key_of_openai_is_for_openai_alone(openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    assert [key.value for key in keys_of(OpenAIOptions())] == ["sk-of-openai"]
    plain = OpenAIOptions(base_url=f"{openai_double.url}/")
    embedder = plain.open(SMALL, None)
    embedder.embed(TEXTS, "passage")
    embedder.close()
    assert [each.key for each in openai_double.requests] == ["none"]


def test_who_only_counts_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    embedder = OpenAIOptions().open(SMALL, None)
    assert embedder.count_tokens(["hello world"]) == [2]
    with pytest.raises(SpecError, match="OPENAI_API_KEY, which is not set"):
        embedder.embed(TEXTS, "passage")
    embedder.close()


def test_prefixes_tell_passages_from_queries(openai_double: Double) -> None:
    with opened(openai_double, passage_prefix="passage: ", query_prefix="query: ") as embedder:
        embedder.embed(["a"], "passage")
        embedder.embed(["a"], "query")
        assert embedder.count_tokens(["a"])[0] > 2, "prefixes are tokens, too"
    assert list(openai_double.ledger.charged) == ["passage: a", "query: a"]


def test_input_types_are_sent_in_the_servers_own_words(openai_double: Double) -> None:
    with opened(openai_double, input_type=InputType("search_document", "search_query")) as embedder:
        embedder.embed(["a"], "passage")
        embedder.embed(["a"], "query")
    with opened(openai_double) as embedder:
        embedder.embed(["a"], "passage")
    assert [each.input_type for each in openai_double.requests] == ["search_document", "search_query", None]
    assert list(openai_double.ledger.charged) == ["a"]


def test_the_identity_changes_with_all_that_vectors_depend_on_and_nothing_else(openai_double: Double) -> None:
    base = options(openai_double)
    azure = OpenAIOptions(azure=Azure("https://a.example", "1", "d"))
    found = [
        each.open(model, dimensions).identity
        for each, model, dimensions in (
            (base, SMALL, None),
            (base, LARGE, None),
            (base, SMALL, 8),
            (options(openai_double, base_url="http://elsewhere/v1"), SMALL, None),
            (OpenAIOptions(), SMALL, None),
            (options(openai_double, passage_prefix="p: "), SMALL, None),
            (options(openai_double, query_prefix="p: "), SMALL, None),
            (options(openai_double, input_type=InputType("d", "q")), SMALL, None),
            (azure, SMALL, None),
            (OpenAIOptions(azure=Azure("https://a.example", "1", "e")), SMALL, None),
        )
    ]
    assert len(set(found)) == len(found)
    others = options(openai_double, "sk-two", "sk-three", requests_per_minute=5, timeout_s=1, max_items=3)
    assert others.open(SMALL, None).identity == found[0]
    assert base.open(SMALL, 1536).identity == found[0], "its own dimensions, whether they are said or not"


@pytest.mark.parametrize("text", ["hello world", "naïve 東京 🙂" * 20, " " * 900, "a word or two " * 9000])
def test_tokens_are_counted_as_another_implementation_counts_them(openai_double: Double, text: str) -> None:
    from tests.doubles.openai.model import tokens

    with opened(openai_double) as embedder:
        assert embedder.counts_exactly
        counted = embedder.count_tokens([text])[0]
        # long texts are counted in slices, whose borders may cut a word: never fewer, hardly more
        assert 0 <= counted - tokens(text) <= len(text) // 50_000


def test_where_the_tokenizer_is_not_known_tokens_are_an_estimate(openai_double: Double) -> None:
    with opened(openai_double, model="mine") as embedder:
        assert not embedder.counts_exactly
        assert embedder.count_tokens(["x" * 400]) == [100]
