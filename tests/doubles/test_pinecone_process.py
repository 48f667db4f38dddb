import signal
import subprocess
import sys

from pinecone import Pinecone


def test_it_serves_as_a_process_of_its_own_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "tests.doubles.pinecone", "--port", "0", "--fail", "0.1", "--seed", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        with Pinecone(host=url, api_key="any") as client:
            assert list(client.indexes.list()) == []
        process.send_signal(signal.SIGTERM)
        _, report = process.communicate(timeout=10)
    assert process.returncode == 0
    assert report == "1 requests, 0 read units, 0 write units\n"
