"""The output of each recipe is data that a job takes, and learning it lowers the loss of what was held out."""

from outcrop.recipes.split import PartSizes, Share

FEW = PartSizes(train=Share(count=48), validation=Share(count=12))
