"""Work one piece behind: in order, one at a time, and no error lost."""

from threading import Event, get_ident

import pytest

from data.behind import Behind


def test_calls_are_made_in_order_by_one_other_thread_and_all_of_them_by_the_end():
    made = []
    with Behind() as behind:
        for number in range(20):
            behind.call(lambda number: made.append((number, get_ident())), number)
    assert [number for number, _ in made] == list(range(20))
    assert len({thread for _, thread in made} - {get_ident()}) == 1


def test_the_caller_goes_on_while_a_call_is_made():
    caller_went_on = Event()
    with Behind() as behind:
        behind.call(lambda: caller_went_on.wait(10) or pytest.fail("the caller waited"))
        caller_went_on.set()


@pytest.mark.parametrize("calls_after", [0, 1])
def test_an_error_is_raised_by_the_next_call_or_at_the_end(calls_after):
    made = []
    with pytest.raises(OSError, match="full"):
        make([(fail, OSError("full")), *[(made.append, 1)] * calls_after])
    assert made == []


def test_the_callers_own_error_is_not_replaced():
    with pytest.raises(ValueError, match="the caller"):
        make([(fail, OSError("full"))], ValueError("the caller"))


def make(calls, error=None):
    with Behind() as behind:
        for call in calls:
            behind.call(*call)
        if error:
            raise error


def fail(error):
    raise error
