import pytest

pytest.register_assert_rewrite(f"{__name__}.contract", f"{__name__}.embedders")  # pytest rewrites test files only
