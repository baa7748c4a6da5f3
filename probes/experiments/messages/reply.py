"""Reply: does the token before a reply foretell the reply's emotions, more than the message's end.

32 messages whose writer feels one thing, while a good reply would have another mood, are answered
by the model. Scores: projections of the residual on each emotion's vector at the target layer, at
the message's last token, before the reply, and over the reply (`reply_reading`). They are compared
message by message (`reply_links`), beside vectors of shuffled labels and the replies to other
messages. How high the emotions of a good reply stand before it is described.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding, RunNumber, strongest
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.messages.reading import N_PERMUTATIONS, where_read
from probes.experiments.messages.reply_links import ReplyLink, link_places, standing
from probes.experiments.messages.reply_reading import (
    N_TOKENS,
    POSITIONS,
    REPLY_MEAN,
    REPLY_START,
    USER_END,
    read_answers,
)
from probes.experiments.remade import Remade
from probes.figures import Figure
from probes.figures.description import Bars
from probes.figures.estimates import Bar, bar_of, bars_by_kind
from probes.runs.materials import Materials
from probes.stimuli.replies import reply_messages
from probes.vectors.normalize import normalize

_NAME = "Reply"
_MIN_EMOTIONS = 3
"""With two, a message's scores can only go together or against each other."""
_MIN_REPLIES = 8
_SPELLED = {
    USER_END: "the message's last token",
    REPLY_START: "the token before the reply",
    REPLY_MEAN: "the reply",
}
_SHORT = {USER_END: "message end", REPLY_START: "reply start", REPLY_MEAN: "reply"}
_LINKS = {f"{one}_vs_{other}": (one, other) for one, other in combinations(POSITIONS, 2)}
_BETWEEN, _FROM_MESSAGE, _FORETOLD = _LINKS
_OWN, _SHUFFLED, _OTHERS = "emotion vectors", "shuffled labels", "replies to other messages"


