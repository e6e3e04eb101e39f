"""A store of files that people can read: what they find there, and what is left when it is interrupted."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.errors import StoreDamaged, StoreUnusable
from lambdacat_effects.storage import Delete, JsonStore, Put
from lambdacat_effects.storage.json_files import Disk
from lambdacat_effects.storage.json_names import file_name, record, value_of
from lambdacat_effects.storage.port import Change

BEFORE = {("n", "a"): b"1", ("n", "b"): b"2", ("m", "c"): b"3"}
BATCHES: dict[str, tuple[list[Change], dict[tuple[str, str], bytes]]] = {
    "one": ([Put("n", "a", b"9")], {**BEFORE, ("n", "a"): b"9"}),
    "one in a new namespace": ([Put("new", "a", b"9")], {**BEFORE, ("new", "a"): b"9"}),
    "one deleted": ([Delete("n", "a")], {("n", "b"): b"2", ("m", "c"): b"3"}),
    "several": (
        [Put("n", "a", b"9"), Delete("m", "c"), Put("new", "x", b"8"), Put("n", "y", b"7")],
        {("n", "a"): b"9", ("n", "b"): b"2", ("new", "x"): b"8", ("n", "y"): b"7"},
    ),
    "several deleted": ([Delete("n", "a"), Delete("m", "c"), Delete("m", "not there")], {("n", "b"): b"2"}),
}
batches = pytest.mark.parametrize("batch", BATCHES)


def filled(path: Path) -> Path:
    trio.run(JsonStore(path).batch, [Put(*place, value) for place, value in BEFORE.items()])
    return path


def contents(path: Path) -> dict[tuple[str, str], bytes]:
    async def read() -> dict[tuple[str, str], bytes]:
        async with JsonStore(path) as store:
            found = {(n, key): value for n in ("n", "m", "new") for key, value in await store.scan(n)}
            assert {place: await store.get(*place) for place in found} == found
            return found

    return trio.run(read)


def inside(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


# Files


async def test_people_find_what_they_look_for(tmp_path: Path) -> None:
    async with JsonStore(tmp_path / "state") as store:
        await store.put("cats", "felix", '{"lives":9,"name":"Félix"}'.encode())
        await store.put("cats", "Tom/2", b"not JSON")
        await store.put("", "", b"\xff")
    assert inside(tmp_path / "state") == ["%/%.json", ".lock", "cats/+tom%2f2.json", "cats/felix.json"]
    found = (tmp_path / "state" / "cats" / "felix.json").read_text("utf-8")
    assert found == (
        '{\n  "namespace": "cats",\n  "key": "felix",\n  "value": {\n    "lives": 9,\n    "name": "Félix"\n  }\n}\n'
    )
    assert json.loads((tmp_path / "state" / "cats" / "+tom%2f2.json").read_text())["text"] == "not JSON"
    assert json.loads((tmp_path / "state" / "%" / "%.json").read_text())["base64"] == "/w=="


async def test_what_people_write_is_read(tmp_path: Path) -> None:
    async with JsonStore(tmp_path) as store:
        await store.put("cats", "felix", b'{"lives":9}')
        file = tmp_path / "cats" / "felix.json"
        file.write_text(file.read_text().replace("9", " 8 "))
        assert await store.get("cats", "felix") == b'{"lives":8}'
        assert await store.compare_and_swap("cats", "felix", b'{"lives":8}', b"7")


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(),
        st.text().map(lambda text: text.encode()),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(
            lambda value: json.dumps(
                value, ensure_ascii=False, sort_keys=True, separators=(",", ":")
            ).encode()
        ),
        st.integers(1, 5000).map(lambda depth: b"[" * depth + b"]" * depth),
        st.sampled_from([b"1" * 5000, b"1.0", b"1E5", b'{"a":1,"a":2}', b'"\\ud83d\\udc08"', b" 1", b"NaN"]),
    ),
    st.text(st.characters(exclude_categories=())),
)
def test_whatever_the_bytes_they_come_back(value: bytes, key: str) -> None:
    assert value_of(record("n", key, value)) == ("n", key, value)


def test_what_was_written_at_leisure_is_read_deep_in_a_program() -> None:
    """Where little is left of the stack that JSON needs for what is in what."""
    data = record("n", "k", b"[" * 300 + b"]" * 300)

    def read(frames: int) -> tuple[str, str, bytes]:
        return read(frames - 1) if frames else value_of(data)

    assert read(sys.getrecursionlimit() * 3 // 4)[2] == b"[" * 300 + b"]" * 300


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=2, max_size=2, unique=True))
def test_names_of_files_are_safe_on_every_disk(keys: list[str]) -> None:
    """No two keys have names that differ in case alone, or that a disk would normalise, or none that hides."""
    names = [file_name(key) for key in keys]
    assert names[0].lower() != names[1].lower()
    for name in names:
        assert name.isascii()
        assert name == name.lower()
        assert len(name) <= 160
        assert not name.startswith(".")
        assert not set(name) & set('/\\:*?"<>|\0')


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "it is no JSON"),
        ("[1]", "it is no JSON object"),
        ('{"namespace":"n"}', 'it has no "namespace" and "key"'),
        ('{"namespace":"n","key":"k"}', 'it has neither a "value" nor "text" nor "base64"'),
        ('{"namespace":"n","key":"k","base64":"?"}', 'its "base64" cannot be read'),
        ('{"namespace":"n","key":"other","value":1}', "it is of the key 'other' in 'n'"),
        ('{"namespace":"m","key":"k","value":1}', "it is of the key 'k' in 'm'"),
    ],
)
async def test_a_file_that_no_store_has_written_is_named(tmp_path: Path, content: str, problem: str) -> None:
    async with JsonStore(tmp_path) as store:
        await store.put("n", "k", b"1")
        (tmp_path / "n" / "k.json").write_text(content)
        for doing in (store.get("n", "k"), store.scan("n"), store.delete("n", "k")):
            with pytest.raises(
                StoreUnusable, match=r"n/k\.json' cannot be read, as .*Restore the file"
            ) as caught:
                await doing
            assert problem in str(caught.value)
        await store.put("n", "k", b"2")
        assert await store.get("n", "k") == b"2"


@pytest.mark.parametrize("key", ["k", "Félix/1", "", "x" * 300, "%", "+a"])
async def test_what_can_be_read_beside_a_damaged_file(tmp_path: Path, key: str) -> None:
    """The error of a scan has it, and the key that cannot be read."""
    async with JsonStore(tmp_path) as store:
        for other in ("a", key, "z"):
            await store.put("n", other, b"1")
        [file] = [f for f in (tmp_path / "n").iterdir() if f.name == file_name(key)]
        os.truncate(file, file.stat().st_size - 12)
        with pytest.raises(StoreDamaged, match="remove it, to go on without that key") as caught:
            await store.scan("n")
        assert caught.value.found == [("a", b"1"), ("z", b"1")]
        assert list(caught.value.damaged) == [key]
        assert await store.scan("n", "z") == [("z", b"1")]
        await store.batch([Delete("n", key)])
        assert len(await store.scan("n")) == 2


async def test_a_damaged_file_whose_key_is_lost(tmp_path: Path) -> None:
    """Of a key that is too long for a name: nothing is known to be whole."""
    async with JsonStore(tmp_path) as store:
        await store.put("n", "x" * 300, b"1")
        os.truncate(tmp_path / "n" / file_name("x" * 300), 30)
        with pytest.raises(StoreUnusable, match="cannot be read") as caught:
            await store.scan("n")
        assert not isinstance(caught.value, StoreDamaged)


@pytest.mark.parametrize("doing", ["get", "scan"])
async def test_nobody_is_told_to_remove_what_the_library_keeps(tmp_path: Path, doing: str) -> None:
    """Calls that were answered would be made again."""
    async with JsonStore(tmp_path) as store:
        await store.put("_j", "k", b"1")
        os.truncate(tmp_path / "_j" / "k.json", 10)
        with pytest.raises(StoreDamaged, match=r"from a backup\. Do not remove it"):
            await (store.get("_j", "k") if doing == "get" else store.scan("_j"))


async def test_compacting_removes_folders_without_keys(tmp_path: Path) -> None:
    async with JsonStore(tmp_path) as store:
        await store.batch([Put("gone", "k", b"1"), Put("kept", "k", b"1")])
        await store.delete("gone", "k")
        (tmp_path / ".mine").mkdir()
        await store.compact()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", ".mine", "kept"]


async def test_a_directory_that_was_removed_is_named(tmp_path: Path) -> None:
    async with JsonStore(tmp_path / "state") as store:
        shutil.rmtree(tmp_path / "state")
        with pytest.raises(StoreUnusable, match="The directory has been removed"):
            await store.put("n", "k", b"1")


# Interruptions


class Stopped(BaseException):
    """The process ends here."""


class StopsAfter(Disk):
    """A disk of a process that ends once it has taken some steps, the last of them half way if it is a long one."""

    def __init__(self, steps: int, *, half: bool = False) -> None:
        self.left = steps
        self.half = half

    def step(self, go_on: Callable[[], None], go_half: Callable[[], None] = lambda: None) -> None:
        if not self.left:
            if self.half:
                go_half()
            raise Stopped
        self.left -= 1
        go_on()

    def write(self, path: str, data: bytes) -> None:
        self.step(
            lambda: super(StopsAfter, self).write(path, data),
            lambda: super(StopsAfter, self).write(path, data[: len(data) // 2]),
        )

    def rename(self, source: str, target: str) -> None:
        self.step(lambda: super(StopsAfter, self).rename(source, target))

    def remove(self, path: str) -> None:
        self.step(lambda: super(StopsAfter, self).remove(path))

    def make_directory(self, path: str) -> None:
        self.step(lambda: super(StopsAfter, self).make_directory(path))

    def sync_names(self, directory: str) -> None:
        self.step(lambda: super(StopsAfter, self).sync_names(directory))


def interrupted(path: Path, changes: list[Change], disk: Disk) -> bool:
    """Whether it was: a batch on a store that was opened without any step to take."""
    try:
        JsonStore(path, disk=disk).batch(changes).send(None)
    except StopIteration as stop:
        assert stop.value is True  # noqa: PT017
        return False
    except Stopped:
        return True
    raise AssertionError("a store without an event loop does not wait")


@pytest.mark.parametrize("half", [False, True])
@batches
def test_a_process_may_end_after_every_step(tmp_path: Path, batch: str, half: bool) -> None:
    """What the next one finds is as before, or as after: and as after if the batch was acknowledged."""
    changes, after = BATCHES[batch]
    start = filled(tmp_path / "start")
    outcomes: list[bool] = []
    for steps in itertools.count():
        path = tmp_path / str(steps)
        shutil.copytree(start, path)
        stopped = interrupted(path, changes, StopsAfter(steps, half=half))
        found = contents(path)
        assert found == (after if not stopped or found != BEFORE else BEFORE)
        assert [name for name in inside(path) if name.startswith(".")] == [".lock"]
        outcomes.append(found == after)
        if not stopped:
            break
    assert outcomes == sorted(outcomes)  # once made, it stays made
    assert outcomes[0] is False
    assert outcomes[-1] is True


@batches
def test_whoever_completes_an_interrupted_batch_may_be_interrupted_too(tmp_path: Path, batch: str) -> None:
    changes, after = BATCHES[batch]
    start = filled(tmp_path / "start")
    for steps, more in itertools.product(range(20), range(8)):
        path = tmp_path / f"{steps}-{more}"
        shutil.copytree(start, path)
        interrupted(path, changes, StopsAfter(steps))
        interrupted(path, [], StopsAfter(more))
        assert contents(path) in (BEFORE, after)
        shutil.rmtree(path)


class Recorded(Disk):
    """A disk that remembers what was done to it, since a power cut may undo all that was not synced."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str, Any]] = []

    def write(self, path: str, data: bytes) -> None:
        super().write(path, data)
        self.steps.append(("write", path, data))

    def rename(self, source: str, target: str) -> None:
        data = Path(source).read_bytes()
        super().rename(source, target)
        self.steps.append(("rename", target, (source, data)))

    def remove(self, path: str) -> None:
        super().remove(path)
        self.steps.append(("remove", path, None))

    def make_directory(self, path: str) -> None:
        super().make_directory(path)
        self.steps.append(("make", path, None))

    def sync_names(self, directory: str) -> None:
        super().sync_names(directory)
        self.steps.append(("sync", directory, None))


