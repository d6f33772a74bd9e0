"""Prints what TensorBoard reads in a folder of event files: by tag, the steps and the values."""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

read = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
read.Reload()
tags = read.Tags()["scalars"]
print(json.dumps({tag: [[scalar.step, scalar.value] for scalar in read.Scalars(tag)] for tag in tags}))
