"""Pictures from users, shown to others once Lazaretto has let them pass.

POST /pictures              a form with the field `file`        202, the picture and its status
GET  /pictures/{id}                                             its status, and what was wrong with it
GET  /pictures/{id}/file                                        the picture itself, once it is clean
POST /webhooks              for Lazaretto, which tells of every outcome
"""

from __future__ import annotations

import os
import threading
from typing import Any

from fastapi import FastAPI, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse, RedirectResponse

from lazaretto_client import Lazaretto, Problem, Scan, Unreachable, WebhookInvalid, verify_webhook

lazaretto = Lazaretto(os.environ["LAZARETTO_URL"], os.environ["LAZARETTO_API_KEY"])
secret = os.environ["LAZARETTO_WEBHOOK_SECRET"]
pictures: dict[str, Scan] = {}  # by id; a table of your database
taking_turns = threading.Lock()
app = FastAPI(title="Pictures")


@app.post("/pictures", status_code=202)
def take(file: UploadFile) -> dict[str, Any]:
    """Pass a file on as it comes; nobody looks into it here. Its outcome comes as a webhook."""
    scan = lazaretto.upload(file.file, filename=file.filename or "")
    remember(scan)
    return shown(pictures[scan.id])


@app.get("/pictures/{picture_id}")
def show(picture_id: str) -> dict[str, Any]:
    return shown(known(picture_id))


@app.get("/pictures/{picture_id}/file")
def fetch(picture_id: str) -> RedirectResponse:
    """Send whoever may see the picture to the clean bucket, by an address that works for a minute."""
    return RedirectResponse(lazaretto.content_url(known(picture_id).id), 307)


@app.post("/webhooks", status_code=204)
async def hear(request: Request) -> None:
    """Whatever is answered with 2xx is not sent again; anything else is, for a day."""
    try:
        event = verify_webhook(await request.body(), request.headers, secret)
    except WebhookInvalid as fault:
        raise HTTPException(400, str(fault)) from fault
    if event.scan is not None:  # None: an event that only tries whether webhooks arrive
        remember(event.scan)


def remember(scan: Scan) -> None:
    """Webhooks may come twice, in any order, or before the upload is answered: what is newer stands."""
    with taking_turns:
        before = pictures.get(scan.id)
        if before is None or (scan.decision, scan.ended) >= (before.decision, before.ended):
            pictures[scan.id] = scan


def known(picture_id: str) -> Scan:
    if picture_id not in pictures:
        raise HTTPException(404, "There is no such picture.")
    return pictures[picture_id]


def shown(scan: Scan) -> dict[str, Any]:
    """What our users see."""
    why = [reason.message for reason in scan.reasons]
    return {"id": scan.id, "filename": scan.filename, "status": scan.status, "ready": scan.passed, "why": why}


@app.exception_handler(Problem)
def refused(_request: Request, fault: Exception) -> JSONResponse:
    """What is wrong with the file, our users may know; what is wrong with us, they may not."""
    if isinstance(fault, Problem) and fault.status in (409, 410, 413):
        return JSONResponse({"detail": fault.detail, "expected": fault.expected}, fault.status)
    return JSONResponse({"detail": "Pictures cannot be taken in or shown at present."}, 503)


app.add_exception_handler(Unreachable, refused)
