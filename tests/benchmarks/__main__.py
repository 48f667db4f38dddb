"""`make bench`: what vecmig reaches, as ratios to what the store reaches by itself in the same run."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.embedding import bench_embed
from tests.benchmarks.pinecone import bench_pinecone, bench_pinecone_memory, bench_storm
from tests.benchmarks.postgres import bench_across, bench_load, bench_memory, bench_startup, bench_verify
from tests.benchmarks.switching import bench_switch
from tests.benchmarks.timing import cores
from tests.benchmarks.weaviate import bench_weaviate, bench_weaviate_memory
from vecmig.cli.main import SWITCH_S

BENCHES: dict[str, Callable[[Path], None]] = {
    "load": bench_load,
    "across": bench_across,
    "verify": bench_verify,
    "pinecone": bench_pinecone,
    "storm": bench_storm,
    "weaviate": bench_weaviate,
    "embedding": bench_embed,
    "switch": bench_switch,
    "pinecone-memory": bench_pinecone_memory,
    "weaviate-memory": bench_weaviate_memory,
    "memory": bench_memory,
    "startup": bench_startup,
}


def main(chosen: list[str]) -> None:
    sys.setswitchinterval(SWITCH_S)  # as the command does
    with tempfile.TemporaryDirectory(prefix="vmb", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        for title, bench in BENCHES.items():
            if not chosen or title in chosen:
                print(f"\n{title}: two processes at once do {cores():.2f} times the work of one", flush=True)
                bench(directory)


if __name__ == "__main__":
    main(sys.argv[1:])
