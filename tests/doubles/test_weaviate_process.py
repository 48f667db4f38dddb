import shutil
import signal
import subprocess
import sys
from typing import Any

from weaviate.classes.config import Configure
from weaviate.classes.data import DataObject

from tests.doubles.conftest import numbered
from tests.weaviate_server import WeaviateProgram, WeaviateServer, connected


def test_it_serves_as_a_process_of_its_own_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "tests.doubles.weaviate", "--port", "0", "--grpc-port", "0", "--key", "k"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url, _, grpc = process.stdout.readline().strip().partition(" ")
        host, _, port = grpc.partition(":")
        with connected(WeaviateServer(url, host, int(port), is_real=False), "k") as client:
            films = client.collections.create("Films", vector_config=Configure.Vectors.self_provided())
            films.data.insert_many([DataObject(properties={}, uuid=numbered(1), vector=[1.0])])
            assert len(films) == 1
        process.send_signal(signal.SIGTERM)
        _, report = process.communicate(timeout=10)
    assert process.returncode == 0
    assert report.endswith(" requests\n")


def test_a_real_server_that_was_killed_comes_back_with_what_it_acknowledged() -> None:
    program = WeaviateProgram.prepared()
    objects: list[DataObject[Any, Any]] = [
        DataObject(properties={}, uuid=numbered(number), vector=[1.0, float(number)]) for number in range(500)
    ]
    try:
        with connected(program.start()) as client:
            films = client.collections.create("Films", vector_config=Configure.Vectors.self_provided())
            assert not films.data.insert_many(objects).errors
            program.stop(kill=True)
        with connected(program.start()) as client:
            assert len(client.collections.use("Films")) == 500
    finally:
        program.stop()
        shutil.rmtree(program.data)
