"""The entry point of a JumpStart fine-tuning: the training of this installation, on the channels of the job."""

import os
import sys

os.environ.setdefault("TQDM_DISABLE", "1")  # a log keeps every state of a progress bar

from outcrop.sagemaker.jumpstart.fine_tuning import main

sys.exit(main())
