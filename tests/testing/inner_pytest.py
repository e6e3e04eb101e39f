"""Test files for runs of pytest inside of a test, in a project that has our plugin."""

from __future__ import annotations

ALONE = ("-p", "no:trio", "-p", "no:anyio", "-p", "no:cacheprovider")
"""A project that has our plugin and no other for async tests."""

ACCOUNT = """
import pytest
from lambdacat_effects import Effect, ambient, effect, in_memory, parallel, recall, remember

def deposit(amount):
    balance = (yield from recall("account", "balance", as_type=int)) or 0
    yield from remember("account", "balance", balance + amount)

def two():
    yield from parallel(deposit(1), deposit(2))
    return (yield from recall("account", "balance", as_type=int))

def one():
    yield from deposit(3)
    return (yield from recall("account", "balance", as_type=int))

def is_three(report):
    assert report.value == 3

def racing():
    return two(), in_memory(), is_three

def correct():
    return one(), in_memory(), is_three
"""


RECORDED = """
import pytest
from lambdacat_effects import Effect, ambient, effect

@effect
class Ask(Effect[str]):
    question: str

asked = []

def live(ask):
    asked.append(ask.question)
    return ask.question.upper()

def dialogue(question):
    return (yield from Ask(question))
"""
