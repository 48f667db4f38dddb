"""The name under which a model's vectors are kept."""


def identity_of(provider: str, model: str, **parts: object) -> str:
    """Return all of it on one line; parts that are None or empty are left out, so that a new one changes no old name."""
    given = (f"{name}={value!r}" for name, value in parts.items() if value not in (None, "", ()))
    return " ".join((f"{provider}/{model}", *given))
