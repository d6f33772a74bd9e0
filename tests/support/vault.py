"""What stands in the house that is attacked."""

BUCKET, KEY, SECRET_TEXT = "vault", "plans.txt", b"the plans of the house"
