"""What Lazaretto relies on in an object store. Run it against another S3 before trusting that one."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections import Counter
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from tests import effects
from tests.effects import Point
from worker import clock
from worker.adapters import object_store
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Exactly, Form, Label, Place
from worker.errors import ContentChanged, ObjectMissing, ScratchChanged, StoreRefuses, StoreUnavailable

SMALLEST_PART = 5 * 2**20  # bytes; S3 takes no smaller one, but as the last
LABEL = Label("text/plain", {"sha256": "0" * 64})


@pytest.fixture
def objects(buckets: tuple[str, str]) -> ObjectStore:
    assert buckets
    return ObjectStore(connect_timeout=2, timeout=10)


@pytest.fixture
def bucket(buckets: tuple[str, str]) -> str:
    return buckets[0]


def _nothing() -> None:
    """No lease to look after."""


def _exactly(data: bytes) -> Exactly:
    return Exactly(len(data), hashlib.sha256(data).hexdigest())


def _read(objects: ObjectStore, bucket: str, key: str) -> bytes:
    info = objects.head(bucket, key)
    assert info is not None
    return b"".join(objects.fetch(bucket, key, info.etag))


def test_what_was_put_is_fetched(objects: ObjectStore, bucket: str) -> None:
    data = os.urandom(100_000)
    etag = objects.put(bucket, "k", data)
    assert b"".join(objects.fetch(bucket, "k", etag)) == data


def test_a_fetch_is_pinned(objects: ObjectStore, bucket: str) -> None:
    etag = objects.put(bucket, "k", b"one")
    objects.put(bucket, "k", b"two")
    with pytest.raises(ContentChanged):
        list(objects.fetch(bucket, "k", etag))


def test_a_missing_object_is_told_apart_from_an_outage(objects: ObjectStore, bucket: str) -> None:
    assert objects.head(bucket, "k") is None
    with pytest.raises(ObjectMissing):
        list(objects.fetch(bucket, "k", '"0"'))


def test_deleting_what_is_not_there_is_fine(objects: ObjectStore, bucket: str) -> None:
    objects.put(bucket, "k", b"x")
    objects.delete(bucket, "k")
    objects.delete(bucket, "k")
    assert objects.head(bucket, "k") is None


@pytest.mark.parametrize("size", [1000, 2 * object_store.PART + 1], ids=["at once", "in parts"])
def test_a_file_is_put_whole_and_labelled(objects: ObjectStore, bucket: str, size: int) -> None:
    data = os.urandom(size)
    calls: list[None] = []
    objects.put_file(Place(bucket, "k"), io.BytesIO(data), _exactly(data), LABEL, lambda: calls.append(None))
    assert _read(objects, bucket, "k") == data
    assert len(calls) == (1 if size < object_store.PART else 5), "the lease is checked before each call"
    info = objects.head(bucket, "k")
    assert info is not None
    assert info.metadata["sha256"] == "0" * 64


@pytest.mark.parametrize("size", [1000, 2 * object_store.PART + 1], ids=["at once", "in parts"])
@pytest.mark.parametrize("grown", [0, 1], ids=["other bytes", "more of them"])
def test_a_file_that_is_not_the_one_that_is_meant_is_not_put(
    objects: ObjectStore, bucket: str, size: int, grown: int
) -> None:
    meant, is_there = bytes(size), io.BytesIO(b"x" * (size + grown))
    with pytest.raises(ScratchChanged):
        objects.put_file(Place(bucket, "k"), is_there, _exactly(meant), LABEL, _nothing)
    assert objects.head(bucket, "k") is None
    assert objects.abort_all(bucket, "k") == 0, "no part of it is left either"


def test_an_upload_in_parts_is_nothing_until_it_is_completed(objects: ObjectStore, bucket: str) -> None:
    upload = objects.begin(bucket, "k")
    parts = [objects.put_part(bucket, "k", upload, 1, b"x" * 5 * 2**20)]
    assert objects.head(bucket, "k") is None
    parts.append(objects.put_part(bucket, "k", upload, 2, b"y"))
    etag = objects.complete(bucket, "k", upload, parts, 5 * 2**20 + 1)
    assert sum(map(len, objects.fetch(bucket, "k", etag))) == 5 * 2**20 + 1


def test_an_upload_whose_completion_nobody_heard_of_is_completed(objects: ObjectStore, bucket: str) -> None:
    """The answer was lost, and by the time of the repetition the store may have forgotten the upload."""
    upload = objects.begin(bucket, "k")
    parts = [objects.put_part(bucket, "k", upload, 1, b"x")]
    etag = objects.complete(bucket, "k", upload, parts, 1)
    forgotten = objects.begin(bucket, "k")
    objects.abort(bucket, "k", forgotten)
    for again in (upload, forgotten):
        assert objects.complete(bucket, "k", again, parts, 1) == etag
    with pytest.raises(ObjectMissing):
        objects.complete(bucket, "k", forgotten, parts, 2)


def test_only_stale_uploads_under_a_prefix_are_aborted(objects: ObjectStore, bucket: str) -> None:
    for key in ("a/1", "a/2", "b/1"):
        objects.begin(bucket, key)
    assert objects.abort_all(bucket, "a/", begun_before=clock.now() - timedelta(minutes=1)) == 0
    assert objects.abort_all(bucket, "a/", begun_before=clock.now() + timedelta(minutes=1)) == 2
    assert objects.abort_all(bucket, "") == 1


def test_an_aborted_upload_leaves_nothing(objects: ObjectStore, bucket: str) -> None:
    upload = objects.begin(bucket, "k")
    objects.put_part(bucket, "k", upload, 1, b"x")
    objects.abort_all(bucket, "k")
    objects.abort(bucket, "k", upload)
    assert objects.head(bucket, "k") is None
    with pytest.raises(ObjectMissing):
        objects.put_part(bucket, "k", upload, 2, b"x")


def test_an_address_works_without_credentials_and_names_the_file(objects: ObjectStore, bucket: str) -> None:
    objects.put_file(Place(bucket, "k"), io.BytesIO(b"x"), _exactly(b"x"), LABEL, _nothing)
    disposition = "attachment; filename*=UTF-8''a.txt"
    url = objects.download_url(bucket, "k", disposition=disposition, media_type="text/csv", seconds=30)
    answer = httpx.get(url)
    assert (answer.status_code, answer.content) == (200, b"x")
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["content-type"] == "text/csv"
    assert httpx.get(url.split("?", 1)[0]).status_code == 403


def test_keys_are_listed(objects: ObjectStore, bucket: str) -> None:
    for key in ("a/1", "a/2", "b/1"):
        objects.put(bucket, key, b"")
    assert list(objects.keys(bucket, "a/")) == ["a/1", "a/2"]


def test_a_bucket_that_is_not_there_is_told(objects: ObjectStore, bucket: str) -> None:
    objects.check(bucket)
    for ask in (lambda: objects.check("nowhere"), lambda: list(objects.fetch("nowhere", "k", '"0"'))):
        with pytest.raises(StoreRefuses, match="no bucket nowhere"):
            ask()


def test_a_store_that_is_away_is_told(buckets: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        ObjectStore(connect_timeout=0.2, timeout=0.2).put(buckets[0], "k", b"")


def test_only_what_does_no_harm_twice_is_repeated(buckets: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was slow would begin two uploads, one of them for nobody."""
    asked = Counter[str]()

    class Failing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._fail()

        def do_POST(self) -> None:
            self._fail()

        def log_message(self, *_: object) -> None:
            pass

        def _fail(self) -> None:
            asked[self.command] += 1
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_error(500)

    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        failing = ObjectStore(connect_timeout=1, timeout=1)
        for call in (partial(failing.put, buckets[0], "k", b"x"), partial(failing.begin, buckets[0], "k")):
            with pytest.raises(StoreUnavailable):
                call()
        server.shutdown()
    assert asked == {"PUT": 2, "POST": 1}


