"""One suite for every Store, and what the one on disk does when the disk, or somebody else, interferes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.errors import InvalidArgument, ResourceNotOpen, StoreUnusable
from lambdacat_effects.storage import InMemoryStore, LmdbStore, Store

MIB = 1 << 20


@contextmanager
def opened(engine: str) -> Iterator[Store]:
    if engine == "memory":
        yield InMemoryStore()
        return
    with tempfile.TemporaryDirectory() as directory, LmdbStore(directory) as store:
        yield store


engines = pytest.mark.parametrize("engine", ["memory", "lmdb"])


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with opened(request.param) as store:
        yield store


def test_what_was_put_is_got_until_replaced_or_deleted(store: Store) -> None:
    assert store.get("n", "k") is None
    store.put("n", "k", b"1")
    assert store.get("n", "k") == b"1"
    store.put("n", "k", b"")
    assert store.get("n", "k") == b""
    assert store.delete("n", "k") is True
    assert store.get("n", "k") is None
    assert store.delete("n", "k") is False


def test_namespaces_are_apart(store: Store) -> None:
    """However namespace and key are cut, no two places are one."""
    places = [
        ("", "abc"),
        ("a", "bc"),
        ("ab", "c"),
        ("abc", ""),
        ("a\0", "bc"),
        ("a", "\0bc"),
        ("\x01a", "bc"),
    ]
    for i, place in enumerate(places):
        store.put(*place, bytes([i]))
    assert [store.get(*place) for place in places] == [bytes([i]) for i in range(len(places))]
    assert list(store.scan("a")) == [("\0bc", bytes([5])), ("bc", bytes([1]))]
    assert list(store.scan("nothing")) == []


@pytest.mark.parametrize("namespace", ["", "n", "n" * 128, "n" * 129, "ñ" * 400])
def test_keys_of_every_length_are_kept_apart_and_in_order(store: Store, namespace: str) -> None:
    """LMDB's own keys end at 511 bytes; keys here do not."""
    lengths = [0, 1, 350, 477, 478, 479, 480, 510, 511, 512, 3000]
    keys = ["k" * n for n in lengths] + ["k" * 600 + last for last in ("c", "a", "b")]
    for key in keys:
        store.put(namespace, key, key.encode())
    assert list(store.scan(namespace)) == [(key, key.encode()) for key in sorted(keys)]
    assert list(store.scan(namespace, "k" * 511)) == [
        (key, key.encode()) for key in sorted(keys) if len(key) >= 511
    ]
    assert [store.get(namespace, key) for key in keys] == [key.encode() for key in keys]
    assert store.delete(namespace, "k" * 512)
    assert store.get(namespace, "k" * 512) is None
    assert store.get(namespace, "k" * 511) is not None
    assert list(store.scan(namespace + "n")) == []


@pytest.mark.parametrize("text", ["\0", "a\0b", "\U0001f408", "\ud800", "é", "e\u0301", "\uffff", " "])
def test_any_text_names_a_place(store: Store, text: str) -> None:
    store.put(text, text, b"here")
    store.put(text, text * 300, b"far")
    assert store.get(text, text) == b"here"
    assert list(store.scan(text, text)) == [(text, b"here"), (text * 300, b"far")]


def test_a_scan_is_in_the_order_of_text(store: Store) -> None:
    keys = ["b", "a", "aa", "ab", "B", "", "\U0001f408", "\uffff", "é", "a\0"]
    for key in keys:
        store.put("n", key, b"")
    assert [key for key, _ in store.scan("n")] == sorted(keys)
    assert [key for key, _ in store.scan("n", "a")] == ["a", "a\0", "aa", "ab"]


def test_writing_while_scanning_changes_nothing_in_the_scan(store: Store) -> None:
    store.put("n", "a", b"1")
    store.put("n", "b", b"2")
    seen = []
    for key, value in store.scan("n"):
        seen.append((key, value))
        store.put("n", "b", b"other")
        store.put("n", key + "x", b"")
    assert seen == [("a", b"1"), ("b", b"2")]


def test_a_value_may_be_large(store: Store) -> None:
    large = os.urandom(MIB) * 8
    store.put("n", "k" * 600, large)
    store.put("n", "k", large)
    assert store.get("n", "k") == large
    assert [value == large for _, value in store.scan("n")] == [True, True]


texts = st.one_of(
    st.text(max_size=4),
    st.text("ab", max_size=3).map(lambda tail: "a" * 478 + tail),
    st.text("ab", max_size=2).map(lambda tail: "é" * 300 + tail),
)
operations = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from(["", "n", "m" * 200]), texts), max_size=10
)


@engines
@settings(max_examples=25, deadline=None)
@given(program=operations, prefix=texts)
def test_a_store_is_a_mapping_from_places_to_values(
    engine: str, program: list[tuple[str, str, str]], prefix: str
) -> None:
    model: dict[tuple[str, str], bytes] = {}
    with opened(engine) as store:
        for i, (what, namespace, key) in enumerate(program):
            if what == "put":
                model[namespace, key] = b"%d" % i
                store.put(namespace, key, b"%d" % i)
            else:
                assert store.delete(namespace, key) is (model.pop((namespace, key), None) is not None)
        for namespace in ("", "n", "m" * 200):
            expected = sorted((k, v) for (n, k), v in model.items() if n == namespace)
            assert list(store.scan(namespace)) == expected
            assert list(store.scan(namespace, prefix)) == [i for i in expected if i[0].startswith(prefix)]
            assert [(k, store.get(namespace, k)) for k, _ in expected] == expected


# On disk


