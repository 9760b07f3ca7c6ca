"""The client of Lazaretto: upload files, learn what became of them, fetch what is clean.

    with Lazaretto("http://127.0.0.1:8000", key) as lazaretto:
        scan = lazaretto.wait(lazaretto.upload("photo.jpg").id)
        if scan.passed:
            lazaretto.download(scan.id, "clean.jpg")

`client` is what is called, with `operations` for operators; `records` is what comes back, `faults` what is raised,
`webhooks` the receiving side. Below lie `sources` (files to send, again where that can be), `forms` (multipart),
`speech` (requests and answers) and `transport` (HTTP, repeated where that can help).
"""

from lazaretto_client.client import Lazaretto
from lazaretto_client.faults import LazarettoError, Problem, Unreachable, WaitTimeout, WebhookInvalid
from lazaretto_client.records import Failure, Page, Promoted, Reason, Retried, Scan, Scanner, Stretch, Transition
from lazaretto_client.webhooks import Event, verify_webhook

__all__ = [
    "Event",
    "Failure",
    "Lazaretto",
    "LazarettoError",
    "Page",
    "Problem",
    "Promoted",
    "Reason",
    "Retried",
    "Scan",
    "Scanner",
    "Stretch",
    "Transition",
    "Unreachable",
    "WaitTimeout",
    "WebhookInvalid",
    "verify_webhook",
]
