"""When a dreamer is started again: pauses that grow, economy after want of memory, and what is given up."""

import pytest

from engine.dreamer.restart import BACKOFF_S, FIRST_LOAD_S, GIVE_UP, HEALTHY_S, MOST_ECONOMY, End, RestartPolicy


def test_pauses_grow_and_a_healthy_stretch_makes_the_next_end_the_first_again() -> None:
    policy = RestartPolicy(film=False)
    assert [policy.ended(End()).pause_s for _ in range(9)] == [*BACKOFF_S, BACKOFF_S[-1], BACKOFF_S[-1]]
    policy.dreamt(1.0)
    assert policy.ended(End()).pause_s == BACKOFF_S[-1]
    policy.dreamt(HEALTHY_S + 1)
    assert policy.ended(End()).pause_s == BACKOFF_S[0]


def test_the_same_fault_again_and_again_before_a_first_picture_is_given_up() -> None:
    policy = RestartPolicy(film=False)
    decisions = [policy.ended(End(f"RuntimeError: {n} MiB free")) for n in range(GIVE_UP)]
    assert [bool(decision.give_up) for decision in decisions] == [False] * (GIVE_UP - 1) + [True]
    assert decisions[-1].give_up == f"the dreamer ended {GIVE_UP} times in a row: RuntimeError: {GIVE_UP - 1} MiB free"


@pytest.mark.parametrize(
    "end",
    [End("an NVIDIA card is there but CUDA does not answer yet", may_pass=True), End(), End(killed=True)],
    ids=["a card that is late", "without a word", "killed"],
)
def test_what_may_pass_is_tried_for_ever(end: End) -> None:
    policy = RestartPolicy(film=False)
    assert not any(policy.ended(end).give_up for _ in range(10_000))


def test_a_dreamer_that_once_dreamt_is_never_given_up() -> None:
    policy = RestartPolicy(film=False)
    policy.dreamt(0.1)
    assert not any(policy.ended(End("ValueError: no")).give_up for _ in range(1000))


def test_want_of_memory_is_answered_with_economy_as_far_as_it_goes() -> None:
    policy = RestartPolicy(film=False)
    economies = [policy.ended(End("out of memory", out_of_memory=True)).economy for _ in range(MOST_ECONOMY + 2)]
    assert economies == [*range(1, MOST_ECONOMY + 1), MOST_ECONOMY, MOST_ECONOMY]


def test_killed_twice_running_before_its_first_picture_counts_as_want_of_memory() -> None:
    policy = RestartPolicy(film=False)
    young, old = End(killed=True, young=True), End(killed=True)
    assert [policy.ended(end).economy for end in (young, old, young, young)] == [0, 0, 0, 1]


def test_a_film_is_given_up_rather_than_continued_with_less() -> None:
    decision = RestartPolicy(film=True).ended(End("out of memory: 8 GiB asked", out_of_memory=True))
    assert decision.economy == 0 and decision.give_up.startswith("out of memory: 8 GiB asked. A film is never")
    killed = RestartPolicy(film=True)
    assert not killed.ended(End(killed=True, young=True)).give_up
    assert "killed twice" in killed.ended(End(killed=True, young=True)).give_up


def test_once_a_load_took_its_time_a_later_one_may_take_five_times_that() -> None:
    policy = RestartPolicy(film=False)
    assert policy.load_patience_s == FIRST_LOAD_S
    policy.loaded(4.0)
    assert policy.load_patience_s == 120.0
    policy.loaded(60.0)
    policy.loaded(5.0)  # from a warm cache
    assert policy.load_patience_s == 300.0


def test_a_first_picture_too_may_take_five_times_what_one_took() -> None:
    policy = RestartPolicy(film=False)
    assert policy.first_patience_s == 1800.0
    policy.dreamt_first(2.0)
    assert policy.first_patience_s == 120.0
    policy.dreamt_first(100.0)
    assert policy.first_patience_s == 500.0


def test_a_start_that_was_ended_for_its_silence_is_given_twice_as_long_the_next_time() -> None:
    policy = RestartPolicy(film=False)
    policy.loaded(6.0)
    policy.hung_early()
    policy.hung_early()
    assert policy.load_patience_s == 480.0
    policy.dreamt_first(1.0)
    assert policy.load_patience_s == 120.0
