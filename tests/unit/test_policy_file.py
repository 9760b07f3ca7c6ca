"""The policy file: what a service inherits, and how faults are told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ops import policy_reference
from worker.policy_file import PolicyFault, PolicyFile
from worker.settings import REPOSITORY
from worker.toml_lines import Lines

DEFAULT = (REPOSITORY / "ops" / "policy.toml").read_text()

FAULTY = """# what may be uploaded
[default]
max_size = "2 GiB"
max_pixels = 0
max_frames = 1_000
types = [
    # images
    "image/jpeg",
    "image/jpg",
]
[default.images]
treatmnt = "keep"

[services.avatars]
max_siz = 3
types = "image/png"
[services.avatars.limits]
requests_per_minute = -3

[services."Bad Name"]
"""


def _load(folder: Path, text: str) -> PolicyFile:
    path = folder / "policy.toml"
    path.write_text(text)
    return PolicyFile.load(path)


def test_a_service_says_only_what_is_different(tmp_path: Path) -> None:
    own = '[services.avatars]\ntypes = ["image/png"]\nmax_size = "5 MiB"\n[services.avatars.images]\nmax_width = 256\n'
    file = _load(tmp_path, DEFAULT.replace('treatment = "reencode"', "quality = 70") + own)
    avatars, others = file.of("avatars"), file.of("invoices")
    assert others == file.default
    assert (avatars.types, avatars.max_size, avatars.max_frames) == (
        frozenset({"image/png"}),
        5 << 20,
        others.max_frames,
    )
    assert (avatars.images.quality, avatars.images.max_width) == (70, 256)
    assert avatars.fingerprint != others.fingerprint
    assert file.largest_upload == others.max_size


def test_the_largest_upload_may_be_a_service_s(tmp_path: Path) -> None:
    file = _load(tmp_path, DEFAULT.replace("2 GiB", "1 MiB") + '[services.films]\nmax_size = "1 GiB"\n')
    assert file.largest_upload == 1 << 30


def test_every_fault_is_told_with_its_line_and_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyFault) as caught:
        _load(tmp_path, FAULTY)
    told = [fault.removeprefix(str(tmp_path / "policy.toml:")) for fault in caught.value.faults]
    assert told == [
        "4: default.max_pixels: got 0; input should be greater than 0",
        "9: default.types.1: got 'image/jpg'; unknown media type; is image/jpeg meant?",
        "12: default.images.treatmnt: there is no such key; is treatment meant?",
        "15: services.avatars.max_siz: there is no such key; is max_size meant?",
        "16: services.avatars.types: expected a list, got 'image/png'",
        "18: services.avatars.limits.requests_per_minute: got -3; input should be greater than 0",
        "20: services.Bad Name: no name of a service, expected a-z, 0-9, - and _, beginning with a letter or digit",
    ]


def test_a_missing_key_is_told_at_the_table_that_lacks_it(tmp_path: Path) -> None:
    with pytest.raises(PolicyFault, match=r"policy\.toml:2: default\.max_frames: missing"):
        _load(tmp_path, '\n[default]\nmax_size = 1\nmax_pixels = 1\ntypes = ["image/png"]\n[services.a]\n')


@pytest.mark.parametrize("who", ["user:s3cret@", "s3cret@", ":s3cret@"])
def test_a_webhook_that_every_delivery_would_refuse_is_refused_and_its_password_not_shown(
    tmp_path: Path, who: str
) -> None:
    with pytest.raises(PolicyFault) as refused:
        _load(tmp_path, DEFAULT + f'[services.avatars]\nwebhook_url = "https://{who}avatars.example/"\n')
    [fault] = refused.value.faults
    assert f":{DEFAULT.count(chr(10)) + 2}: services.avatars.webhook_url: it holds a user name" in fault
    assert "s3cret" not in fault


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[default\n", "line 1"),
        ("a = 1\na = 2\n", "line 2"),
        ("\xff", "policy.toml"),
        ("", "default: missing"),
        (f"a = {'9' * 5000}\n", "4300"),  # from here on tomllib raises what is not its own
        (f"a = {'[' * 5000}\n", "recursion"),
    ],
)
def test_what_is_no_policy_at_all_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(PolicyFault) as caught:
        PolicyFile.load(path)
    assert told in caught.value.message


@pytest.mark.parametrize("prefix", ["", "/", "a", "../", "a//", "A/", "a/../b/", "a/./"])
def test_prefixes_that_are_none_are_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(PolicyFault, match=r"services\.a\.prefix"):
        _load(tmp_path, f'{DEFAULT}[services.a]\nprefix = "{prefix}"\n')


@pytest.mark.parametrize(
    ("path", "line"),
    [(("a", "b"), 2), (("a", "c", 1), 5), (("a", "d", "e"), 8), (("a", "x"), 1), (("nowhere",), 1), (("a", "long"), 9)],
)
def test_lines(path: tuple[str | int, ...], line: int) -> None:
    text = '[a]\nb = 1\nc = [\n  "one",\n  "two",\n]\n\nd.e = 2\nlong = """\nb = 3\n"""\n'
    assert Lines(text).of(path) == line


def test_faults_in_a_long_file_hold_nobody_up(tmp_path: Path) -> None:
    """Whoever next asks for rules reads the file, the API's loop included: with 300 services it stood for a minute."""
    wrong = [f'\n[services.s{at}]\nmax_size = "5 MiB"\n[services.s{at}.images]\nmax_width = 0\n' for at in range(300)]
    begun = time.monotonic()
    with pytest.raises(PolicyFault) as refused:
        _load(tmp_path, DEFAULT + "".join(wrong))
    assert time.monotonic() - begun < 3
    assert len(refused.value.faults) == 300
    assert f":{DEFAULT.count(chr(10)) + 300 * 5}: services.s299.images.max_width" in refused.value.faults[-1]


def test_the_reference_is_up_to_date() -> None:
    assert policy_reference.PAGE.read_text() == policy_reference.page(), "run `python -m ops.policy_reference`"
