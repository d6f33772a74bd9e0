"""Numbers that a job reports are points over time under its ARN, with CloudWatch's names and units."""

from pathlib import Path

from outcrop.clock import MovableClock
from outcrop.house import House
from outcrop.metrics.job_numbers import JobNumbers
from outcrop.metrics.series import Unit, series
from outcrop.settings import Settings

JOB = {"JobArn": "arn:job"}


def test_a_number_becomes_a_series_named_for_it_and_its_unit(tmp_path: Path) -> None:
    clock = MovableClock()
    with House.open(Settings(home=tmp_path), clock) as house:
        told = JobNumbers(house.points, clock)
        told("arn:job", {"training_loss": 1.5, "tokens_per_second": 800.0, "seconds_left": 9.0, "resident_bytes": 1e9})
        told("arn:job", {"training_loss": float("nan")})
        house.points.flush()
        assert house.points.series(dimensions=JOB) == [
            series("Outcrop/Jobs", "ResidentBytes", JOB, unit=Unit.BYTES),
            series("Outcrop/Jobs", "SecondsLeft", JOB, unit=Unit.SECONDS),
            series("Outcrop/Jobs", "TokensPerSecond", JOB, unit=Unit.PER_SECOND),
            series("Outcrop/Jobs", "TrainingLoss", JOB),
        ]
        assert house.points.left_out == 1
