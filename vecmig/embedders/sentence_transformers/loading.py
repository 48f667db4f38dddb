"""A model from the hub, its cache or a directory; and which version of it that is."""

from pathlib import Path

import xxhash
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.utils import disable_progress_bars
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from vecmig.embedders.sentence_transformers.options import SentenceTransformersOptions
from vecmig.errors import ConnectorError

_COUNTS = {".json", ".txt", ".model", ".safetensors", ".bin", ".py"}  # files that vectors depend on
_CHUNK = 1 << 20


def load(options: SentenceTransformersOptions, model: str) -> SentenceTransformer:
    """Return the model, on its device. Raises ConnectorError."""
    if options.path is not None and not Path(options.path, "config.json").is_file():
        raise ConnectorError(f"there is no model in {options.path}: `path` names a directory that holds config.json")
    # they would write over the progress that vecmig shows
    disable_progress_bars()
    transformers_logging.disable_progress_bar()
    try:
        loaded = SentenceTransformer(
            options.path or model,
            device=options.device,
            revision=options.revision,
            trust_remote_code=options.trust_remote_code,
        )
        if options.max_text_tokens is not None:
            loaded.max_seq_length = options.max_text_tokens
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ConnectorError(
            f"the model {model!r} cannot be loaded from {options.label}: {_first_line(error)}; look at its name and the"
            " network, or give a directory that holds it as `path`"
        ) from error
    return loaded


def version_of(options: SentenceTransformersOptions, model: str) -> str | None:
    """Return the commit of a model from the hub, a hash of one from a directory. None: not known."""
    if options.path is not None:
        return _hash(Path(options.path))
    found = try_to_load_from_cache(model, "config.json", revision=options.revision)
    return Path(found).parent.name if isinstance(found, str) else options.revision


def _hash(directory: Path) -> str:
    whole = xxhash.xxh3_128()
    for path in sorted(each for each in directory.rglob("*") if each.suffix in _COUNTS and each.is_file()):
        whole.update(f"{path.relative_to(directory).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                whole.update(chunk)
    return whole.hexdigest()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
