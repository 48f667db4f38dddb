"""Copy, shorten or embed anew: decided for each vector by what the models are called and what a probe shows."""

from msgspec.structs import replace

from vecmig.catalogue.models import facts_of
from vecmig.migration import Embedding, Provider
from vecmig.model.collection import VectorField
from vecmig.model.observed import Probe
from vecmig.model.plan import Decision

SAME = 0.999  # median cosine from which on two models are taken for one: half precision and other batches stay above it
PROBED, FEWEST = 32, 8  # texts: of so many, and of no fewer; that chance makes all of eight alike is one in 256


def known_as(model: str, provider: Provider | None) -> str:
    """Return the name that the catalogue of models uses: a provider may have a name of its own in the spec."""
    return f"{provider.type}/{model.partition('/')[2]}" if provider else model


def comparable(asked: Embedding, vector: VectorField, makes: int | None = None) -> bool:
    """Return whether stored vectors can be held against those of the model that is asked for: they are as long, or cut.

    `makes`: its dimensions, where that was tried; None, and nobody says: it may be.
    """
    if asked.model is None:
        return False
    if not vector.dimensions:
        return True  # a store that knows them by its first record, and has none
    facts = facts_of(known_as(asked.model, asked.provider))
    makes = asked.dimensions or facts.dimensions or makes
    cut = facts.shortens is not None and facts.shortens <= vector.dimensions <= (facts.dimensions or vector.dimensions)
    return makes is None or makes == vector.dimensions or cut


def _unlike(asked: Embedding, stored: VectorField, makes: int | None) -> bool:
    """Return whether vectors that nobody calls the model's have none of its lengths: short ones may be its, or another's."""
    if asked.model is None or asked.strategy == "truncate" or not stored.dimensions:  # of truncation, its user knows
        return False
    lengths = {asked.dimensions, makes, facts_of(known_as(asked.model, asked.provider)).dimensions} - {None}
    return bool(lengths) and stored.dimensions not in lengths


def decide(
    vector: str,
    stored: VectorField | None,
    asked: Embedding,
    given: str | None,
    probe: Probe | None = None,
    unprobed: str = "",
    makes: int | None = None,
) -> Decision:
    """Return how the target's vector comes about.

    `stored`: the source's vector; None: it has none. `given`: the model that made it, as far as anybody says.
    `unprobed`: why there is no probe. `makes`: dimensions of the model that is asked for, where that was tried.
    """
    facts = facts_of(known_as(asked.model, asked.provider)) if asked.model else facts_of("")
    own = asked.dimensions or makes or facts.dimensions
    found = _found(probe) or (f"no probe: {unprobed}" if unprobed else "")
    unlike = given is None and probe is None and stored is not None and _unlike(asked, stored, makes)
    whole = makes or facts.dimensions  # where that is the stored vectors' length, another may be asked for
    impossible = stored is not None and whole not in (None, stored.dimensions) and not comparable(asked, stored, makes)
    if stored is not None and (unlike or impossible):
        found = f"{asked.model} makes {own:,} dimensions, and the stored vectors have {stored.dimensions:,}"
    if stored is None:
        if asked.model is None:
            refused = (
                "the source has no vectors: say in `embedding.model` what makes them, and in `embedding.text` of what"
            )
            return Decision(vector, "reembed", own or 0, refused=refused)
        return _anew(vector, asked, own, "", "the source has no vectors", _found(probe))
    wanted = asked.dimensions or (own if asked.model and given and asked.model != given else None) or stored.dimensions
    before = f"{given or 'an unnamed model'} ({stored.dimensions:,})"
    same_label = asked.model is None or asked.model == given
    agrees = probe is not None and probe.median is not None and probe.median >= SAME
    same = probe is not None and agrees and not probe.few
    refuted = (probe is not None and not agrees) or unlike or (same_label and impossible)
    if probe is not None and agrees and not same:
        unprobed = f"a probe of {_counted(probe.texts)} is too small to show it"
    unchecked = ""
    if (probe is None or (agrees and not same)) and asked.model is not None and asked.strategy != "reembed":
        trusted = "the models' names were trusted" if given else f"that the source's vectors are those of {asked.model}"
        unchecked = f"{trusted} ({unprobed})" if unprobed else trusted
    base = Decision(vector, "copy", wanted, asked.model or given, before, evidence=found, unchecked=unchecked)
    stopped = _contradiction(asked, given, refuted, same, found)

    def anew(why: str) -> Decision:
        anew = _anew(vector, asked, own or wanted, before, why, found)
        # vectors of other lengths are not one model's, whatever it is called
        return replace(anew, unchecked=unchecked if comparable(asked, stored, makes) else "")

    if asked.strategy == "reembed":
        return anew("`strategy: reembed`")
    if asked.strategy == "copy":
        if wanted != stored.dimensions:
            stopped = f"`strategy: copy` cannot make {wanted:,} dimensions of {stored.dimensions:,}: say `auto`"
        return replace(base, why="`strategy: copy`", stopped=stopped)
    if asked.strategy == "truncate" or (wanted < stored.dimensions and (same_label or same)):
        cut = replace(
            base, how="truncate", why=f"cut to {wanted:,} dimensions and normalised again, as its makers allow"
        )
        return replace(cut, refused=_uncut(asked, wanted, stored), stopped=stopped)
    if wanted > stored.dimensions and (same or same_label or given is None):
        return anew(f"{wanted:,} dimensions cannot be made of {stored.dimensions:,}")
    if same:
        alike = same_label or not given
        return replace(base, why="same model" if alike else f"the same model as {given}, whatever the labels say")
    if same_label:
        return replace(base, why="same model", stopped=stopped)
    if given is None and not refuted and wanted == stored.dimensions:
        return replace(base, why="nothing says that it is another model")
    return anew("different models" if given else f"not shown to be {asked.model}")