@dataclass(frozen=True, kw_only=True)
class Replies(Result):
    """How far scores at three places of a message and its reply go together.

    `links` are by ``FIRST_vs_SECOND``; `ahead` is how much better the token before the reply
    foretells it than the message's last token does. `asked` and `implied` are, by position, the
    mean share of other emotions that lie below those of a good reply, and below those that the
    message implies. `read` says where the reply begins, `replies` are by a message's id.
    """

    model: str
    layer: int
    read: str
    n_asked: int
    n_emotions: int
    n_dealings: int
    replies: Mapping[str, str]
    links: Mapping[str, ReplyLink]
    ahead: Estimate
    asked: Mapping[str, Estimate]
    implied: Mapping[str, Estimate]

    @property
    def foretold(self) -> ReplyLink:
        """The token before the reply, and the reply."""
        return self.links[_FORETOLD]

    @property
    def from_message(self) -> ReplyLink:
        """The message's last token, and the reply."""
        return self.links[_FROM_MESSAGE]

    @property
    def controls(self) -> list[Control]:
        """What could foretell the reply as well."""
        link = self.foretold
        return [
            Control(_SPELLED[USER_END], self.from_message.r, self.ahead),
            Control("vectors of shuffled labels", link.shuffled, link.gain),
        ]

    def findings(self) -> list[Finding]:
        """Say whether the reply is foretold, and how high the mood of a good one stands."""
        link = self.foretold
        p, n_null = max((link.p_others, N_PERMUTATIONS), (link.p_shuffled, self.n_dealings))
        follows = link.p_others < SIGNIFICANT and link.r.above_zero
        beyond = p < SIGNIFICANT and self.ahead.above_zero and link.gain.above_zero
        nearest = strongest(self.controls)
        beside = ", ".join(it.in_short("+.2f") for it in self.controls if it != nearest)
        return [
            Finding(
                "the token before a reply foretells the reply",
                link.r,
                "shown" if follows and beyond else "shown in part" if follows else "not shown",
                spec="+.2f",
                unit="correlation over emotions",
                n=f"{len(self.replies)} messages",
                control=nearest,
                p=p,
                n_null=n_null,
                note=f"{beside}, {_OTHERS} {link.others:+.2f}",
                margins=[link.r, self.ahead, link.gain],
                rule="How far a message's scores at the token before the reply go with those over "
                "the model's own reply, once what all messages and all emotions share is taken "
                "out. Called shown when the interval over messages lies above zero, above what "
                "the message's last token reaches and above vectors of shuffled labels, and "
                "p < .05 against these and against the replies to other messages (the larger p "
                "is given); in part when only other messages' replies do less, since any "
                "direction may then do as well.",
            ),
            *self._mood(),
        ]

    def _mood(self) -> list[Finding]:
        if REPLY_START not in self.asked:
            return []
        implied = self.implied.get(REPLY_START)
        beside = "" if implied is None else f"those that the message implies {implied:.2f}; "
        return [
            Finding(
                "the mood of a good reply, before it is written",
                self.asked[REPLY_START],
                "described",
                unit="of the other emotions lie below it (chance 0.50)",
                n=f"{len(self.replies)} messages",
                note=f"{beside}over the reply {self.asked[REPLY_MEAN]:.2f}",
                rule="How high the emotions that a good reply would have stand among the others at "
                "the token before the reply.",
            )
        ]

    def paragraph(self) -> str:
        """Tell what was read where, and what could have shown otherwise."""
        between = self.links[_BETWEEN]
        text = (
            f"The model answered {len(self.replies)} messages with at most {N_TOKENS} tokens each. "
            f"Scores of {self.n_emotions} emotions at layer {self.layer} were read at the "
            f"message's last token, {self.read}, and as the mean over the reply. Less what all "
            "messages and all emotions share, the scores before the reply correlate with those of "
            f"the reply by {self.foretold.r:+.2f}, those at the message's last token by "
            f"{self.from_message.r:+.2f}, and these two with each other by {between.r:+.2f} (95% "
            "intervals over messages). Along vectors of shuffled labels the three are "
            f"{self.foretold.shuffled.value:+.2f}, {self.from_message.shuffled.value:+.2f} and "
            f"{between.shuffled.value:+.2f}: the stream at two places of a text looks alike along "
            f"any direction. With the replies to other messages it is {self.foretold.others:+.2f} "
            f"(p = {self.foretold.p_others:.2g})."
        )
        if REPLY_START in self.asked:
            asked = self.asked[REPLY_START].value
            text += (
                " Before the reply, the emotions that a good one would have lie above "
                f"{asked:.2f} of the others (chance .5)"
            )
            if REPLY_START in self.implied:
                implied = self.implied[REPLY_START].value
                text += f", those that the message implies above {implied:.2f}"
            text += "."
        return text

    def limits(self) -> list[str]:
        """Say what was not answered, and what a base model's reply is."""
        limits = []
        if len(self.replies) < self.n_asked:
            limits.append(
                f"{_NAME}: {self.n_asked - len(self.replies)} of {self.n_asked} messages got no "
                "word in reply and are left out."
            )
        if self.read.endswith("(a base model)"):
            limits.append(
                f"{_NAME}: a base model continues a dialogue of a Person and an Assistant; it "
                "was never taught to reply."
            )
        return limits

    def figures(self) -> dict[str, Figure]:
        """Describe the three correlations, each above its controls."""
        bars = []
        for name, (first, second) in _LINKS.items():
            link = self.links[name]
            label = f"{_SHORT[first]} – {_SHORT[second]}"
            bars += [
                bar_of(label, _OWN, link.r),
                bar_of(f"{label}, shuffled", _SHUFFLED, link.shuffled),
                Bar(f"{label}, others", _OTHERS, link.others),
            ]
        figure = Bars(
            title="From a message to its reply",
            subtitle=f"{self.model}, layer {self.layer}, {len(self.replies)} messages, "
            f"{self.n_emotions} emotions",
            caption="How far scores at two places of a message and its reply go together: mean "
            "correlation over emotions, less what all messages and all emotions share, with 95% "
            "intervals over messages. Shuffled: along vectors of shuffled labels; others: with the "
            f"second place of other messages. The reply's start was read {self.read}; it foretells "
            f"the reply by {self.foretold.r.value:+.2f}.",
            value_label="mean correlation over emotions",
            **bars_by_kind(bars, (_OWN, _SHUFFLED, _OTHERS), muted=(_OTHERS,)),
        )
        return {"reply": figure}

    def paper_numbers(self) -> dict[str, RunNumber | str]:
        """Return the three correlations."""
        return {
            f"reply_token.{name}_r": RunNumber(
                link.r.value,
                link.r.ends,
                len(self.replies),
                "our own messages, mean of each one's correlation over emotions; vectors of "
                f"shuffled labels give {link.shuffled.value:.2f}",
            )
            for name, link in self.links.items()
        }


