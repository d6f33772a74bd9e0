"""The numbers in which a served network keeps its weights."""

from enum import StrEnum


class WeightPrecision(StrEnum):
    """The numbers in which weights are kept."""

    FP32 = "fp32"
    "As they were trained, or as the accelerator computes."
    INT8 = "int8"
    "A byte a weight, with a scale for each output; a quarter of the memory that a step reads."
