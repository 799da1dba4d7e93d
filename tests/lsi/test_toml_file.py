from pathlib import Path

import pytest

from lsi.errors import AppConfigError
from lsi.toml_file import MAX_BYTES, read_toml


def read(path: Path) -> dict[str, object]:
    return read_toml(path, "Configuration", error=AppConfigError, hint="another file.")


def test_a_toml_file_becomes_a_document(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('a = 1\n[b]\nc = "d"\n', "utf-8")
    assert read(path) == {"a": 1, "b": {"c": "d"}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = ", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"#" * (MAX_BYTES + 1), f"is longer than {MAX_BYTES} bytes"),
    ],
)
def test_each_refusal_names_the_file_and_the_reason(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(AppConfigError, match=rf"Configuration .*c\.toml {said}"):
        read(path)


def test_a_missing_file_says_what_to_try(tmp_path: Path) -> None:
    with pytest.raises(AppConfigError, match=r"gone\.toml cannot be read .*Try: another file"):
        read(tmp_path / "gone.toml")


def test_a_file_of_the_longest_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert read(path) == {}