def in_another_process(script: str, *args: object) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_what_was_acknowledged_outlives_the_process_that_was_killed(tmp_path: Path) -> None:
    in_another_process(
        """
import os, signal, sys
from lambdacat_effects.storage import LmdbStore
LmdbStore(sys.argv[1]).put("n", "k", b"kept")
os.kill(os.getpid(), signal.SIGKILL)
""",
        tmp_path / "new" / "store",
    )
    with LmdbStore(tmp_path / "new" / "store") as store:
        assert store.get("n", "k") == b"kept"
    with LmdbStore(tmp_path / "new" / "store") as again:
        assert again.get("n", "k") == b"kept"


def test_what_another_process_writes_is_seen_even_past_our_own_map(tmp_path: Path) -> None:
    with LmdbStore(tmp_path, map_size=MIB) as store:
        store.put("n", "ours", b"1")
        in_another_process(
            """
import sys
from lambdacat_effects.storage import LmdbStore
with LmdbStore(sys.argv[1]) as store:
    assert store.get("n", "ours") == b"1"
    store.put("n", "theirs", b"x" * 4_000_000)
""",
            tmp_path,
        )
        assert len(store.get("n", "theirs") or b"") == 4_000_000
        store.put("n", "ours", b"2")
        assert [key for key, _ in store.scan("n")] == ["ours", "theirs"]


def test_writing_first_notices_a_larger_map_too(tmp_path: Path) -> None:
    with LmdbStore(tmp_path, map_size=MIB) as store:
        in_another_process(
            "import sys; from lambdacat_effects.storage import LmdbStore\n"
            "LmdbStore(sys.argv[1]).put('n', 'k', b'x' * 4_000_000)",
            tmp_path,
        )
        store.put("n", "a", b"1")
        assert [key for key, _ in store.scan("n")] == ["a", "k"]


def test_stores_of_one_directory_share_and_the_last_closes(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    first = LmdbStore(tmp_path / "store")
    second = LmdbStore(str(tmp_path / "link"))
    first.put("n", "k", b"1")
    assert second.get("n", "k") == b"1"
    first.close()
    first.close()
    assert second.get("n", "k") == b"1"
    second.close()
    assert shutil.rmtree(tmp_path / "store") is None
    with LmdbStore(tmp_path / "store") as third:
        assert third.get("n", "k") is None


def test_a_directory_made_anew_is_another_store(tmp_path: Path) -> None:
    with LmdbStore(tmp_path / "store") as old:
        old.put("n", "k", b"old")
        shutil.rmtree(tmp_path / "store")
        with LmdbStore(tmp_path / "store") as new:
            assert new.get("n", "k") is None
            assert old.get("n", "k") == b"old"


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path)
    store.close()
    with pytest.raises(ResourceNotOpen, match=r"has been closed: open it again"):
        store.get("n", "k")


def test_a_full_store_refuses_what_does_not_fit_and_keeps_the_rest(tmp_path: Path) -> None:
    with LmdbStore(tmp_path, map_size=MIB) as store:
        store.put("n", "k", b"kept")
        with pytest.raises(StoreUnusable, match=r"grown to its map_size"):
            store.put("n", "large", b"x" * 2 * MIB)
        assert list(store.scan("n")) == [("k", b"kept")]
        store.put("n", "small", b"fits")
        assert store.get("n", "small") == b"fits"


def test_a_disk_that_takes_no_more_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    said = in_another_process(
        """
import resource, sys
from lambdacat_effects.errors import StoreUnusable
from lambdacat_effects.storage import LmdbStore
store = LmdbStore(sys.argv[1])
store.put("n", "k", b"kept")
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    store.put("n", "large", b"x" * (2 << 20))
except StoreUnusable as error:
    print(error)
assert store.get("n", "k") == b"kept"
assert store.get("n", "large") is None
store.put("n", "small", b"fits")
""",
        tmp_path,
    )
    assert str(tmp_path) in said
    assert "The disk is full or failing. What was acknowledged is still there" in said
    with LmdbStore(tmp_path) as store:
        assert list(store.scan("n")) == [("k", b"kept"), ("small", b"fits")]


def test_a_path_that_is_no_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreUnusable, match=r"is a file: give another path") as caught:
            LmdbStore(path)
        assert repr(str(path)) in str(caught.value)
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_the_right_to_write_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreUnusable, match=r"Give this user the right to write there"):
        LmdbStore(tmp_path)


@pytest.mark.parametrize("content", [b"no database", os.urandom(9000), b"\0" * 8192])
def test_a_damaged_store_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(StoreUnusable, match=r"data\.mdb' is damaged, or is no LMDB file"):
        LmdbStore(tmp_path)
    assert (tmp_path / "data.mdb").read_bytes() == content


def test_a_store_cut_short_is_named_before_it_is_read(tmp_path: Path) -> None:
    """Reading past the end of a mapped file would kill the process."""
    with LmdbStore(tmp_path) as store:
        for i in range(5):
            store.put("n", str(i), b"x" * 5000)
    os.truncate(tmp_path / "data.mdb", 12288)
    with pytest.raises(StoreUnusable, match=r"is damaged: data\.mdb has 12288 bytes where \d+ are needed\."):
        LmdbStore(tmp_path)


def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    """LMDB does not bear to be used on both sides of a fork."""
    said = in_another_process(
        """
import os, sys
from lambdacat_effects.errors import StoreUnusable
from lambdacat_effects.storage import LmdbStore
store = LmdbStore(sys.argv[1])
store.put("n", "k", b"1")
child = os.fork()
if not child:
    try:
        store.get("n", "k")
    except StoreUnusable as error:
        print(error, flush=True)
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store.get("n", "k") == b"1"
""",
        tmp_path,
    )
    assert "before this process was forked" in said


def test_a_map_size_is_a_positive_number(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"map_size is a number of bytes"):
        LmdbStore(tmp_path, map_size=0)
