"""The docent's lesson: what it borrows of the show it puts back."""

import pytest

from engine.play.conductor import Conductor
from engine.play.docent import sentence_of
from engine.play.lesson import LESSON, length_s
from engine.play.shows import load_show
from engine.show.language import Language
from engine.stage.docent_params import STEPS
from engine.walk.mix import TICK_HZ


@pytest.fixture
def conductor() -> Conductor:
    return Conductor(load_show("house", sets=["osc.enabled=false", "docent.caption=true"]))


def values(conductor: Conductor) -> dict[str, object]:
    controls = conductor.controls
    return {name: controls.target(name) for name in controls if not controls.fires(name)}


def play(conductor: Conductor, seconds: float) -> None:
    for _ in range(round(seconds * TICK_HZ)):
        conductor.tick()


def test_every_step_has_a_sentence_and_a_time_to_read_it_in() -> None:
    english = Language.load()
    for name in STEPS:
        assert english.has(sentence_of(name)), name
        words = len(english.say(sentence_of(name)).split())
        assert LESSON[name].lasts_s >= words / 2.4, f"{name} is read aloud at 144 words a minute"
        assert words <= 30, name
    assert set(LESSON) == set(STEPS)


def test_next_and_back_go_through_the_steps_and_out_at_either_end(conductor: Conductor) -> None:
    seen = []
    for _ in range(len(STEPS) + 1):
        conductor.set("docent.next", 1.0)
        conductor.set("docent.next", 0.0)
        play(conductor, 0.1)
        seen.append(conductor.lesson.step)
    assert seen == [*STEPS, ""]
    conductor.set("docent.step", 2)
    play(conductor, 0.1)
    for expected in (STEPS[0], "", ""):
        conductor.controls.hit("docent.back")
        play(conductor, 0.1)
        assert conductor.lesson.step == expected


@pytest.mark.parametrize("number", range(1, len(STEPS) + 1))
def test_after_any_step_the_show_has_its_own_values_again(conductor: Conductor, number: int) -> None:
    own = values(conductor)
    conductor.set("docent.step", number)
    play(conductor, 5.0)
    during = values(conductor)
    assert during != own and not during["docent.caption"]
    conductor.set("docent.step", 0)
    play(conductor, 5.0)
    assert values(conductor) == own
    assert conductor["walk.focus"] == pytest.approx(own["walk.focus"])


def test_what_somebody_moves_meanwhile_stays_as_he_left_it(conductor: Conductor) -> None:
    conductor.set("docent.step", STEPS.index("clouds") + 1)
    play(conductor, 1.0)
    conductor.set("walk.focus", 0.25)
    play(conductor, 8.0)
    assert conductor.controls.target("walk.focus") == 0.25
    conductor.set("docent.step", 0)
    play(conductor, 5.0)
    assert conductor.controls.target("walk.focus") == 0.25


def test_by_itself_it_goes_through_all_steps_and_ends(conductor: Conductor) -> None:
    conductor.set("docent.auto", True)
    conductor.set("docent.step", 1)
    seen: list[str] = []
    for _ in range(round((length_s() + 1) * TICK_HZ)):
        conductor.tick()
        if not seen or seen[-1] != conductor.lesson.step:
            seen.append(conductor.lesson.step)
    assert seen == [*STEPS, ""]


def test_a_lesson_goes_on_where_its_state_was_kept(conductor: Conductor) -> None:
    conductor.set("docent.auto", True)
    conductor.set("docent.step", STEPS.index("clouds") + 1)
    play(conductor, 7.0)
    other = Conductor(load_show("house", sets=["osc.enabled=false", "docent.caption=true"]))
    other.restore(conductor.to_dict())
    play(conductor, 9.0)
    play(other, 9.0)
    assert other.waypoint() == conductor.waypoint() and other.lesson.to_dict() == conductor.lesson.to_dict()
