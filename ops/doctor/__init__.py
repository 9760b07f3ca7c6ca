"""`lazaretto doctor`: the hardening checklist, run against an installation.

`check` says what a check is, `subject` what all of them look at, `checklist` which there are and in what order,
`examine` runs them side by side. All other modules hold the checks, by theme. A check changes nothing that lasts, and
what it cannot tell it does not call sound.
"""
