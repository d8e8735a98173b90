"""Tests on brokers."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.crossing")  # asserts that tell, as in test modules
