"""Ask the handbook: `python search.py [QUESTION …]`, after `vecmig apply`, while the model's server runs.

Any application does it so: it asks the model for the question's vector, and PostgreSQL for what is near.
"""

import sys
import textwrap
from pathlib import Path
from typing import Any

import psycopg
from openai import OpenAI

from vecmig.connectors.pgvector.client.embedded import embedded_dsn
from vecmig.spec.load import load

HERE = Path(__file__).parent
QUESTIONS = ("What do students pay?", "What do I do when my print comes loose from the plate?", "How do I help out?")
NEAREST = """
SELECT source, page, metadata ->> 'heading', metadata ->> 'text', 1 - (embedding <=> %(query)s::vector)
FROM handbook ORDER BY embedding <=> %(query)s::vector LIMIT 3"""


def main() -> None:
    (migration,) = load(str(HERE / "vecmig.yaml")).migrations
    options: Any = migration.embedding.provider and migration.embedding.provider.options
    model = OpenAI(base_url=options.base_url, api_key="none")
    with psycopg.connect(embedded_dsn(str(HERE / ".demo" / "postgres"))) as connection:
        for question in sys.argv[1:] or QUESTIONS:
            asked = model.embeddings.create(
                model="multilingual-e5-small", input=question, extra_body={"input_type": "query"}
            )
            found = connection.execute(NEAREST, {"query": str(asked.data[0].embedding)}).fetchall()
            print(f"\n{question}")
            for source, page, heading, _, cosine in found:
                print(f"  {cosine:.3f}  {source}{f', page {page}' if page else ''}{f': {heading}' if heading else ''}")
            print(textwrap.indent(found[0][3], "  | "))


if __name__ == "__main__":
    main()
