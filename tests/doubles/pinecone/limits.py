"""The limits of the service, each adjustable in a test. Sources: Pinecone's page "Database limits" and its OpenAPI."""

from dataclasses import dataclass


@dataclass(slots=True)
class Limits:
    request_bytes: int = 2 * 1024 * 1024
    """Of one write: the body of a REST request, the message of a gRPC one."""
    upsert_records: int = 1000
    ids_per_request: int = 1000
    """Of fetch and delete."""
    id_chars: int = 512
    namespace_chars: int = 512
    metadata_bytes: int = 40 * 1024
    """Of one record, as JSON without spaces."""
    dimension: int = 20_000
    sparse_values: int = 2048
    """Non-zero values of one sparse vector. The service's pages disagree (1000 in the OpenAPI, 2048 elsewhere)."""
    top_k: int = 10_000
    list_page: int = 100
    filter_page: int = 10_000
    """Of a page of records found by a metadata filter."""
    filter_page_default: int = 100
    query_string_bytes: int = 64 * 1024
    indexes: int = 20
    namespaces: int = 100_000
    tags: int = 20
    tag_key_chars: int = 80
    tag_value_chars: int = 120
    index_name_chars: int = 45
    sparse_in_dotproduct: bool = True
    """Whether a dense vector index with the metric dotproduct takes sparse values beside the dense ones. The SDK's
    pages contradict each other for indexes created since API 2026-07."""
    token_life_s: float | None = None
    """Age at which a pagination token is no longer accepted; None: never."""
