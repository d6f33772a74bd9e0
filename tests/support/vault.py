"""The bucket, object and secret text in the installation that is attacked."""

BUCKET, KEY, SECRET_TEXT = "vault", "plans.txt", b"the plans of the house"
