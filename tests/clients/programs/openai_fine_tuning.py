"""OpenAI's own client from a file of chats to an answer of the model that learned it, and everything deleted again."""

import io
import json
import sys
import time
from typing import Any

from openai import OpenAI

MODEL = sys.argv[1]
client = OpenAI()


def chats(count: int) -> bytes:
    lines = [
        {"messages": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"It is {n}."}]}
        for n in range(count)
    ]
    return "\n".join(map(json.dumps, lines)).encode()


def ended(job_id: str) -> Any:
    for _ in range(600):
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in ("succeeded", "failed", "cancelled"):
            return job
        time.sleep(0.25)
    raise AssertionError(job)


training = client.files.create(file=("chats.jsonl", chats(24)), purpose="fine-tune")
validation = client.files.create(file=io.BytesIO(chats(4)), purpose="fine-tune")
job = client.fine_tuning.jobs.create(
    model=MODEL,
    training_file=training.id,
    validation_file=validation.id,
    suffix="numbers",
    seed=7,
    method={
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": "auto"}},
    },
)
done = ended(job.id)
answer = client.chat.completions.create(
    model=done.fine_tuned_model, messages=[{"role": "user", "content": "What is 5?"}], max_tokens=16, temperature=0
)
events = list(client.fine_tuning.jobs.list_events(job.id, limit=5))  # the client follows the pages
checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
at_checkpoint = client.chat.completions.create(
    model=checkpoints[0].fine_tuned_model_checkpoint,
    messages=[{"role": "user", "content": "What is 5?"}],
    max_tokens=16,
    temperature=0,
)
metrics = client.files.content(done.result_files[0]).text

bad = client.files.create(file=("bad.jsonl", b'{"messages": []}\n{"messages": 5}\n'), purpose="fine-tune")
failed = ended(client.fine_tuning.jobs.create(model=MODEL, training_file=bad.id).id)
deleted = client.models.delete(done.fine_tuned_model)
listed = [each.id for each in client.fine_tuning.jobs.list()]
for file in list(client.files.list()):
    client.files.delete(file.id)
print(
    json.dumps(
        {
            "status": done.status,
            "model": done.fine_tuned_model,
            "tokens": done.trained_tokens,
            "hyperparameters": done.method.supervised.hyperparameters.model_dump(),
            "answer": answer.choices[0].message.content,
            "at_checkpoint": at_checkpoint.choices[0].message.content,
            "checkpoints": [checkpoint.step_number for checkpoint in checkpoints],
            "events": [event.message for event in events],
            "metrics": metrics.splitlines()[0],
            "failed": {"status": failed.status, "error": failed.error.model_dump()},
            "deleted": deleted.deleted,
            "listed": listed,
            "job": job.id,
            "files_left": [file.id for file in client.files.list()],
        }
    )
)
