"""Names of systemd's credentials: no path gets out of their folder."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.credentials import SERVICE_FOLDER, credential_path, forbidden_mode, is_credential
from lsi.errors import AppConfigError

GIVEN = {"CREDENTIALS_DIRECTORY": "/run/credentials/test.service"}


def test_a_credential_lies_where_systemd_says() -> None:
    path = credential_path("credential:mqtt_device.key", GIVEN)
    assert path == Path("/run/credentials/test.service/mqtt_device.key")
    assert is_credential(path, GIVEN)
    assert not is_credential(path, {})


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "here"}])
def test_at_a_terminal_it_lies_in_the_folder_of_the_service(environ: dict[str, str]) -> None:
    path = credential_path("credential:a", environ)
    assert path == SERVICE_FOLDER / "a"
    assert is_credential(path, environ)


@pytest.mark.parametrize("value", ["device.key", "/etc/lsi/device.key", "Credential:a"])
def test_a_path_stays_a_path(value: str) -> None:
    assert credential_path(value, GIVEN) is None


@given(st.text(max_size=40))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with contextlib.suppress(AppConfigError):
        path = credential_path(f"credential:{name}", GIVEN)
        assert path is not None
        assert path.resolve().parent == Path(GIVEN["CREDENTIALS_DIRECTORY"])


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "a\n", ".hidden", "a" * 129])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(AppConfigError, match="names no credential"):
        credential_path(f"credential:{name}", GIVEN)


def test_only_a_credential_may_be_readable_for_its_group() -> None:
    assert forbidden_mode(Path(GIVEN["CREDENTIALS_DIRECTORY"], "a"), GIVEN) == 0o037
    assert forbidden_mode(Path("/etc/lsi/a"), GIVEN) == 0o077
