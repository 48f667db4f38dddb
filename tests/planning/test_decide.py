"""Copy, shorten or embed anew, from evidence."""

from typing import Any

import pytest

from vecmig.connectors.memory import MemoryOptions
from vecmig.migration import Embedding, Provider
from vecmig.model.collection import VectorField
from vecmig.model.observed import Probe
from vecmig.planning.decide import decide

ADA, SMALL = "openai/text-embedding-ada-002", "openai/text-embedding-3-small"
OPENAI = Provider("openai", "openai", MemoryOptions("x"))  # type: ignore[arg-type]  # it is only there
SAME, OTHER = Probe(32, 0.9999, 0.998, 100, 0.0), Probe(32, 0.4, 0.1, 100, 0.0)
FEW = Probe(2, 0.9999, 0.998, 100, 0.0, few=True)


def asked(model: str | None = None, **more: Any) -> Embedding:
    return Embedding(model, provider=OPENAI, text="{{ text }}", **more)


def vector(dimensions: int = 1536) -> VectorField:
    return VectorField("", dimensions, "cosine")


@pytest.mark.parametrize(
    ("stored", "want", "given", "probe", "how", "why"),
    [
        (1536, asked(SMALL), ADA, OTHER, "reembed", "different models"),
        (1536, asked(SMALL), ADA, None, "reembed", "different models"),
        (1536, asked(SMALL), ADA, SAME, "copy", "the same model as openai/text-embedding-ada-002, whatever"),
        (1536, asked(SMALL), ADA, FEW, "reembed", "different models"),
        (1536, asked(SMALL), None, SAME, "copy", "same model"),
        (1536, asked(SMALL), None, FEW, "copy", "nothing says"),
        (1536, asked(SMALL), None, OTHER, "reembed", "not shown to be openai/text-embedding-3-small"),
        (1536, asked(SMALL), None, None, "copy", "nothing says"),
        (50, asked(SMALL), None, None, "reembed", "not shown to be openai/text-embedding-3-small"),
        (512, asked(SMALL), None, None, "reembed", "not shown to be openai/text-embedding-3-small"),
        (512, asked(SMALL), None, SAME, "copy", "same model"),
        (512, asked(SMALL), SMALL, None, "copy", "same model"),
        (512, asked(SMALL, dimensions=512), None, None, "copy", "nothing says"),
        (50, asked("mine/m", dimensions=512), None, None, "reembed", "512 dimensions cannot be made of 50"),
        (1536, asked("mine/m", dimensions=512, strategy="truncate"), None, None, "truncate", "cut to 512"),
        (1536, asked(SMALL), SMALL, SAME, "copy", "same model"),
        (1536, asked(SMALL, dimensions=512), SMALL, None, "truncate", "cut to 512"),
        (1536, asked(SMALL, dimensions=512), SMALL, SAME, "truncate", "cut to 512"),
        (1536, asked(SMALL, dimensions=512), ADA, OTHER, "reembed", "different models"),
        (50, asked("mine/new"), "mine/old", None, "reembed", "different models"),
        (512, asked(SMALL, dimensions=1536), SMALL, SAME, "reembed", "1,536 dimensions cannot be made of 512"),
        (1536, asked(SMALL, strategy="reembed"), SMALL, SAME, "reembed", "`strategy: reembed`"),
        (1536, asked(), ADA, None, "copy", "same model"),
        (None, asked(SMALL), None, None, "reembed", "the source has no vectors"),
    ],
)
def test_the_decision_follows_from_the_evidence(
    stored: int | None, want: Embedding, given: str | None, probe: Probe | None, how: str, why: str
) -> None:
    found = decide("", vector(stored) if stored else None, want, given, probe)
    assert (found.how, found.stopped, found.refused) == (how, "", "")
    assert why in found.why


