"""Tests of plans."""

__all__ = []
