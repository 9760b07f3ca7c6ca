"""Formats that are containers: what libmagic takes for the wrapping, told apart by what is inside.

One module per family, each with `inner_type(file) -> str | None`; None: as far as it can tell, just the container.
Runs in the child; whatever is read is bounded.
"""