def measure(materials: Materials) -> Replies | NotMeasured:
    """Have all messages answered, read them, and compare the places."""
    messages, emotions = reply_messages(), materials.emotions
    if len(emotions) < _MIN_EMOTIONS:
        return NotMeasured(_NAME, f"needs {_MIN_EMOTIONS} emotions, this run has {len(emotions)}")
    model, layer = materials.subject(), materials.layer
    with materials.reporter.task("reply", len(messages), "messages") as advance:
        answered = read_answers(model, [it.text for it in messages], layer, advance)
    kept = [number for number, reply in enumerate(answered.replies) if reply]
    if len(kept) < _MIN_REPLIES:
        why = f"{model.name} answered {len(kept)} of {len(messages)} messages with a word"
        return NotMeasured(_NAME, f"needs {_MIN_REPLIES} replies; {why}")
    stream = answered.residual[:, kept]
    scores = _along(stream, materials.vectors.at(layer))
    dealings = Remade(materials).shuffled(materials.config.validation.n_refits)
    shuffled = torch.stack([_along(stream, dealt) for dealt in dealings], dim=1)
    links = {}
    for name, places in _LINKS.items():
        one, other = map(POSITIONS.index, places)
        links[name] = link_places(
            scores[one],
            scores[other],
            shuffled[one],
            shuffled[other],
            n_permutations=N_PERMUTATIONS,
            seed=materials.seed,
        )
    chosen = [messages[number] for number in kept]
    return Replies(
        model=model.name,
        layer=layer,
        read=where_read(model, answering=True),
        n_asked=len(messages),
        n_emotions=len(emotions),
        n_dealings=len(dealings),
        replies={messages[number].id: answered.replies[number] for number in kept},
        links=links,
        ahead=links[_FORETOLD].over(links[_FROM_MESSAGE]),
        asked=_standings(scores, [it.asks for it in chosen], emotions),
        implied=_standings(scores, [it.implies for it in chosen], emotions),
    )


EXPERIMENT = Experiment(Replies, measure)


def _along(
    stream: Float[Tensor, "position message d_model"], vectors: Float[Tensor, "emotion d_model"]
) -> Float[Tensor, "position message emotion"]:
    """Project the stream on vectors, taken at length one, in float64."""
    unit = normalize(vectors.double())
    return einsum(
        stream.double(), unit, "position message d, emotion d -> position message emotion"
    )


def _standings(
    scores: Float[Tensor, "position message emotion"],
    names: Sequence[Sequence[str]],
    emotions: Sequence[str],
) -> dict[str, Estimate]:
    """Return the standing of each message's emotions at each position; none that the run lacks."""
    chosen = [[emotions.index(name) for name in own if name in emotions] for own in names]
    each = {name: standing(scores[row], chosen) for row, name in enumerate(POSITIONS)}
    return {name: estimate for name, estimate in each.items() if estimate is not None}
