"""Tests of plans."""

__all__: list[str] = []
