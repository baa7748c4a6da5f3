"""Who generates says what a pass is for; outside of that nothing is said, also after an error."""

import contextvars

import pytest

from hooks.models import phases


def test_what_is_announced_holds_inside_and_inner_contexts_win():
    assert phases.current_announcement() is None
    with phases.generation_phase("prompt"):
        assert phases.current_announcement().phase == "prompt"
        assert phases.current_announcement().end is None
        ended: list[int] = []
        with phases.generation_phase("generated", lambda: [[1, 2]], ended.append):
            announced = phases.current_announcement()
            announced.end(3)
            assert ended == [3]
            assert (announced.phase, announced.histories()) == ("generated", [[1, 2]])
        assert phases.current_announcement().phase == "prompt"
    assert phases.current_announcement() is None


def test_nothing_is_left_after_an_error():
    with pytest.raises(KeyError), phases.generation_phase("prompt"), phases.no_prefix_sharing():
        assert phases.prompts_must_be_whole()
        raise KeyError
    assert phases.current_announcement() is None
    assert not phases.prompts_must_be_whole()


def test_rows_say_which_prompts_they_serve():
    assert phases.served_prompts() is None
    with phases.prompt_rows([2, 0], 3):
        rows = phases.served_prompts()
        assert (list(rows.prompts), rows.n_prompts) == ([2, 0], 3)
    assert phases.served_prompts() is None


def test_another_context_does_not_see_it():
    with phases.generation_phase("prompt"):
        empty = contextvars.Context()
        assert empty.run(phases.current_announcement) is None
