"""Whoever receives webhooks: one POST, to an address that was checked, within one deadline for all of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from worker import clock
from worker.adapters.addresses import Network, permitted
from worker.adapters.hurried import Hurried, remaining

Resolve = Callable[[str, int], list[str]]

_LOOKUPS = 32  # names that are looked up at once
_LONGEST_ERROR = 500  # characters; some of them are the receiver's
_MOST_READ = 4096  # bytes of an answer's body, which says nothing that we need
_READ_SECONDS = 1.0  # how long we read it, so that a well-meaning server can finish
# Room for a whole body, so that no receiver holds us by reading it slowly; the kernel sees to the rest.
_OPTIONS = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)]
_REDIRECTS = range(300, 400)
_SUCCESSES = range(200, 300)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt."""

    seconds: float
    status_code: int | None = None  # None: there was no answer
    error: str | None = None  # None: delivered
    retry_after: float | None = None  # seconds; the receiver's wish

    @property
    def gone(self) -> bool:
        """Does the receiver want no webhooks any more? (Standard Webhooks: disable the endpoint.)"""
        return self.status_code == httpx.codes.GONE


class Receivers:
    """Safe to use from several threads. No proxy, no cookie, no redirect; a new connection for each delivery."""

    def __init__(self, *, timeout: float, allowed: Iterable[Network], resolve: Resolve | None = None) -> None:
        """`timeout` in seconds, from the look-up of the name to the answer's headers; `allowed` though private."""
        self._timeout, self._allowed = timeout, tuple(allowed)
        self._resolve = resolve or _system_resolver
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="resolver")
        self._tls = httpx.create_ssl_context()

    def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST it. Whatever goes wrong is an answer, too."""
        begun = time.monotonic()
        try:
            status, wish = self._post(httpx.URL(url), headers, body, begun + self._timeout)
        except (httpcore.TimeoutException, TimeoutError):
            return Answer(time.monotonic() - begun, error=f"no answer within {self._timeout:g} s")
        except Exception as fault:  # noqa: BLE001 - what is not put on record would be tried for ever
            return Answer(time.monotonic() - begun, error=(str(fault) or type(fault).__name__)[:_LONGEST_ERROR])
        return Answer(time.monotonic() - begun, status, _error(status), wish)

    def close(self) -> None:
        self._lookups.shutdown(wait=False, cancel_futures=True)

    def _post(
        self, url: httpx.URL, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> tuple[int, float | None]:
        """Status code, and the seconds of `Retry-After`."""
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            raise ValueError("the URL will not do, expected http:// or https://, a host, and no user name")
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        backend = _Pinned(self._addresses, deadline)
        with (
            httpcore.ConnectionPool(self._tls, network_backend=backend, socket_options=_OPTIONS) as pool,
            pool.stream("POST", target, headers=_lines(url, headers), content=body) as response,
        ):
            wish = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
            _read_a_little(response)
            return response.status, _seconds_to(wish)

    def _addresses(self, host: str, port: int, deadline: float) -> list[str]:
        """Where the host may be reached. Raises `OSError` where it is unknown, or nowhere that we may go."""
        looked_up: Future[list[str]] = self._lookups.submit(self._resolve, host, port)
        try:
            found = looked_up.result(timeout=remaining(deadline))
        finally:
            looked_up.cancel()  # nobody waits for it: it must not keep others waiting where names are slow
        fit = [address for address in found if permitted(address, self._allowed)]
        if not fit:
            expected = "expected a public address, or one within LAZARETTO_WEBHOOK_ALLOWED_NETWORKS"
            leads = "" if found == [host.strip("[]")] else f" leads to {', '.join(found) or 'nowhere'}"
            raise PermissionError(f"{host}{leads} may not be reached, {expected}")
        return fit


class _Pinned(httpcore.SyncBackend):
    """Connects to an address that was checked, not to a name that may lead elsewhere when it is looked up again.

    The name stays in `Host`, in the TLS handshake, and in what the certificate must be for.
    """

    def __init__(self, addresses: Callable[[str, int, float], list[str]], deadline: float) -> None:
        self._addresses, self._deadline = addresses, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port, self._deadline)
        for at, address in enumerate(addresses, 1):
            share = remaining(self._deadline) / (len(addresses) + 1 - at)  # one that is silent leaves time for the next
            try:
                stream = super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if at == len(addresses):
                    raise
            else:
                return Hurried(stream, self._deadline)
        raise httpcore.ConnectError("no address")


def _system_resolver(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _lines(url: httpx.URL, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    lines = {"host": url.netloc.decode("ascii"), "accept": "*/*"} | dict(headers)
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in lines.items()]


def _read_a_little(response: httpcore.Response) -> None:
    """Only that its server may finish; what it says, and whether it ends, does not matter."""
    read, connection = 0, response.extensions["network_stream"]
    if isinstance(connection, Hurried):
        connection.hurry(_READ_SECONDS)
    with suppress(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, TimeoutError):
        for chunk in response.iter_stream():
            read += len(chunk)
            if read >= _MOST_READ:
                return


def _error(status: int) -> str | None:
    if status in _SUCCESSES:
        return None
    return f"answered {status}; redirects are not followed" if status in _REDIRECTS else f"answered {status}"


def _seconds_to(value: bytes) -> float | None:
    """`Retry-After` in either of its forms (RFC 9110, 10.2.3); None for anything else."""
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):  # the last for a year, or an offset, without end
        return None
    aware: datetime = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - clock.now()).total_seconds())