@pytest.mark.parametrize(
    ("stored", "want", "given", "probe", "reason"),
    [
        (1536, asked(SMALL), SMALL, OTHER, "not shown to be the same"),
        (50, asked(ADA), ADA, None, "makes 1,536 dimensions, and the stored vectors have 50"),
        (3072, asked(SMALL), SMALL, None, "makes 1,536 dimensions, and the stored vectors have 3,072"),
        (1536, asked(SMALL, strategy="copy"), ADA, None, "the models differ"),
        (1536, asked(SMALL, strategy="copy"), ADA, FEW, "the models differ"),
        (1536, asked(SMALL, strategy="copy"), ADA, OTHER, "not shown to be of"),
        (1536, asked(SMALL, strategy="copy", dimensions=512), SMALL, None, "cannot make 512 dimensions of 1,536"),
        (1536, asked(SMALL, dimensions=512), SMALL, OTHER, "not shown to be the same"),
    ],
)
def test_what_the_evidence_speaks_against_stops(
    stored: int, want: Embedding, given: str, probe: Probe | None, reason: str
) -> None:
    assert reason in decide("", vector(stored), want, given, probe).stopped


def test_a_model_that_makes_other_dimensions_than_those_stored_is_not_the_one_it_is_called() -> None:
    found = decide("", vector(50), asked("mine/m"), "mine/m", None, "their lengths differ", makes=512)
    assert "not shown to be the same (mine/m makes 512 dimensions, and the stored vectors have 50)" in found.stopped
    different = decide("", vector(50), asked("mine/new"), "mine/old", None, "their lengths differ", makes=512)
    assert (different.how, different.why, different.dimensions) == ("reembed", "different models", 512)
    unnamed = decide("", vector(50), asked("mine/new"), None, None, "no text", makes=512)
    assert (unnamed.how, unnamed.why, unnamed.dimensions) == ("reembed", "not shown to be mine/new", 512)
    assert unnamed.evidence == "mine/new makes 512 dimensions, and the stored vectors have 50"
    copied = decide("", vector(50), asked("mine/new", strategy="copy"), None, None, "no text", makes=512)
    assert "(unnamed) are not shown to be of mine/new" in copied.stopped
    longer = decide("", vector(512), asked(SMALL), SMALL, SAME, makes=1536)
    assert not longer.stopped, "one that may be shortened is compared"


def test_who_trusts_the_labels_is_not_stopped() -> None:
    assert not decide("", vector(), asked(SMALL, trust_labels=True), SMALL, None, "`trust_labels: true`").stopped


@pytest.mark.parametrize(
    ("stored", "want", "given", "reason"),
    [
        (1536, asked(ADA, dimensions=512), ADA, "no Matryoshka model"),
        (
            384,
            asked("x/unknown", dimensions=128),
            "x/unknown",
            "nothing says that vectors of x/unknown may be shortened",
        ),
        (1536, Embedding(SMALL, provider=OPENAI), ADA, "the spec does not say of what text"),
        (1536, Embedding("nobody/has-it", text="{{ t }}"), ADA, "nothing here embeds with nobody/has-it: name a"),
        (1536, Embedding("opnai/x", text="{{ t }}", meant="openai"), ADA, "with opnai/x: did you mean `openai`? Else"),
        (1536, Embedding("x/new", provider=OPENAI, text="{{ t }}", strategy="reembed"), ADA, ""),
        (None, asked(), None, "say in `embedding.model`"),
        (768, asked("sentence-transformers/nomic-ai/nomic-embed-text-v1.5", dimensions=32), None, ""),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    stored: int | None, want: Embedding, given: str | None, reason: str
) -> None:
    assert reason in decide("", vector(stored) if stored else None, want, given).refused


def test_what_was_taken_for_granted_is_said() -> None:
    found = decide("", vector(), asked(SMALL), SMALL, None, "--no-probe")
    assert (found.unchecked, found.evidence) == ("the models' names were trusted (--no-probe)", "no probe: --no-probe")


@pytest.mark.parametrize(("probe", "why"), [(OTHER, "are not shown to be of"), (None, "the models differ")])
def test_vectors_of_another_model_are_not_shortened_into_those_of_the_one_that_is_asked_for(
    probe: Probe | None, why: str
) -> None:
    found = decide("", vector(), asked(SMALL, strategy="truncate", dimensions=512), ADA, probe)
    assert found.how == "truncate"
    assert why in found.stopped
    assert not decide("", vector(), asked(SMALL, strategy="truncate", dimensions=512), ADA, SAME).stopped
