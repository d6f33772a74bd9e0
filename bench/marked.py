"""Parts of a page that a program writes: what stands between its two marks, and nothing else of the page."""


def replaced(told: str, command: str, made: str) -> str:
    """The page with a new part of this command; before its first section where it has none yet."""
    begin, end = f"<!-- {command}: begin -->", f"<!-- {command}: end -->"
    part = f"{begin}\n{made}\n{end}"
    if begin in told:
        before, _, rest = told.partition(begin)
        assert end in rest, f"{end} is missing behind {begin}: write it there, or take both out"
        return f"{before}{part}{rest.partition(end)[2]}"
    before, mark, rest = told.partition("\n## ")
    return f"{before}\n{part}\n{mark}{rest}"
