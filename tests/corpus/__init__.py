"""Files of every kind, made at run time, with the outcome that each must have: hostile, odd and ordinary ones.

One module per family, each with `CASES`. Nothing here is ever committed as bytes: the repository must not trip its
users' scanners.
"""
