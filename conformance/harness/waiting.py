"""Waiting for what happens in the background, with a limit and a reason."""

import time


def wait_until(condition, seconds, what, every=0.05):
    """Returns the first true answer of condition(); fails after so many seconds, saying what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} (last answer: {answer!r})")
        time.sleep(every)
