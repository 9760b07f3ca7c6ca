"""One POST to somebody whom we do not trust: to no address but those that may be reached, and never for long."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests import receiver as answers
from tests.receiver import Receiver, reserve
from worker import clock
from worker.adapters.addresses import networks
from worker.adapters.receiver import Answer, Receivers, Resolve

LOOPBACK = networks(("127.0.0.0/8", "::1"))
TIMEOUT = 1.0
BODY = b'{"a": "\xc3\xa9"}'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.running() as running:
        yield running


def _deliver(
    url: str,
    *,
    allowed: Any = LOOPBACK,
    resolve: Resolve | None = None,
    body: bytes = BODY,
    timeout: float = TIMEOUT,
) -> Answer:
    receivers = Receivers(timeout=timeout, allowed=allowed, resolve=resolve)
    try:
        return receivers.deliver(url, {"webhook-id": "msg_1"}, body)
    finally:
        receivers.close()


def test_what_is_sent_arrives_as_it_is(receiver: Receiver) -> None:
    answer = _deliver(receiver.url)
    assert (answer.status_code, answer.error) == (204, None)
    [received] = receiver.received
    assert received.body == BODY
    assert (received.id, received.headers["host"]) == ("msg_1", f"127.0.0.1:{receiver.port}")


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 500, 503])
def test_whatever_is_no_success_is_a_failure_and_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = answers.say(status, location=receiver.url)
    answer = _deliver(receiver.url)
    assert answer.status_code == status
    assert answer.error == f"answered {status}" + ("; redirects are not followed" if status < 400 else "")
    assert answer.gone == (status == 410)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("how", [answers.hang, answers.drip])
def test_the_time_out_is_for_all_of_it(receiver: Receiver, how: answers.Answer) -> None:
    receiver.answer = how
    answer = _deliver(receiver.url)
    assert answer.error == "no answer within 1 s"
    assert TIMEOUT - 0.1 <= answer.seconds < TIMEOUT + 0.5


def test_a_receiver_that_reads_nothing_holds_nobody() -> None:
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        answer = _deliver(f"http://127.0.0.1:{deaf.getsockname()[1]}/", body=bytes(4 << 20))
    assert answer.error == "no answer within 1 s"
    assert answer.seconds < TIMEOUT + 0.5


def test_a_body_without_end_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answer = answers.drip_body
    answer = _deliver(receiver.url)
    assert (answer.status_code, answer.error) == (200, None)
    assert answer.seconds < TIMEOUT + 0.5


def test_a_body_that_stalls_is_waited_for_no_longer(receiver: Receiver) -> None:
    """Its status has been told; for as long as it is waited for, one delivery less is made."""
    receiver.answer = answers.stall_body
    answer = _deliver(receiver.url, timeout=8)
    assert (answer.status_code, answer.error) == (200, None)
    assert answer.seconds < 2.5


def test_a_name_that_nobody_waits_for_any_more_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are slow would keep all others waiting long after they had their time."""
    monkeypatch.setattr("worker.adapters.receiver._LOOKUPS", 1)
    slow, looked_up = threading.Event(), list[str]()

    def resolve(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        slow.wait()
        return ["127.0.0.1"]

    receivers = Receivers(timeout=0.2, allowed=LOOPBACK, resolve=resolve)
    with closing(receivers):
        errors = {receivers.deliver(f"http://{name}.test/", {}, BODY).error for name in ("slow", "late", "later")}
        slow.set()
        receivers.deliver("http://last.test/", {}, BODY)
    assert errors == {"no answer within 0.2 s"}
    assert looked_up == ["slow.test", "last.test"]


def test_a_gigabyte_is_not_read(receiver: Receiver) -> None:
    receiver.answer = answers.flood
    answer = _deliver(receiver.url)
    assert (answer.status_code, answer.error) == (200, None)
    assert receiver.flooded < 64 << 20, "what sockets hold, at most"
    assert answer.seconds < TIMEOUT / 2


def test_nobody_there_is_said() -> None:
    with reserve() as taken:
        answer = _deliver(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert answer.status_code is None
    assert "Connection refused" in (answer.error or "")


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0", 0), ("soon", None), ("-1", None), ("", None), ("9" * 40, 999_999_999)]
)
def test_retry_after_is_understood_in_seconds(receiver: Receiver, header: str, seconds: float | None) -> None:
    receiver.answer = answers.say(503, Retry_After=header)
    assert _deliver(receiver.url).retry_after == seconds


def test_retry_after_is_understood_as_a_date(receiver: Receiver) -> None:
    moment = clock.now() + timedelta(minutes=2)
    receiver.answer = answers.say(429, Retry_After=f"{moment:%a, %d %b %Y %H:%M:%S GMT}")
    assert _deliver(receiver.url).retry_after == pytest.approx(120, abs=3)


@pytest.mark.parametrize(
    "header", ["Fri, 31 Dec 99999999999 23:59:59 GMT", f"Fri, 31 Dec 2027 23:59:59 +{'9' * 20}", "Fri, 31 Dec 99999"]
)
@pytest.mark.parametrize("status", [204, 503])
def test_a_date_that_no_calendar_holds_is_no_wish_and_the_answer_counts(
    receiver: Receiver, status: int, header: str
) -> None:
    receiver.answer = answers.say(status, Retry_After=header)
    answer = _deliver(receiver.url)
    assert (answer.status_code, answer.retry_after) == (status, None)


def test_whatever_goes_wrong_is_put_on_record() -> None:
    """A fault that nobody has thought of would be tried for ever, and its receiver never be left in peace."""

    def broken(_host: str, _port: int) -> list[str]:
        raise RuntimeError("a resolver with a fault of its own")

    assert _deliver("http://receiver.test/", resolve=broken).error == "a resolver with a fault of its own"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "127.1"]
)
def test_loopback_is_out_of_reach_however_it_is_written(receiver: Receiver, host: str) -> None:
    answer = _deliver(f"http://{host}:{receiver.port}/", allowed=())
    assert "expected a public address" in (answer.error or "")
    assert not receiver.received


