"""Amazon's built-in data sets, which are not here: for each the file to bring instead.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-evaluation-prompt-datasets-builtin.html
"""

PREFIX = "Builtin."
_FILES = {
    "Builtin.Bold": "the prompts of BOLD (github.com/amazon-science/bold), category its domain",
    "Builtin.RealToxicityPrompts": "prompts.jsonl of RealToxicityPrompts (allenai.org), prompt its text",
    "Builtin.T-REx": "questions made of T-REx (hadyelsahar.github.io/t-rex), referenceResponse the object",
    "Builtin.WikiText2": "beginnings of articles of WikiText-2",
    "Builtin.Gigaword": "articles of Gigaword, referenceResponse the headline",
    "Builtin.BoolQ": "dev.jsonl of BoolQ (github.com/google-research-datasets/boolean-questions), referenceResponse "
    "its answer",
    "Builtin.NaturalQuestions": "questions of Natural Questions (ai.google.com/research/NaturalQuestions), "
    "referenceResponse the short answer",
    "Builtin.TriviaQA": "questions of TriviaQA (nlp.cs.washington.edu/triviaqa), referenceResponse the answer",
    "Builtin.WomensEcommerceClothingReviews": "reviews of Women's E-Commerce Clothing Reviews (kaggle.com), "
    "referenceResponse the rating",
}


def problem_of(name: str, at: str) -> str:
    """The sentence about a data set that has no place in S3."""
    if not name.startswith(PREFIX):
        return f"{at}.datasetLocation: missing. Give s3Uri, the place of a .jsonl file."
    known = {each.casefold(): told for each, told in _FILES.items()}.get(name.casefold())
    bring = f"bring {known}" if known else "bring its records"
    return (
        f"{at}.name: {name} is Amazon's and is not shipped with Outcrop: {bring}, as lines of "
        '{"prompt": …, "referenceResponse": …, "category": …} in a .jsonl file in S3, and name the file in '
        "datasetLocation.s3Uri."
    )
