"""States of a training job in the words of the service model, with the sentences of its secondary ones."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class TrainingStatus(StrEnum):
    """The state of a training job."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


class SecondaryStatus(StrEnum):
    """The stage of a training job within its state."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    RESTARTING = "Restarting"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    COMPLETED = "Completed"
    FAILED = "Failed"


_ENDS = {TrainingStatus.STOPPED, TrainingStatus.COMPLETED, TrainingStatus.FAILED}
LIFECYCLE = Lifecycle(
    {
        TrainingStatus.IN_PROGRESS: {TrainingStatus.STOPPING} | _ENDS,
        TrainingStatus.STOPPING: _ENDS,
        **{end: set() for end in _ENDS},
    }
)
SENTENCES = {
    SecondaryStatus.STARTING: "Starting the training job",
    SecondaryStatus.DOWNLOADING: "Downloading input data",
    SecondaryStatus.TRAINING: "Training image download completed. Training in progress.",
    SecondaryStatus.UPLOADING: "Uploading generated training model",
    SecondaryStatus.RESTARTING: "Restarting the training job from its checkpoints",
    SecondaryStatus.STOPPING: "Stopping the training job",
    SecondaryStatus.STOPPED: "Training job stopped",
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    SecondaryStatus.COMPLETED: "Training job completed",
    SecondaryStatus.FAILED: "Training job failed",
}
PREPARING = "Preparing the instances for training"
"While the environment that an image stands for is made."
