"""What must and must not type-check; `tests/acceptance/test_typing.py` asks mypy and pyright."""
