import pytest

# An assertion of these shows its values when it fails, as one of a test does.
pytest.register_assert_rewrite("tests.support")
