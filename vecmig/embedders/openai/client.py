"""The SDK's client of one API key."""

import openai

from vecmig.embedders.openai.keys import Key
from vecmig.embedders.openai.options import OpenAIOptions

CONNECT_S = 10.0


def client_of(options: OpenAIOptions, key: Key) -> openai.OpenAI:
    """Return a client; it does not connect yet. It tries nothing again: the caller does, at the pace of its lane."""
    timeout = openai.Timeout(options.timeout_s, connect=min(CONNECT_S, options.timeout_s))
    if azure := options.azure:
        return openai.AzureOpenAI(
            azure_endpoint=options.url,
            azure_deployment=azure.deployment,
            api_version=azure.api_version,
            api_key=key.value,
            timeout=timeout,
            max_retries=0,
        )
    # the address is said: else the SDK takes it from OPENAI_BASE_URL, and what runs is not what was planned
    return openai.OpenAI(base_url=options.url, api_key=key.value, timeout=timeout, max_retries=0)
