"""Async tests on Trio, by the pytest plugin: alone, and next to the plugins that others use."""

from __future__ import annotations

from typing import Any

import pytest

pytest_plugins = "pytester"


def test_async_tests_run_on_trio_without_configuration(run: Any) -> None:
    """Methods, parameters and plain fixtures included."""
    run(
        """
        import pytest, trio

        @pytest.fixture
        def three():
            return 3

        async def test_function(three):
            await trio.sleep(0)
            assert three == 3

        class TestIt:
            @pytest.mark.parametrize("n", [1, 2])
            async def test_method(self, n, three):
                await trio.lowlevel.checkpoint()
                assert n < three

        def test_plain():
            pass
        """,
        passed=4,
    )


def test_failing_async_tests_fail(run: Any) -> None:
    """An async test that was never awaited would pass; and the traceback shows the test, not the plugin."""
    result = run(
        """
        import trio

        async def test_wrong():
            await trio.sleep(0)
            assert 1 == 2
        """,
        failed=1,
    )
    result.stdout.fnmatch_lines([">       assert 1 == 2", "E       assert 1 == 2"])
    assert "pytest_plugin.py" not in result.stdout.str()
    assert "Group" not in result.stdout.str()


def test_errors_and_groups_are_what_was_raised(run: Any) -> None:
    """An error of the test is no group; a group of `parallel` stays one."""
    run(
        """
        import pytest
        from lambdacat_effects import ambient, fail, parallel, Sleep

        @pytest.mark.xfail(raises=ValueError, strict=True)
        async def test_error():
            raise ValueError("no")

        @pytest.mark.xfail(raises=ValueError, strict=True)
        async def test_error_of_a_plan():
            await ambient.run(fail(ValueError("no")))

        @pytest.mark.xfail(raises=ExceptionGroup, strict=True)
        async def test_group():
            await ambient.run(parallel(fail(ValueError("no")), Sleep(1)))

        async def test_raises_group():
            with pytest.RaisesGroup(ValueError):
                await ambient.run(parallel(fail(ValueError("no")), Sleep(1)))

        async def test_except_group():
            try:
                await ambient.run(parallel(fail(ValueError("no")), fail(KeyError("no"))))
            except* ValueError as group:
                assert len(group.exceptions) == 1
            except* KeyError as group:
                assert len(group.exceptions) == 1
        """,
        xfailed=3,
        passed=2,
    )


def test_xfail_of_another_error_is_a_failure(run: Any) -> None:
    """The mutant of the test above: `raises=` is compared with what was raised."""
    run(
        """
        import pytest
        from lambdacat_effects import ambient, fail, parallel

        @pytest.mark.xfail(raises=ValueError, strict=True)
        async def test_other():
            raise KeyError("no")

        @pytest.mark.xfail(raises=ValueError, strict=True)
        async def test_group():
            await ambient.run(parallel(fail(ValueError("no"))))
        """,
        failed=2,
    )


def test_skipping_works_in_a_nursery_too(run: Any) -> None:
    """`skip` and `xfail` are exceptions, which a nursery puts into groups."""
    run(
        """
        import pytest, trio

        async def test_skip():
            pytest.skip("not today")

        async def test_skip_in_a_nursery():
            async with trio.open_nursery():
                pytest.skip("not today")

        async def test_xfail_in_a_nursery():
            async with trio.open_nursery():
                pytest.xfail("known")
        """,
        skipped=2,
        xfailed=1,
    )


def test_a_clock_among_the_fixtures_is_the_clock(run: Any) -> None:
    """As for pytest-trio: a fixture that is a clock makes hours pass at once."""
    run(
        """
        import pytest, trio, trio.testing
        from lambdacat_effects import Sleep, ambient

        @pytest.fixture
        def clock():
            return trio.testing.MockClock(autojump_threshold=0)

        async def test_hours(clock):
            before = trio.current_time()
            await ambient.run(Sleep(7200))
            assert trio.current_time() - before == 7200
        """,
        passed=1,
    )


def test_async_fixtures_live_as_long_as_the_test(run: Any) -> None:
    """They may hold a nursery, build on one another and on plain ones, and are torn down in reverse."""
    run(
        """
        import pytest, trio
        log = []

        @pytest.fixture
        def number():
            return 1

        @pytest.fixture
        async def nursery(number):
            async with trio.open_nursery() as nursery:
                yield nursery
                log.append("nursery")
                nursery.cancel_scope.cancel()

        @pytest.fixture
        async def server(nursery):
            send, receive = trio.open_memory_channel(1)
            async def serve():
                async for n in receive:
                    log.append(n)
            nursery.start_soon(serve)
            yield send
            log.append("server")

        @pytest.fixture
        async def two(number):
            await trio.sleep(0)
            return number + 1

        async def test_them(server, two, nursery):
            assert isinstance(nursery, trio.Nursery)
            await server.send(two)
            await trio.testing.wait_all_tasks_blocked()

        def test_log():
            assert log == [2, "server", "nursery"]

        class TestIt:
            @pytest.fixture
            async def me(self):
                return self

            async def test_methods(self, me):
                assert me is self
        """,
        passed=3,
    )


