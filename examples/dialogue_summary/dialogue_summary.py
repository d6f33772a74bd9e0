"""A model that summarizes dialogues in a sentence or two, in plain boto3 calls that run against Amazon Bedrock too.

    outcrop run -- python -m examples.dialogue_summary.dialogue_summary          # from the root of a clone

The demo of a talk, whole: the base is asked, dialogues become records, a job fine-tunes, provisioned throughput serves,
the custom model is asked, and the throughput is deleted. Then what the talk left out: the base alone, with examples in
its prompt, fine-tuned, and tuned by search, on the same held-out dialogues, with intervals.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from outcrop.evaluation.bakeoff.customizing import training_need
from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, Judging
from outcrop.evaluation.bakeoff.outcome import CellOutcome, TrainingNeed
from outcrop.evaluation.bakeoff.page import ShownQuestion, bakeoff_page
from outcrop.evaluation.bakeoff.table import bakeoff_text
from outcrop.evaluation.scores import table
from outcrop.evaluation.scores.scoring import Candidate

from .dialogues import Dialogue, compose, parts, read_dialogues, write_records
from .services import AT_ONCE, ON_AWS, Bedrock, SummaryAnswer, SummaryModel

MEASURES = ("rouge_l", "token_f1")
HOTEL = (
    "#Person1#: Good evening. Have you got a reservation?\n#Person2#: Yes, a room for three nights. The name is Hart.\n"
    "#Person1#: Here it is, Mr. Hart. How would you like to pay?\n#Person2#: Which cards do you take?\n"
    "#Person1#: Visa and MasterCard. We do not take checks.\n#Person2#: Then by Visa, please."
)


def main(arguments: Sequence[str] | None = None) -> None:
    started = time.monotonic()
    options = parse_options(arguments)
    bedrock = Bedrock(f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    hotel = Dialogue(dialogue=HOTEL, summary="")

    heading("1  The base is asked for a summary")
    show(hotel, bedrock.ask(options.base, hotel.prompt, most=options.max_tokens))

    heading("2  Dialogues into records")
    training, validation, test = dealt(options)
    with tempfile.TemporaryDirectory() as work:
        files = [write_records(training, Path(work) / "train.jsonl")]
        files.append(write_records(validation, Path(work) / "validation.jsonl"))
        bedrock.upload(files)

    heading("3  A customization job")
    asked = {"epochCount": options.epochs, "batchSize": options.batch_size, **seeded(options.seed)}
    tuned = bedrock.finished(bedrock.start("ft", options.base, asked))

    heading("4  Provisioned throughput, the custom model asked, and the throughput deleted")
    questions = [each.prompt for each in test]
    with bedrock.provisioned("ft", tuned.arn) as endpoint:
        show(hotel, bedrock.ask(endpoint, hotel.prompt, most=options.max_tokens))
        answers = {"fine-tuned": bedrock.ask_all(endpoint, questions, most=options.max_tokens)}

    heading("5  The base alone, and with examples before the question")
    examples = [(each.prompt, each.summary) for each in Random(options.seed).sample(training, options.examples)]
    answers["base"] = bedrock.ask_all(options.base, questions, most=options.max_tokens)
    answers["few-shot"] = bedrock.ask_all(options.base, questions, most=options.max_tokens, examples=examples)
    print(f"  {len(questions)} dialogues, alone and behind {len(examples)} examples", flush=True)
    needs = {"fine-tuned": training_need(bedrock.s3, tuned.job)}

    if options.trials:
        heading("6  Tuned by search: the least validation loss of several jobs")
        best, needs["tuned by search"] = search(bedrock, tuned, needs["fine-tuned"], options)
        with bedrock.provisioned("search", best.arn) as endpoint:
            answers["tuned by search"] = bedrock.ask_all(endpoint, questions, most=options.max_tokens)

    heading("7  All of them compared")
    judged = compared(test, answers, needs, options)
    print(bakeoff_text(judged))
    write_results(judged, test, options)
    print(f"\nDone in {time.monotonic() - started:.0f} s.")


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Fine-tune a model to summarize dialogues, and compare what came of it."
    )
    parser.add_argument("--dialogues", type=Path, help="CSV or JSON Lines of DialogSum; without it, made-up ones")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model id")
    parser.add_argument("--records", type=int, default=1000, help="training records")
    parser.add_argument("--validation", type=int, default=50, help="records by which the best weights are kept")
    parser.add_argument("--questions", type=int, default=60, help="held-out dialogues that all are asked")
    parser.add_argument("--examples", type=int, default=2, help="of the few-shot prompt")
    parser.add_argument("--trials", type=int, default=4, help="jobs of the search; 0: none")
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--batch-size", default="16" if not ON_AWS else "1")
    parser.add_argument("--max-tokens", type=int, default=64, help="longest answer")
    parser.add_argument("--longest", type=int, default=2000, help="letters of a dialogue that is used")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="dialogue-summary", help="beginning of every name this run uses")
    parser.add_argument("--html", type=Path, help="write the comparison as a page to this file, too")
    parser.add_argument("--report", type=Path, help="write numbers and answers to this file, as JSON")
    return parser.parse_args(arguments)


def dealt(options: argparse.Namespace) -> list[list[Dialogue]]:
    """Dialogues for training, validation and test, none in two of them."""
    sizes = (options.records, options.validation, options.questions)
    if options.dialogues is None:
        found = compose(sum(sizes), seed=options.seed)
        print(f"  {len(found)} made-up dialogues; --dialogues takes DialogSum's")
    else:
        every = read_dialogues(options.dialogues)
        # The same dialogue on both sides would be a question that was learned.
        found = list({each.dialogue: each for each in every if len(each.dialogue) <= options.longest}.values())
        print(f"  {len(found)} dialogues of {len(every)} are short enough; id and topic are dropped")
    return parts(found, *sizes, seed=options.seed)


def search(
    bedrock: Bedrock, first: SummaryModel, need: TrainingNeed, options: argparse.Namespace
) -> tuple[SummaryModel, TrainingNeed]:
    """The model with the least validation loss, and what all trials have cost; the first job counts as one."""
    jobs = [bedrock.start(f"trial-{number}", options.base, trial) for number, trial in enumerate(trials(options), 1)]
    models = [first, *map(bedrock.finished, jobs)]
    for model in models[1:]:
        need += training_need(bedrock.s3, model.job)
    best = min(models, key=lambda model: model.loss)
    print(f"  the best: {json.dumps(best.job['hyperParameters'])}")
    return best, need


def trials(options: argparse.Namespace) -> list[dict[str, str]]:
    """Hyperparameters of the trials, drawn by seed: how fast, how often, and in what batches."""
    random = Random(options.seed)
    found = []
    for _ in range(options.trials):
        speed = round(2 ** random.uniform(-1.5, 1.5), 2)
        rate = {"learningRate": f"{speed * 1e-5:.2e}"} if ON_AWS else {"outcrop.learningRateMultiplier": f"{speed:g}"}
        epochs = str(max(1, int(options.epochs) + random.choice((-1, 0, 1, 2))))
        batch = options.batch_size if ON_AWS else random.choice(("8", "16"))
        found.append({"epochCount": epochs, "batchSize": batch, **rate, **seeded(options.seed)})
    return found


def seeded(seed: int) -> dict[str, str]:
    """The seed of a job; Amazon Bedrock has none."""
    return {} if ON_AWS else {"outcrop.seed": str(seed)}


def compared(
    test: Sequence[Dialogue],
    answers: Mapping[str, Sequence[SummaryAnswer]],
    needs: Mapping[str, TrainingNeed],
    options: argparse.Namespace,
) -> JudgedBakeoff:
    """All approaches beside each other, the base first."""
    measures = tuple(table.find(name) for name in MEASURES)
    order = [name for name in ("base", "few-shot", "fine-tuned", "tuned by search") if name in answers]
    outcomes = [
        CellOutcome(
            name=name,
            values={
                measure.name: tuple(each.value for each in measure.score(_candidates(test, answers[name])))
                for measure in measures
            },
            num_answers=len(test),
            num_input_tokens=sum(each.input_tokens for each in answers[name]),
            num_output_tokens=sum(each.output_tokens for each in answers[name]),
            machine_s=sum(each.seconds for each in answers[name]) / AT_ONCE,
            training=needs.get(name, TrainingNeed()),
            base=options.base,
            answers=tuple(each.text for each in answers[name]),
        )
        for name in order
    ]
    return Judging(measures=measures, seed=options.seed).judge(outcomes, title=f"dialogues, {options.base}")


def write_results(judged: JudgedBakeoff, test: Sequence[Dialogue], options: argparse.Namespace) -> None:
    if options.html:
        page = bakeoff_page(judged, [ShownQuestion(each.prompt, each.summary) for each in test])
        options.html.write_text(page, "utf-8")
    if options.report:
        options.report.write_text(json.dumps(judged.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")


def show(dialogue: Dialogue, answer: SummaryAnswer) -> None:
    """A dialogue's last lines, and the answer."""
    print("\n".join(f"    {line}" for line in dialogue.dialogue.splitlines()[-3:]))
    print(f"  > {' / '.join(answer.text.splitlines()) or '(nothing)'}", flush=True)


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def _candidates(test: Sequence[Dialogue], answers: Sequence[SummaryAnswer]) -> list[Candidate]:
    return [
        Candidate(prompt=each.prompt, answer=answer.text, references=(each.summary,))
        for each, answer in zip(test, answers, strict=True)
    ]


if __name__ == "__main__":
    main()
