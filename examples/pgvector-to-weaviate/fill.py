"""Fill a table `manual` of an embedded PostgreSQL, as an application would have: `python fill.py`.

Its rows are what Python's standard library says of itself, each text with a vector.
"""

from pathlib import Path

import psycopg
from embedding import DIMENSIONS, Glove
from manual import entries

from vecmig.connectors.pgvector.client.embedded import embedded_dsn

TABLE = f"""
CREATE TABLE manual (
    id text PRIMARY KEY, title text, text text, module text, kind text, lines int, embedding vector({DIMENSIONS})
)"""
COLUMNS = "id, title, text, module, kind, lines, embedding"


def main() -> None:
    with psycopg.connect(embedded_dsn(str(Path(__file__).parent / ".demo" / "postgres"))) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if connection.execute("SELECT to_regclass('manual')").fetchone() != (None,):
            print("The table is there already")
            return
        connection.execute(TABLE)
        glove = Glove()
        with connection.cursor().copy(f"COPY manual ({COLUMNS}) FROM STDIN") as copy:
            for entry in entries():
                vector = glove.embed(entry.text)
                if vector is not None:
                    copy.write_row(
                        (entry.id, entry.title, entry.text, entry.module, entry.kind, entry.lines, str(vector.tolist()))
                    )
        connection.execute("CREATE INDEX ON manual USING hnsw (embedding vector_cosine_ops)")
        # else a search with a filter finds only what is among the 40 nearest of all
        connection.execute("ALTER DATABASE postgres SET hnsw.iterative_scan = strict_order")
        (rows,) = connection.execute("SELECT count(*) FROM manual").fetchone() or (0,)
        print(f"{rows:,} texts, each with its vector, in the table `manual`")


if __name__ == "__main__":
    main()