def test_fixtures_with_a_nursery_do_not_wrap_the_error_of_a_test(run: Any) -> None:
    """The error is the test's; what goes wrong in a background task of a fixture cancels the test and fails it."""
    result = run(
        """
        import pytest, trio

        @pytest.fixture
        async def nursery():
            async with trio.open_nursery() as nursery:
                yield nursery
                nursery.cancel_scope.cancel()

        @pytest.mark.xfail(raises=ValueError, strict=True)
        async def test_error(nursery):
            raise ValueError("no")

        async def test_crash(nursery):
            async def crash():
                raise KeyError("in the background")
            nursery.start_soon(crash)
            await trio.sleep_forever()

        @pytest.fixture
        async def untidy():
            yield 1
            raise OSError("at the end")

        async def test_untidy(untidy):
            pass

        async def test_both(untidy):
            raise ValueError("and in the test")
        """,
        xfailed=1,
        failed=3,
    )
    result.stdout.fnmatch_lines(["*KeyError: 'in the background'*", "*OSError: at the end*"])
    result.stdout.fnmatch_lines(["*ValueError: and in the test*"])


def test_async_fixtures_where_there_is_no_event_loop_are_errors(run: Any) -> None:
    """Nobody gets a coroutine object in place of a value."""
    result = run(
        """
        import pytest

        @pytest.fixture
        async def number():
            return 1

        @pytest.fixture
        def plain(number):
            return number + 1

        async def test_through_a_plain_one(plain):
            pass

        def test_plain(number):
            pass

        @pytest.fixture(scope="module")
        async def shared():
            return 1

        async def test_shared(shared):
            pass
        """,
        errors=3,
    )
    result.stdout.fnmatch_lines(["*the plain fixture 'plain' asks for the async fixture 'number'*"])
    result.stdout.fnmatch_lines(["*'test_plain' requested an async fixture 'number'*"])
    result.stdout.fnmatch_lines(["*requested an async fixture 'shared'*"])


def test_async_tests_under_given(run: Any) -> None:
    """Hypothesis calls the test for each example; all of them run on Trio."""
    run(
        """
        import pytest, trio
        from hypothesis import given, settings, strategies as st
        seen = set()

        @pytest.mark.parametrize("m", [1, 2])
        @given(n=st.integers(0, 3))
        @settings(database=None)
        async def test_given(m, n):
            await trio.sleep(0)
            seen.add((m, n))

        def test_seen():
            assert len(seen) > 4
        """,
        passed=3,
    )


@pytest.mark.parametrize("mark", ["asyncio", "anyio", "trio", "twisted"])
def test_tests_of_other_plugins_are_left_to_them(run: Any, mark: str) -> None:
    """By their marks. Here these plugins are missing, which pytest says."""
    result = run(
        f"""
        import pytest

        @pytest.mark.{mark}
        async def test_theirs():
            pass
        """,
        ini=f"markers = {mark}",
        failed=1,
    )
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_alongside_pytest_trio(pytester: pytest.Pytester) -> None:
    """Its marked tests, and in `trio_mode` all, are its own, fixtures included; without, ours is there."""
    source = """
        import pytest, trio

        @pytest.fixture
        async def two():
            await trio.sleep(0)
            return 2

        {mark}
        async def test_it(two, nursery, autojump_clock):
            nursery.start_soon(trio.sleep, 3600)
            await trio.sleep(1)
            assert two == 2
            nursery.cancel_scope.cancel()
    """
    pytester.makepyfile(test_marked=source.format(mark="@pytest.mark.trio"))
    pytester.runpytest_inprocess("-p", "no:anyio").assert_outcomes(passed=1)
    pytester.makepyfile(test_marked=source.format(mark=""))
    pytester.makeini("[pytest]\ntrio_mode = true")
    pytester.runpytest_inprocess("-p", "no:anyio").assert_outcomes(passed=1)
    pytester.makeini("[pytest]")
    pytester.makepyfile(test_marked="import trio\nasync def test_it(autojump_clock): await trio.sleep(3600)")
    pytester.runpytest_inprocess("-p", "no:anyio").assert_outcomes(passed=1)


def test_alongside_anyio(pytester: pytest.Pytester) -> None:
    """Its marked tests run under its backends."""
    pytester.makepyfile(
        """
        import pytest, anyio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.fixture
        async def two():
            await anyio.sleep(0)
            return 2

        @pytest.mark.anyio
        async def test_theirs(two):
            import asyncio
            assert asyncio.get_running_loop() is not None
            assert two == 2
        """
    )
    pytester.runpytest_inprocess("-p", "no:trio").assert_outcomes(passed=1)


def test_async_tests_can_be_left_alone(run: Any) -> None:
    """`lambdacat_async = false`, but for those that are marked."""
    run(
        """
        import pytest

        async def test_nobody_runs():
            pass

        @pytest.mark.lambdacat
        async def test_marked():
            import trio
            await trio.sleep(0)
        """,
        ini="lambdacat_async = false",
        failed=1,
        passed=1,
    )
