"""Keys and signatures in minisign's formats: golden files, Debian's own program, any bytes."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.errors import KeyFileError, LsiError, SignatureMismatchError
from lsi.minisign import MAX_COMMENT, MAX_KEY_BYTES, PublicKey, SecretKey, Signature

PUBLIC = b"""untrusted comment: minisign public key A4793CC70CC143E2
RWTiQ8EMxzx5pGiGId6B2HFmVmlFA1+LqoC3LL5yKva0HObHgEQ8WWvn
"""
SECRET = b"""untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4kPBDMc8eaTONYxF9rhB8WoJrKC0T2e2VS1cU16hA/XT\
KTXgPVK5Q2iGId6B2HFmVmlFA1+LqoC3LL5yKva0HObHgEQ8WWvnAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
"""
MESSAGE = b"hello\n"
SIGNED = b"""untrusted comment: untr
RUTiQ8EMxzx5pJVUWnKYcHlYyaT+tXjo2faBujq1sOq7gyDrwPF+kJCCzAb5dIG/+CtUWHfUKgGa3D1Td730VwEM6SiXnpr4RgA=
trusted comment: my trusted
5pm2LFiZeNTBIsdQmira0oS0QwWiL01gHy6+OpBL8uDf8REEGgx1u7ArzgqwR7udwPBM0/0hFa+yHWla4VIXBg==
"""
"""A throwaway pair and a signature that minisign 0.11 made; Ed25519 signatures are deterministic."""

KEY = SecretKey(b"12345678", bytes(range(32)))


def second_line(text: bytes) -> bytes:
    return base64.b64decode(text.splitlines()[1])


def with_second_line(text: bytes, packed: bytes) -> bytes:
    lines = text.splitlines()
    return b"\n".join([lines[0], base64.b64encode(packed), *lines[2:], b""])


def test_the_files_of_minisign_are_read_and_reproduced_to_the_byte() -> None:
    public, secret = PublicKey.parse(PUBLIC, "a.pub"), SecretKey.parse(SECRET, "a.key")
    assert public.name == "A4793CC70CC143E2"
    assert secret.public_key == public
    assert public.to_text() == PUBLIC
    signature = secret.sign(MESSAGE, "my trusted")
    assert signature.to_text("untr") == SIGNED
    assert signature == Signature.parse(SIGNED, "f")
    public.check(signature, MESSAGE)


def test_another_message_comment_or_key_is_refused_with_its_reason() -> None:
    signature = KEY.sign(MESSAGE, "one")
    with pytest.raises(SignatureMismatchError, match="is not this content"):
        KEY.public_key.check(signature, MESSAGE + b" ")
    with pytest.raises(SignatureMismatchError, match="trusted comment"):
        KEY.public_key.check(replace(signature, trusted_comment="two"), MESSAGE)
    other = replace(KEY, seed=bytes(32)).public_key
    with pytest.raises(SignatureMismatchError, match="trusted comment"):
        other.check(signature, MESSAGE)
    forged = Signature(KEY.key_id, bytes(64), "one", KEY.sign(MESSAGE, "one").global_signature)
    with pytest.raises(SignatureMismatchError, match="trusted comment"):
        KEY.public_key.check(forged, MESSAGE)


def test_what_is_written_is_read_back() -> None:
    assert SecretKey.parse(KEY.to_text(), "k") == KEY
    assert PublicKey.parse(KEY.public_key.to_text(), "p") == KEY.public_key
    signature = KEY.sign(MESSAGE, "one")
    assert Signature.parse(signature.to_text("x"), "s") == signature
    assert Signature.parse(signature.to_text("x").replace(b"\n", b"\r\n"), "s") == signature


def test_two_generated_keys_differ() -> None:
    assert SecretKey.generate() != SecretKey.generate()


def test_a_secret_key_does_not_show_itself() -> None:
    assert repr(KEY) == "SecretKey(3837363534333231)"


@pytest.mark.parametrize("position", [*range(54, 62), 62, 93, 94, 125, 126, 157])
def test_a_secret_key_with_a_flipped_byte_is_refused(position: int) -> None:
    """Key id, seed, public half and checksum; head and salt stand before them."""
    packed = bytearray(second_line(KEY.to_text()))
    packed[position] ^= 1
    with pytest.raises(KeyFileError, match="halves do not belong together"):
        SecretKey.parse(with_second_line(KEY.to_text(), bytes(packed)), "k")


def test_a_secret_key_with_a_password_says_how_to_get_one_without() -> None:
    packed = second_line(SECRET)
    locked = with_second_line(SECRET, packed[:2] + b"Sc" + packed[4:])
    with pytest.raises(KeyFileError, match="minisign -C -W"):
        SecretKey.parse(locked, "k")


def test_the_older_signature_of_the_message_itself_is_refused() -> None:
    packed = second_line(SIGNED)
    with pytest.raises(SignatureMismatchError, match="not prehashed"):
        Signature.parse(with_second_line(SIGNED, b"Ed" + packed[2:]), "s")


def test_a_public_key_of_another_algorithm_is_refused() -> None:
    with pytest.raises(KeyFileError, match="not Ed25519"):
        PublicKey.parse(with_second_line(PUBLIC, b"Xx" + second_line(PUBLIC)[2:]), "p")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        PUBLIC[1:],
        PUBLIC.splitlines()[1],
        PUBLIC + b"\n",
        PUBLIC.replace(b"WWvn", b"WWv="),
        PUBLIC.replace(b"RWTi", b" RWTi"),
        PUBLIC.replace(b"key", b"k\x1by"),
        PUBLIC.replace(b"key", b"\xff"),
        PUBLIC.replace(b"public", b"p" * MAX_KEY_BYTES),
        SECRET,
        SIGNED,
    ],
)
def test_a_file_that_is_no_public_key_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(KeyFileError, match=r"^owner\.pub is not a minisign public key"):
        PublicKey.parse(text, "owner.pub")


def test_base64_is_read_in_one_form_only() -> None:
    """The last digit of the global signature carries two bits that decode to nothing."""
    assert SIGNED.count(b"XBg==") == 1
    with pytest.raises(SignatureMismatchError, match="no 64 bytes in base64"):
        Signature.parse(SIGNED.replace(b"XBg==", b"XBh=="), "s")


@pytest.mark.parametrize("comment", ["two\nlines", "bell\a", "x" * (MAX_COMMENT + 1)])
def test_a_comment_that_is_not_one_line_is_not_signed(comment: str) -> None:
    with pytest.raises(ValueError, match="one printable line"):
        KEY.sign(MESSAGE, comment)


def test_an_error_about_a_secret_key_holds_nothing_of_it() -> None:
    damaged = SECRET.replace(b"TONYxF", b"TONYx")
    with pytest.raises(KeyFileError) as refused:
        SecretKey.parse(damaged, "k")
    chain = f"{refused.value} {refused.value.__cause__} {refused.value.__cause__.__context__!r}"  # type: ignore[union-attr] # has a cause
    assert "TONYx" not in chain


def mutated(*texts: bytes) -> st.SearchStrategy[bytes]:
    """Any bytes, and good files with a piece replaced by any bytes."""
    pieces = st.tuples(
        st.sampled_from(texts), st.integers(0, 400), st.integers(0, 40), st.binary(max_size=12)
    )
    near = pieces.map(lambda cut: cut[0][: cut[1]] + cut[3] + cut[0][cut[1] + cut[2] :])
    packed = st.tuples(st.sampled_from(texts), st.binary(max_size=200)).map(
        lambda made: with_second_line(made[0], made[1])
    )
    return st.binary(max_size=600) | near | packed


@given(mutated(PUBLIC, KEY.public_key.to_text()))
@settings(max_examples=300)
def test_any_bytes_are_a_public_key_or_a_typed_error(text: bytes) -> None:
    try:
        key = PublicKey.parse(text, "p")
    except LsiError as error:
        assert type(error) is KeyFileError  # noqa: PT017 - either outcome is right
        return
    assert PublicKey.parse(key.to_text(), "p") == key
    with pytest.raises(SignatureMismatchError):
        key.check(KEY.sign(MESSAGE, "one"), MESSAGE + b"!")


@given(mutated(SECRET, KEY.to_text()))
@settings(max_examples=300)
def test_any_bytes_are_a_secret_key_or_a_typed_error(text: bytes) -> None:
    try:
        key = SecretKey.parse(text, "k")
    except LsiError as error:
        assert type(error) is KeyFileError  # noqa: PT017 - either outcome is right
        return
    key.public_key.check(key.sign(MESSAGE, "one"), MESSAGE)


@given(mutated(SIGNED, KEY.sign(MESSAGE, "my trusted").to_text("x")))
@settings(max_examples=300)
def test_any_bytes_are_a_signature_or_a_typed_error(text: bytes) -> None:
    try:
        signature = Signature.parse(text, "s")
        PublicKey.parse(PUBLIC, "p").check(signature, MESSAGE)
    except LsiError as error:
        assert type(error) is SignatureMismatchError  # noqa: PT017 - either outcome is right
        return
    assert signature.trusted_comment == "my trusted"
    assert signature.signature == Signature.parse(SIGNED, "s").signature


class TestAgainstMinisign:
    """Debian's program verifies ours, and we verify its."""

    def test_minisign_verifies_our_signature(self, minisign_path: str, tmp_path: Path) -> None:
        (tmp_path / "m").write_bytes(MESSAGE)
        (tmp_path / "m.minisig").write_bytes(KEY.sign(MESSAGE, "said by us").to_text("x"))
        (tmp_path / "k.pub").write_bytes(KEY.public_key.to_text())
        command = [minisign_path, "-V", "-p", "k.pub", "-m", "m"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert "Signature and comment signature verified" in said
        assert "said by us" in said

    def test_minisign_refuses_our_signature_of_something_else(
        self, minisign_path: str, tmp_path: Path
    ) -> None:
        (tmp_path / "m").write_bytes(MESSAGE)
        (tmp_path / "m.minisig").write_bytes(KEY.sign(b"else", "c").to_text("x"))
        (tmp_path / "k.pub").write_bytes(KEY.public_key.to_text())
        command = [minisign_path, "-V", "-p", "k.pub", "-m", "m"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0

    def test_minisign_signs_with_our_key(self, minisign_path: str, tmp_path: Path) -> None:
        (tmp_path / "m").write_bytes(MESSAGE)
        (tmp_path / "k.key").write_bytes(KEY.to_text())
        command = [minisign_path, "-S", "-s", "k.key", "-m", "m", "-t", "said by it"]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        signature = Signature.parse((tmp_path / "m.minisig").read_bytes(), "m.minisig")
        KEY.public_key.check(signature, MESSAGE)
        assert signature == KEY.sign(MESSAGE, "said by it")

    def test_keys_that_minisign_makes_are_ours_to_use(self, minisign_path: str, tmp_path: Path) -> None:
        command = [minisign_path, "-G", "-W", "-p", "k.pub", "-s", "k.key"]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        key = SecretKey.parse((tmp_path / "k.key").read_bytes(), "k.key")
        assert key.public_key == PublicKey.parse((tmp_path / "k.pub").read_bytes(), "k.pub")
