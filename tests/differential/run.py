"""Plays worlds: loads one into both, asks both, and judges."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.differential.judge import fault
from tests.differential.questions import ask
from tests.differential.worlds import make
from tests.support.beside import Beside


@dataclass
class Played:
    """
    What came of a run.

    Attributes:
        questions: How many of each kind were answered.
        refused: Reasons why Miroir refused, and how often.
        faults: What differs, with the seeds that show it.
    """

    questions: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """Return the counts."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.questions.items()))
        return f"{kinds}; {self.refused.total()} refused; {len(self.faults)} differ"


def play(both: Beside, seeds: range, questions: int) -> Played:
    """Ask so many questions about the world of each seed."""
    played = Played()
    for seed in seeds:
        for said in _faults(both, seed, questions, played):
            played.faults.append(said)
    return played


def _faults(both: Beside, seed: int, questions: int, played: Played) -> Iterator[str]:
    world = make(seed)
    both.load(world.documents, world.settings, uid=world.uid)
    for number in range(questions):
        question = ask(world, number)
        whole, found = both.both(question.method, question.path, question.body)
        if found.get("code") == "miroir_cannot_merge":
            played.refused[found["message"]] += 1
            continue
        played.questions[question.kind] += 1
        if (said := fault(question, whole, found, world)) is not None:
            yield f"world {seed}, question {number} {question.body}: {said}"