def _uncut(asked: Embedding, wanted: int, stored: VectorField) -> str:
    """Return why vectors may not be cut to `wanted` dimensions; "" where they may."""
    model = asked.model or "this model"
    facts = facts_of(known_as(asked.model, asked.provider)) if asked.model else facts_of("")
    if wanted >= stored.dimensions:
        return f"`strategy: truncate` needs `embedding.dimensions` below the source's {stored.dimensions:,}"
    if facts.shortens is not None and wanted < facts.shortens:
        return f"the makers of {model} name no fewer than {facts.shortens:,} dimensions"
    if facts.shortens is not None:
        return ""
    if facts.dimensions is not None:
        return (
            f"vectors of {model} may not be shortened from {stored.dimensions:,} to {wanted:,} dimensions: it is no"
            " Matryoshka model. Keep its dimensions, or name another model"
        )
    if asked.strategy == "truncate":
        return ""  # its user knows
    return (
        f"nothing says that vectors of {model} may be shortened from {stored.dimensions:,} to {wanted:,} dimensions:"
        " where its makers do (Matryoshka), say `strategy: truncate`, else `strategy: reembed`"
    )


def _contradiction(asked: Embedding, given: str | None, refuted: bool, same: bool, found: str) -> str:
    """Return why the evidence speaks against taking the stored vectors, as they are or shortened."""
    if asked.trust_labels and (given is None or asked.model in (None, given)):
        return ""
    if refuted:
        return (
            f"{asked.model or given} is what both sides are called, and it is not shown to be the same ({found}): another"
            " text template (`embedding.text`), prefix, truncation or model made the stored vectors. Correct the one"
            " that is wrong, say `strategy: reembed`, or `trust_labels: true` to copy all the same"
            if asked.model in (None, given)
            else f"the source's vectors ({given or 'unnamed'}) are not shown to be of {asked.model} ({found}): say"
            " `strategy: reembed`, or correct `embedding.model`"
        )
    if not same and given is not None and asked.model is not None and asked.model != given and not asked.trust_labels:
        return (
            f"`strategy: {asked.strategy}`, and the models differ: {given} -> {asked.model}. Say `strategy: auto` to embed anew, or"
            " `trust_labels: true` with the right name"
        )
    return ""


def _anew(vector: str, asked: Embedding, dimensions: int | None, before: str, why: str, found: str) -> Decision:
    refused = ""
    if asked.model is None:
        refused = (
            f"vectors are to be embedded anew ({why}), and the spec does not say with what: give `embedding.model`"
        )
    elif asked.text is None:
        refused = (
            f"vectors are to be embedded anew with {asked.model} ({why}), and the spec does not say of what text: give"
            ' `embedding.text`, such as "{{ title }}\\n\\n{{ text }}"'
        )
    elif asked.provider is None:
        name = asked.model.partition("/")[0]
        meant = f"did you mean `{asked.meant}`? Else " if asked.meant else ""
        refused = (
            f"vectors are to be embedded anew ({why}), and nothing here embeds with {asked.model}: {meant}name a provider"
            f" that is installed, or give one in `providers` (`{name}: {{type: openai, base_url: …}}`)"
        )
    elif not dimensions:
        refused = f"how many dimensions {asked.model} makes is not known without asking it: say `embedding.dimensions`"
    return Decision(vector, "reembed", dimensions or 0, asked.model, before, why, found, refused=refused)


def _found(probe: Probe | None) -> str:
    if probe is None:
        return ""
    cost = f", {probe.tokens:,} tokens" if probe.tokens else ", nothing paid"
    if probe.usd:
        cost += f", USD {probe.usd:.6f}".rstrip("0")
    if probe.median is None or probe.least is None:
        return f"tried with {_counted(probe.texts)}{cost}; what it made is kept"
    few = ": too few to show that it is the same model" if probe.few and probe.median >= SAME else ""
    return (
        f"probe: {_counted(probe.texts)}, cosine to the stored vectors {probe.median:.4f} in the median,"
        f" {probe.least:.4f} at least{cost}{few}"
    )


def _counted(texts: int) -> str:
    return f"{texts} text{'s' * (texts != 1)}"