@pytest.mark.parametrize(
    "url", ["ftp://1.1.1.1/", "file:///etc/passwd", "http://", "http://user@127.0.0.1/", "http://u:p@127.0.0.1/", "x"]
)
def test_a_url_that_will_not_do_is_refused(url: str) -> None:
    assert "the URL will not do" in (_deliver(url).error or "")


@pytest.mark.parametrize(
    "url", ["http://a..b/", "http://" + "a" * 300 + "/", "http://1.1.1.1:99999/", "http://[::1/", "http://0177.0.0.1/"]
)
def test_a_url_that_is_broken_is_a_failure_like_any_other(url: str) -> None:
    assert _deliver(url).error


def test_of_several_addresses_only_those_that_may_be_reached_are_tried(receiver: Receiver) -> None:
    """The first is forbidden and listens; the second refuses; the third may be reached, and listens."""
    with Receiver.running(host="127.0.0.9", port=receiver.port) as forbidden:
        addresses = ["127.0.0.9", "127.0.0.2", "127.0.0.1"]
        url, allowed = f"http://many.test:{receiver.port}/", networks(("127.0.0.1", "127.0.0.2"))
        answer = _deliver(url, allowed=allowed, resolve=lambda *_: addresses)
    assert answer.error is None
    assert receiver.received[0].headers["host"] == f"many.test:{receiver.port}"
    assert not forbidden.received


def test_a_name_that_leads_elsewhere_the_second_time_is_looked_up_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what was checked is what is connected to."""
    real, asked = socket.getaddrinfo, list[str]()

    def rebinding(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "rebinding.test":
            asked.append(host)
            host = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with Receiver.running(host="127.0.0.2", port=receiver.port) as first:
        answer = _deliver(f"http://rebinding.test:{receiver.port}/", allowed=networks(("127.0.0.2",)))
    assert answer.error is None
    assert (len(first.received), len(receiver.received), len(asked)) == (1, 0, 1)


def test_a_resolver_that_is_silent_takes_no_longer_than_a_receiver() -> None:
    answer = _deliver("http://slow.test/", resolve=lambda *_: time.sleep(1.5) or [])  # type: ignore[func-returns-value]
    assert answer.error == "no answer within 1 s"
    assert answer.seconds < TIMEOUT + 0.3


def test_no_proxy_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert _deliver(receiver.url).error is None


@pytest.mark.parametrize(
    ("host", "told"), [("good.test", None), ("bad.test", "certificate verify failed: Hostname mismatch")]
)
def test_the_certificate_must_be_for_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, told: str | None
) -> None:
    """Although it is an address that we connect to."""
    chain = _certificate(tmp_path / "chain.pem", "good.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with Receiver.running(tls=context) as secured:
        answer = _deliver(f"https://{host}:{secured.port}/", resolve=lambda *_: ["127.0.0.1"])
    assert (answer.error is None) if told is None else (told in (answer.error or ""))
    assert len(secured.received) == (1 if told is None else 0)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path / "chain.pem", "good.test"))
    with Receiver.running(tls=context) as secured:
        answer = _deliver(f"https://good.test:{secured.port}/", resolve=lambda *_: ["127.0.0.1"])
    assert "certificate verify failed" in (answer.error or "")
    assert not secured.received


def _certificate(path: Path, name: str) -> Path:
    """A certificate that vouches for itself, with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.9"))])
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    dated = built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = dated.serial_number(1).add_extension(names, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return path
