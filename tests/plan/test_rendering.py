"""Plans as pictures and as text: every node, the same text for the same plan, and names that cannot break it."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import FIRST_COMPLETED, N_BEST, QUORUM
from lambdacat_effects.algebra import STRING, identity, key
from lambdacat_effects.plan import (
    choose,
    describe,
    fail_with,
    focus,
    loop_while,
    named,
    parallel,
    sequence,
    task,
    to_mermaid,
)


def enough(state: Any) -> bool:
    return True


class Cached:
    label = "cached (1 h)"

    def __init__(self, plan: Any) -> None:
        self.children = (plan,)

    def compile(self, compile_inner: Any) -> Any:
        return compile_inner(self.children[0])


class Opaque:
    def compile(self, compile_inner: Any) -> Any:
        return compile_inner(str)


EVERYTHING = sequence(
    "parse",
    named("gather", parallel("web", "papers", timeout_s=2.0, partial=True, combine=STRING)),
    parallel("a", "b", policy=N_BEST, n_best=2, score=len),
    parallel("a", "b", policy=QUORUM, n=1),
    parallel("a", policy=FIRST_COMPLETED),
    parallel(),
    choose("cheap", fail_with(ValueError("no luck"))),
    choose("x", "y", by=len),
    loop_while(enough, focus(key("n"), "step"), 3),
    Cached("fetch"),
    Opaque(),
    sequence(),
)


def test_a_description_is_a_tree_of_titles() -> None:
    """One line for each node."""
    assert """\
sequence
  parse
  gather
    parallel (2 s, partial, combine STRING)
      web
      papers
  parallel (n_best 2)
    a
    b
  parallel (quorum 1)
    a
    b
  parallel (first_completed)
    a
  parallel
  choose the first
    cheap
    fail ValueError: no luck
  choose by len
    x
    y
  while enough, at most 3 times
    focus key('n')
      step
  cached (1 h)
    fetch
  Opaque
  sequence (nothing)""" == describe(EVERYTHING)


def test_a_flowchart_forks_joins_frames_and_loops() -> None:
    """And numbers alternatives by preference."""
    plan = sequence(
        "parse",
        parallel("web", "papers"),
        choose("a", "b"),
        named("polish", loop_while(enough, "improve")),
    )
    assert """\
flowchart TD
    n0["parse"]
    n3[/"parallel"\\]
    n1["web"]
    n2["papers"]
    n4[\\"join"/]
    n3 --> n1
    n3 --> n2
    n1 --> n4
    n2 --> n4
    n7{"choose the first"}
    n5["a"]
    n6["b"]
    n8((" "))
    n7 -->|1| n5
    n7 -->|2| n6
    n5 --> n8
    n6 --> n8
    subgraph n12["polish"]
    n10{"while enough"}
    n9["improve"]
    n11((" "))
    n10 -->|yes| n9
    n9 --> n10
    n10 -->|no| n11
    end
    n0 --> n3
    n4 --> n7
    n8 --> n10""" == to_mermaid(plan)


def links(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^    (n\d+) -->(?:\|\w+\|)? (n\d+)$", text, re.MULTILINE)


LINE = re.compile(
    r"""[ ]{4}(n\d+\ -->(\|(\d+|yes|no)\|)?\ n\d+ | end | subgraph\ n\d+\["[^"]*"\]
    | n\d+(\["[^"]*"\] | \(\["[^"]*"\]\) | \[\["[^"]*"\]\] | \{"[^"]*"\} | \(\("[^"]*"\)\)
           | \[/"[^"]*"\\\] | \[\\"[^"]*"/\]))""",
    re.VERBOSE,
)


def check_flowchart(text: str) -> None:
    """It has Mermaid's grammar, as far as we use it; every link has its ends; ids are unique; all is one flow."""
    head, *lines = text.split("\n")
    assert "flowchart TD" == head
    for line in lines:
        assert LINE.fullmatch(line), line
    frames = set(re.findall(r"subgraph (n\d+)", text))
    ids = re.findall(r"^    (?:subgraph )?(n\d+)[\[({]", text, re.MULTILINE)
    assert sorted(set(ids)) == sorted(ids)
    joined = {i for link in links(text) for i in link}
    assert joined <= set(ids)
    assert not ids or len(set(ids) - frames) == 1 or joined == set(ids) - frames
    assert text.count("subgraph") == text.count("\n    end")


def test_every_node_is_drawn() -> None:
    """As one connected flow."""
    check_flowchart(to_mermaid(EVERYTHING))


@pytest.mark.parametrize("plan", ["a", sequence(), parallel(), Opaque(), focus(identity, "a"), Cached("a")])
def test_the_smallest_plans_are_drawn(plan: Any) -> None:
    """They are plans, too."""
    check_flowchart(to_mermaid(plan))


def test_the_same_plan_gives_the_same_text() -> None:
    """So that it can be kept under version control."""
    assert to_mermaid(EVERYTHING) == to_mermaid(EVERYTHING)


@given(st.text(min_size=1))
@settings(deadline=None, max_examples=200)
def test_no_name_breaks_a_rendering(name: str) -> None:
    """Quotes, brackets, newlines, arrows, comments, markdown."""
    plan = sequence(task(str, name=name), named(name, parallel(name)))
    check_flowchart(to_mermaid(plan))
    assert 5 == len(describe(plan).split("\n"))


def test_escaped_names_still_read_as_themselves() -> None:
    """Mermaid shows `#91;` as a bracket."""
    text = to_mermaid(task(str, name='say "hi"\n[now] %% end'))
    assert 'n0["say #34;hi#34;<br/>#91;now#93; #37;#37; end"]' in text
    assert 'n0["search_web-2.0"]' in to_mermaid("search_web-2.0")
    assert 'n0["1#46; #95;draft#95;"]' in to_mermaid("1. _draft_")


def test_deep_plans_are_rendered() -> None:
    """Without a frame for each level."""
    plan: Any = "a"
    for _ in range(1500):
        plan = named("n", sequence(plan, "b"))
    check_flowchart(to_mermaid(plan))
    assert "a" in describe(plan)