def power_cuts(steps: list[tuple[str, str, Any]]) -> list[list[tuple[str, str, Any]]]:
    """Every state in which the disk may be found: what was synced is there, of the rest any part."""
    safe: list[bool] = [False] * len(steps)
    for i, (what, directory, _) in enumerate(steps):
        if what == "sync":
            safe[i] = True
            for j in range(i):
                safe[j] = safe[j] or os.path.dirname(steps[j][1]) == directory
    doubtful = [i for i, is_safe in enumerate(safe) if not is_safe]
    return [
        [step for i, step in enumerate(steps) if safe[i] or i in kept]
        for n in range(len(doubtful) + 1)
        for kept in itertools.combinations(doubtful, n)
    ]


def replayed(steps: list[tuple[str, str, Any]], source: Path, path: Path) -> None:
    def there(name: str) -> Path:
        return path / os.path.relpath(name, source)

    for what, name, data in steps:
        target = there(name)
        if what == "make":
            target.mkdir(exist_ok=True)
        elif what == "remove":
            target.unlink(missing_ok=True)
        elif what in ("write", "rename") and target.parent.exists():
            target.write_bytes(data if what == "write" else data[1])
        if what == "rename":
            there(data[0]).unlink(missing_ok=True)


@batches
def test_the_power_may_fail_at_every_moment(tmp_path: Path, batch: str) -> None:
    """Names of files that were not synced are there or not, in every combination."""
    changes, after = BATCHES[batch]
    disk = Recorded()
    start, live = filled(tmp_path / "start"), tmp_path / "live"
    shutil.copytree(start, live)
    assert interrupted(live, changes, disk) is False
    tried = 0
    for done in range(len(disk.steps) + 1):
        for steps in power_cuts(disk.steps[:done]):
            path = tmp_path / "cut"
            shutil.copytree(start, path)
            replayed(steps, live, path)
            found = contents(path)
            assert found in ((after,) if done == len(disk.steps) else (BEFORE, after))
            shutil.rmtree(path)
            tried += 1
    assert tried > len(disk.steps)


