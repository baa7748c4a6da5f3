"""The program at the other end of `hooks.vllm.engine`, in vLLM's own environment.

It loads one model and answers requests: a line of JSON on standard input, one or more on standard
output. What vLLM prints goes to standard error.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_GIVEN = ("prompt_token_ids", "cache_salt")
_SECONDS_BETWEEN_COUNTS = 1.0
_Say = Callable[[dict[str, Any]], None]


def _texts(llm: Any, prompts: list[dict[str, Any]], say: _Say) -> list[dict[str, Any]]:
    """Go on with prompts, and say how many tokens there are, about once a second."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    engine, added = llm.llm_engine, []
    try:
        for number, prompt in enumerate(prompts):
            given = {key: prompt[key] for key in _GIVEN if key in prompt}
            asked = SamplingParams(**_with_numbers(prompt["sampling"]))
            asked.output_kind = RequestOutputKind.DELTA
            added.append(engine.add_request(str(number), given, asked))
    except Exception:
        engine.abort_request(added, internal=True)
        raise
    texts = [{"ids": [], "finished": False, "logprobs": []} for _ in prompts]
    n_new, said = 0, time.monotonic()
    while engine.has_unfinished_requests():
        for output in engine.step():
            text, new = texts[int(output.request_id)], output.outputs[0]
            text["ids"] += new.token_ids
            text["logprobs"] += new.logprobs or ()
            text["finished"] = new.finish_reason == "stop"
            n_new += len(new.token_ids)
        if time.monotonic() - said > _SECONDS_BETWEEN_COUNTS:
            say({"written": n_new})
            n_new, said = 0, time.monotonic()
    return texts


def _with_numbers(sampling: dict[str, Any]) -> dict[str, Any]:
    """Turn what JSON made of token ids back."""
    bias = sampling.get("logit_bias")
    return (
        {**sampling, "logit_bias": {int(token): by for token, by in bias.items()}}
        if bias
        else sampling
    )


def _generate(llm: Any, asked: dict[str, Any], say: _Say) -> dict[str, Any]:
    """Go on with prompts; with ``tokens`` also tell log-probabilities of some next tokens."""
    texts = _texts(llm, asked["prompts"], say)
    for prompt, text in zip(asked["prompts"], texts, strict=True):
        logprobs, tokens = text.pop("logprobs"), prompt.get("tokens")
        if tokens:
            text["logprobs"] = [logprobs[0][token].logprob for token in tokens]
    return {"texts": texts}


def _vectors(llm: Any, asked: dict[str, Any], _say: _Say) -> dict[str, Any]:
    return {"n_vectors": llm.collective_rpc("emotion_lens_vectors", args=(asked["folder"],))[0]}


_ANSWERS = {"generate": _generate, "vectors": _vectors}


def _end_with(parent: int) -> None:
    """End this program and its workers when whoever started it is gone, even while they work."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Answer requests until there are none."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # vLLM prints to both

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    import vllm

    llm = vllm.LLM(**json.loads(sys.stdin.readline()))
    say({"version": vllm.__version__})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            say(_ANSWERS[asked["what"]](llm, asked, say))
        except Exception as error:  # noqa: BLE001 - whoever asked decides what to do about it
            say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
