"""Tokens guessed by the number of characters, where a model's tokenizer is not known."""

CHARACTERS = 4  # a token of English, about (OpenAI's page "What are tokens and how to count them?")


class Estimate:
    exact = False

    def count(self, text: str) -> int:
        return -(-len(text) // CHARACTERS)

    def beginning(self, text: str, tokens: int) -> str:
        return text[: max(0, tokens) * CHARACTERS]
