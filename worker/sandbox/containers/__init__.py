"""Formats, a module each: own small readers, for the one or two questions that are asked here.

What is it?         `inner_type(file) -> str | None`, where libmagic sees the wrapping only; None: it cannot tell more
Can it be seen?     `check` raises `Closed` where no scanner looks into it; `inside` goes through all that is held
Where things lie    `zip_directory`, `zip_entries`, `ole_streams`, `tape`, `window`

Libraries would unpack, repair and load much more than that, and take sizes from the file. Runs in the child; whatever
is read is bounded.
"""
