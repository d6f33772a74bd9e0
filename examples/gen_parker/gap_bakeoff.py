"""The models of the example as a bake-off over the gaps: bars that fill the metre, and what each model has cost."""

from collections.abc import Mapping, Sequence

from findings import Findings
from line_measures import chord_share, is_full
from tune_files import Gap

from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, Judging
from outcrop.evaluation.bakeoff.outcome import CellOutcome, TrainingNeed
from outcrop.evaluation.scores.scoring import Candidate, ScoreValue, TextScore, each, share

AT_ONCE = 8


def judge(
    gaps: Sequence[Gap], findings: Findings, parents: Mapping[str, str], *, base: str, seed: int
) -> JudgedBakeoff:
    """The models on all gaps; `parents` names the model that each one began with."""
    by_prompt = {gap.prompt: gap for gap in gaps}
    measures = (_full_bar(by_prompt), _chord_tones(by_prompt))
    outcomes = []
    for name, given in findings.gap_answers.items():
        candidates = [
            Candidate(prompt=gap.prompt, answer=answer.text, references=(gap.real,))
            for gap, answer in zip(gaps, given, strict=True)
        ]
        outcomes.append(
            CellOutcome(
                name=name,
                values={score.name: tuple(value.value for value in score.score(candidates)) for score in measures},
                num_answers=len(gaps),
                num_input_tokens=sum(answer.input_tokens for answer in given),
                num_output_tokens=sum(answer.output_tokens for answer in given),
                machine_s=sum(answer.seconds for answer in given) / AT_ONCE,
                training=_need(name, findings, parents),
                base=base,
                answers=tuple(answer.text for answer in given),
            )
        )
    return Judging(measures=measures, seed=seed).judge(outcomes, title=f"gaps in tunes, {base}")


def _full_bar(gaps: Mapping[str, Gap]) -> TextScore:
    return TextScore(
        name="full_bar",
        meaning="The lengths of the bar add up to the metre.",
        higher_is_better=True,
        is_share=True,
        scoring=each(lambda candidate: share(is_full(gaps[candidate.prompt], candidate.answer))),
    )


def _chord_tones(gaps: Mapping[str, Gap]) -> TextScore:
    def of(candidate: Candidate) -> ScoreValue:
        found = chord_share(gaps[candidate.prompt], candidate.answer)
        return ScoreValue(value=found, why_not="Nothing sounds." if found is None else "")

    return TextScore(
        name="chord_tones",
        meaning="The share of beats on which a tone of the chord sounds.",
        higher_is_better=True,
        is_share=False,
        scoring=each(of),
    )


def _need(name: str, findings: Findings, parents: Mapping[str, str]) -> TrainingNeed:
    """The need of a model's job, and of those before it."""
    need = TrainingNeed()
    while name in findings.needs:
        need += findings.needs[name]
        name = parents[name]
    return need