def test_a_power_cut_brings_no_finished_batch_back(tmp_path: Path) -> None:
    """What a batch deleted and the next change put is there, whatever names the disk had not yet written."""
    disk = Recorded()
    start, live = filled(tmp_path / "start"), tmp_path / "live"
    shutil.copytree(start, live)
    changes, _ = BATCHES["several deleted"]
    assert interrupted(live, changes, disk) is False
    assert interrupted(live, [Put("m", "c", b"new")], disk) is False
    for steps in power_cuts(disk.steps):
        path = tmp_path / "cut"
        shutil.copytree(start, path)
        replayed(steps, live, path)
        assert contents(path) == {("n", "b"): b"2", ("m", "c"): b"new"}
        shutil.rmtree(path)


@batches
def test_contents_are_on_the_disk_before_they_have_their_name(
    tmp_path: Path, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[int, int] = {}
    renamed: list[tuple[int | None, int]] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(fd: int) -> None:
        fsync(fd)
        synced[os.fstat(fd).st_ino] = os.fstat(fd).st_size

    def watched_replace(source: str, target: str) -> None:
        found = os.stat(source)
        renamed.append((synced.pop(found.st_ino, None), found.st_size))
        replace(source, target)

    path = filled(tmp_path / "state")
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    changes, _ = BATCHES[batch]
    assert interrupted(path, changes, Disk()) is False
    puts = [change for change in changes if isinstance(change, Put)]
    assert len(renamed) == len(puts) + (len(changes) > 1)
    assert [at_sync for at_sync, _ in renamed] == [size for _, size in renamed]


class Careless(Recorded):
    """A mutant: it leaves out what the test above is there to find."""

    def sync_names(self, directory: str) -> None:
        """Do nothing, so that no name is known to be on the disk."""


def test_a_store_that_did_not_sync_would_be_found_out(tmp_path: Path) -> None:
    changes, after = BATCHES["several"]
    disk = Careless()
    start, live = filled(tmp_path / "start"), tmp_path / "live"
    shutil.copytree(start, live)
    interrupted(live, changes, disk)
    for i, steps in enumerate(power_cuts(disk.steps)):
        path = tmp_path / str(i)
        shutil.copytree(start, path)
        replayed(steps, live, path)
        if contents(path) not in (BEFORE, after):
            return
    raise AssertionError("no power cut left a batch half made")


class FailsAfter(StopsAfter):
    """A disk that is full from some step on, for a while."""

    def step(self, go_on: Callable[[], None], go_half: Callable[[], None] = lambda: None) -> None:
        try:
            super().step(go_on, go_half)
        except Stopped:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None


@batches
def test_a_disk_that_fails_at_any_step_is_named_and_nothing_is_half_made(tmp_path: Path, batch: str) -> None:
    changes, after = BATCHES[batch]
    start = filled(tmp_path / "start")
    failures = 0
    for steps in range(30):
        path = tmp_path / str(steps)
        shutil.copytree(start, path)
        try:
            interrupted(path, changes, FailsAfter(steps))
        except StoreUnusable as error:
            failures += 1
            assert "The disk is full: make room on it" in str(error)  # noqa: PT017
            assert contents(path) in (BEFORE, after)
        else:
            assert contents(path) == after
    assert failures > 1


@batches
def test_a_batch_that_was_refused_is_not_made_later(tmp_path: Path, batch: str) -> None:
    """But for the one step whose failure leaves open what is on the disk: a name that is there, and was not synced.

    Once its intent is on the disk a batch has been made, and says so, though it could not be completed."""
    changes, after = BATCHES[batch]
    start = filled(tmp_path / "start")
    open_ends = 0
    for steps in range(30):
        path = tmp_path / str(steps)
        shutil.copytree(start, path)
        try:
            interrupted(path, changes, FailsAfter(steps))
        except StoreUnusable:
            open_ends += contents(path) == after
    assert open_ends <= 1


class FailsFor(FailsAfter):
    """A disk that fails for a few steps, and then works again."""

    def __init__(self, steps: int, failures: int) -> None:
        super().__init__(steps)
        self.failures = failures

    def step(self, go_on: Callable[[], None], go_half: Callable[[], None] = lambda: None) -> None:
        if not self.left and not self.failures:
            go_on()
            return
        self.failures -= not self.left
        super().step(go_on, go_half)


@pytest.mark.parametrize("failures", [1, 2, 3])
@batches
def test_a_disk_that_fails_for_a_while_leaves_nothing_half_made(
    tmp_path: Path, batch: str, failures: int
) -> None:
    """Also where the failure hits what was to undo another."""
    changes, after = BATCHES[batch]
    start = filled(tmp_path / "start")
    for steps in range(20):
        path = tmp_path / str(steps)
        shutil.copytree(start, path)
        with contextlib.suppress(StoreUnusable):
            interrupted(path, changes, FailsFor(steps, failures))
        assert contents(path) in (BEFORE, after)


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_an_intent_that_was_cut_short_is_named(tmp_path: Path, size: int) -> None:
    """Not by a crash, since it is renamed into place; by a disk that loses what it has."""
    path = filled(tmp_path / "state")
    changes, after = BATCHES["several"]
    steps = next(
        steps
        for steps in range(20)
        if interrupted(path, changes, StopsAfter(steps)) and (path / ".intent").exists()
    )
    assert steps > 3
    intent = (path / ".intent").read_bytes()
    (path / ".intent").write_bytes(intent[:size])
    with pytest.raises(StoreUnusable, match=r"\.intent', which tells how to finish a change"):
        JsonStore(path)
    (path / ".intent").write_bytes(intent)
    assert contents(path) == after