def test_no_body_waits_for_an_invitation(buckets: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A round trip for each, and 25 reads of one byte."""
    asked = list[tuple[str, str | None]]()

    class Noting(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked.append((self.path, self.headers["Expect"]))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("ETag", '"0"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Noting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        noted = ObjectStore(connect_timeout=1, timeout=5)
        noted.put(buckets[0], "k", b"x")
        noted.put_part(buckets[0], "k", "u", 1, bytes(SMALLEST_PART))
        server.shutdown()
    assert asked == [(f"/{buckets[0]}/k", None), (f"/{buckets[0]}/k?uploadId=u&partNumber=1", None)]


def test_credentials_that_do_not_fit_are_told(buckets: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    stranger = ObjectStore(connect_timeout=2, timeout=2)
    large = bytes(object_store.PART)  # which is refused before it has arrived
    for ask in (
        lambda: stranger.put(buckets[0], "k", b""),
        lambda: stranger.put(buckets[0], "k", large),
        lambda: stranger.check(buckets[0]),
    ):
        with pytest.raises(StoreRefuses, match="refuses us"):
            ask()


@pytest.mark.parametrize("size", [0, 1000, 2 * SMALLEST_PART + 1], ids=["empty", "at once", "in parts"])
def test_a_copy_is_made_inside_the_store(
    objects: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(object_store, "COPY_PART", SMALLEST_PART)
    data, calls = os.urandom(size), list[None]()
    objects.put(bucket, "k?versionId=1#%2e", data)
    found = objects.head(bucket, "k?versionId=1#%2e")
    assert found is not None
    source, target = Place(bucket, "k?versionId=1#%2e"), Place(bucket, "sealed")
    copied = objects.copy(source, target, found, lambda: calls.append(None))
    assert (copied.size, _read(objects, bucket, "sealed")) == (size, data)
    assert len(calls) == (5 if size > SMALLEST_PART else 1), "each call is preceded by a look at the lease"


@pytest.mark.parametrize("size", [1000, SMALLEST_PART + 1], ids=["at once", "in parts"])
@pytest.mark.parametrize(("then", "fault"), [(b"other", ContentChanged), (None, ObjectMissing)])
def test_a_copy_is_pinned(
    objects: ObjectStore,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    then: bytes | None,
    fault: type[Exception],
) -> None:
    monkeypatch.setattr(object_store, "COPY_PART", SMALLEST_PART)
    objects.put(bucket, "k", bytes(size))
    found = objects.head(bucket, "k")
    assert found is not None
    objects.delete(bucket, "k") if then is None else objects.put(bucket, "k", then)
    with pytest.raises(fault):
        objects.copy(Place(bucket, "k"), Place(bucket, "sealed"), found, _nothing)
    assert objects.head(bucket, "sealed") is None
    assert objects.abort_all(bucket, "sealed") == 0


def _post(form: Form, data: bytes, **changes: str | None) -> int:
    """The status that the store answers; a change to None leaves a field out."""
    fields = {name: value for name, value in (dict(form.fields) | changes).items() if value is not None}
    return httpx.post(form.url, data=fields, files={"file": ("f", data, "text/html")}).status_code


def test_a_form_brings_what_it_is_for(objects: ObjectStore, bucket: str) -> None:
    form = objects.upload_form(Place(bucket, "incoming/a/k"), content_type="text/plain", size=5, seconds=60)
    assert _post(form, b"hello") in (200, 204)
    assert _read(objects, bucket, "incoming/a/k") == b"hello"


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (b"hello!", {}),
        (b"hell", {}),
        (b"", {}),
        (b"hello", {"Content-Type": "text/html"}),
        (b"hello", {"Content-Type": None}),
        (b"hello", {"key": "incoming/b/k"}),
        (b"hello", {"key": "sealed/k"}),
        (b"hello", {"key": "incoming/a/../../sealed/k"}),
        (b"hello", {"x-amz-meta-more": "x"}),
        (b"hello", {"x-amz-signature": "0" * 64}),
        (b"hello", {"policy": None}),
    ],
    ids=["larger", "smaller", "empty", "type", "no type", "key", "sealed", "path", "more", "signature", "no policy"],
)
def test_a_form_brings_nothing_else(
    objects: ObjectStore, bucket: str, data: bytes, changes: dict[str, str | None]
) -> None:
    form = objects.upload_form(Place(bucket, "incoming/a/k"), content_type="text/plain", size=5, seconds=60)
    assert 400 <= _post(form, data, **changes) < 500
    assert list(objects.keys(bucket)) == []


def test_a_form_that_has_expired_brings_nothing(objects: ObjectStore, bucket: str) -> None:
    form = objects.upload_form(Place(bucket, "incoming/a/k"), content_type="text/plain", size=5, seconds=-1)
    assert _post(form, b"hello") == 403
    assert list(objects.keys(bucket)) == []


def test_only_the_object_that_is_meant_is_deleted(objects: ObjectStore, bucket: str) -> None:
    first, second = objects.put(bucket, "k", b"first"), objects.put(bucket, "k", b"second")
    objects.delete_exactly(bucket, "k", first)
    assert _read(objects, bucket, "k") == b"second"
    for _ in range(2):
        objects.delete_exactly(bucket, "k", second)
        assert objects.head(bucket, "k") is None


def test_what_is_written_just_before_a_deletion_stays(objects: ObjectStore, bucket: str) -> None:
    """Where the store knows a condition on DELETE, as ours does."""
    first = objects.put(bucket, "k", b"first")
    with effects.at(
        objects, Point("before S3 DeleteObject", 1), partial(objects.put, bucket, "k", b"second")
    ) as reached:
        objects.delete_exactly(bucket, "k", first)
    assert reached
    assert _read(objects, bucket, "k") == b"second"
