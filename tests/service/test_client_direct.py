"""A direct upload: the form goes straight to a real store, as it demands it, and without the key."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lazaretto_client import Lazaretto, Problem
from tests.conftest import store_of
from tests.peer import Answer, Peer
from tests.recorder import Recorder

KEY, DATA, PLACE = "an-api-key", os.urandom(1_000_000), "incoming/pictures/1"
KIND = "image/jpeg"
ACCEPTED = Answer(202, b'{"id": "1", "status": "queued", "filename": "photo.jpg"}')


@contextmanager
def _promised(s3: dict[str, str], bucket: str, size: int) -> Iterator[tuple[Peer, Recorder]]:
    """What the API answers: a form that the store takes for so many bytes, and then the scan."""
    with store_of(s3) as store, Recorder.running(s3["AWS_ENDPOINT_URL_S3"]) as public:
        conditions: list[object] = [["content-length-range", size, size], {"Content-Type": KIND}]
        form = store.generate_presigned_post(bucket, PLACE, {"Content-Type": KIND}, conditions, 60)
        url = f"{public.url}/{bucket}"
        promise = {"scan": {}, "url": url, "fields": form["fields"], "key": PLACE, "expires_at": None}
        with Peer.running(Answer(201, json.dumps(promise).encode()), ACCEPTED) as api:
            yield api, public


def _stored(s3: dict[str, str], bucket: str) -> bytes:
    with store_of(s3) as store:
        return store.get_object(Bucket=bucket, Key=PLACE)["Body"].read()


def test_the_bytes_go_straight_to_the_store(s3: dict[str, str], buckets: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(DATA)
    told: list[tuple[int, int | None]] = []
    with _promised(s3, buckets[0], len(DATA)) as (api, store), Lazaretto(api.url, KEY) as lazaretto:
        scan = lazaretto.upload_direct(path, metadata={"user": 7}, progress=lambda *sent: told.append(sent))
    assert (scan.id, told[-1]) == ("1", (len(DATA), len(DATA)))
    assert _stored(s3, buckets[0]) == DATA
    wanted = {"filename": "photo.jpg", "content_type": KIND, "size": len(DATA), "metadata": {"user": 7}}
    assert [(each.path, json.loads(each.body)) for each in api.seen] == [
        ("/v1/uploads/presigned", wanted),
        ("/v1/scans", {"key": PLACE}),
    ]
    assert b"authorization:" not in store.said.lower()
    assert KEY.encode() not in store.said


def test_what_the_store_refuses_is_a_problem_and_no_scan(s3: dict[str, str], buckets: tuple[str, str]) -> None:
    promise, refusal = _promised(s3, buckets[0], len(DATA) - 1), pytest.raises(Problem)
    with promise as (api, _), Lazaretto(api.url, KEY) as lazaretto, refusal as refused:
        lazaretto.upload_direct(io.BytesIO(DATA), filename="photo.jpg")
    assert (refused.value.code, refused.value.retryable) == ("store_refuses", False)
    assert [each.path for each in api.seen] == ["/v1/uploads/presigned"]


def test_what_has_no_size_cannot_be_announced() -> None:
    read, write = os.pipe()
    os.close(write)
    refusal = pytest.raises(ValueError, match="announces its size")
    with os.fdopen(read, "rb") as pipe, Lazaretto("http://127.0.0.1:1", KEY) as lazaretto, refusal:
        lazaretto.upload_direct(pipe)
