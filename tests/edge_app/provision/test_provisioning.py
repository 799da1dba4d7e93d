import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from edge_app.provision import provisioning
from edge_app.provision.certificates import public_bytes
from edge_app.provision.provisioning import (
    ACCEPTED,
    PENDING,
    STAGED,
    DeviceIdentity,
    commit,
    complete,
    request,
    stage,
)
from edge_app.settings.config import AppConfig
from lsi.disclosure import DisclosurePolicy
from lsi.errors import AppConfigError, ConfigError, KeyFileError
from tests.edge_app.provision.authorities import HOUR, NOW, Signer, Wish
from transport.broker import BrokerAddress, TlsSettings

ROOT = Signer("root")


@pytest.fixture
def identity(tmp_path: Path) -> DeviceIdentity:
    ca, places = tmp_path / "ca.crt", tmp_path / "etc"
    ca.write_bytes(ROOT.pem)
    places.mkdir()
    cert, key = places / "mqtt.crt", places / "mqtt.key"
    address = BrokerAddress("127.0.0.1", 8883, TlsSettings(ca, cert, key))
    return DeviceIdentity("hall1", tmp_path / "state", address, cert, key, ca)


def config_of(tls: TlsSettings | None) -> AppConfig:
    address = BrokerAddress("127.0.0.1", 8883, tls)
    return AppConfig("hall1", "sim-mcp3208", Path("b.lsib"), address, DisclosurePolicy(frozenset()), 1.0)


def fits(identity: DeviceIdentity) -> bool:
    """Whether certificate and key in place belong together."""
    key = load_pem_private_key(identity.key_file.read_bytes(), None)
    certificate = x509.load_pem_x509_certificate(identity.cert_file.read_bytes())
    return public_bytes(key.public_key()) == public_bytes(certificate.public_key())


def provision(identity: DeviceIdentity) -> bytes:
    content = ROOT.answer(request(identity))
    stage(identity, content, NOW)
    commit(identity)
    return content


def test_a_request_can_be_made_again_and_again_with_one_key(identity: DeviceIdentity) -> None:
    first = request(identity)
    text = first.read_bytes()
    assert request(identity).read_bytes() == text
    first.unlink()
    again = x509.load_pem_x509_csr(request(identity).read_bytes())
    assert again.public_key() == x509.load_pem_x509_csr(text).public_key()


def test_the_key_is_for_its_owner_alone_whatever_the_umask_says(identity: DeviceIdentity) -> None:
    before = os.umask(0)
    try:
        provision(identity)
        request(identity, renew=True)
    finally:
        os.umask(before)
    keys = (identity.key_file, identity.state / PENDING / "device.key")
    assert [path.stat().st_mode & 0o777 for path in keys] == [0o600, 0o600]
    assert identity.state.stat().st_mode & 0o777 == 0o700


def test_a_signed_certificate_is_put_in_place_with_its_key_and_nothing_else_stays(
    identity: DeviceIdentity,
) -> None:
    content = provision(identity)
    assert identity.cert_file.read_bytes() == content
    assert fits(identity)
    assert identity.expires == (NOW + 1440 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert sorted(path.name for path in identity.state.iterdir()) == ["certificates"]
    assert identity.is_in_place(content)


def test_a_second_request_wants_to_be_asked_for(identity: DeviceIdentity) -> None:
    provision(identity)
    with pytest.raises(ConfigError, match=r"already: .*mqtt\.crt, valid until .*--renew"):
        request(identity)
    before = identity.key_file.read_bytes()
    assert request(identity, renew=True).exists()
    assert identity.key_file.read_bytes() == before


def test_a_renewal_with_a_new_key_replaces_both(identity: DeviceIdentity) -> None:
    provision(identity)
    before = identity.key_file.read_bytes()
    settings = stage(identity, ROOT.answer(request(identity, renew=True)), NOW)
    assert identity.key_file.read_bytes() == before
    assert settings.ca_file == identity.ca_file
    assert settings.context() is not None
    commit(identity)
    assert identity.key_file.read_bytes() != before
    assert fits(identity)


def test_a_renewal_for_the_old_key_leaves_a_request_for_a_new_one(identity: DeviceIdentity) -> None:
    asked = request(identity).read_bytes()
    provision(identity)
    pending = request(identity, renew=True)
    old_request = identity.state / "old.csr"
    old_request.write_bytes(asked)
    stage(identity, ROOT.answer(old_request, Wish(ends=NOW + 9 * HOUR)), NOW)
    commit(identity)
    assert fits(identity)
    assert pending.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "holds no certificate"),
        (ROOT.pem, "belongs to another key"),
    ],
)
def test_a_certificate_that_may_not_be_used_changes_nothing(
    identity: DeviceIdentity, content: bytes, said: str
) -> None:
    request(identity)
    with pytest.raises(ConfigError, match=said):
        stage(identity, content, NOW)
    assert not (identity.state / STAGED).exists()
    assert not identity.cert_file.exists()


def test_dates_count_only_with_a_synchronised_clock(identity: DeviceIdentity) -> None:
    content = ROOT.answer(request(identity), Wish(begins=NOW + HOUR))
    with pytest.raises(ConfigError, match="not valid before"):
        stage(identity, content, NOW)
    assert stage(identity, content, None).cert_file == identity.state / STAGED / "device.crt"


def test_without_any_key_there_is_nothing_to_finish(identity: DeviceIdentity) -> None:
    identity.state.mkdir()
    with pytest.raises(KeyFileError, match="no key"):
        stage(identity, ROOT.pem, NOW)


class Cut(BaseException):
    """The power goes."""


def cut_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The power goes before the file operation after ``steps`` of them."""
    left = iter(range(steps))

    def wrapped(name: str, owner: object) -> None:
        inner = getattr(owner, name)

        def step(*arguments: object, **options: object) -> object:
            if next(left, None) is None:
                raise Cut
            return inner(*arguments, **options)

        monkeypatch.setattr(owner, name, step)

    wrapped("rename", Path)
    wrapped("replace", Path)
    wrapped("rmtree", shutil)
    wrapped("_sync", provisioning)
    wrapped("fsync", os)


@pytest.mark.parametrize("steps", range(14))
def test_after_a_power_cut_at_any_step_certificate_and_key_fit_and_the_way_goes_on(
    identity: DeviceIdentity, steps: int
) -> None:
    old = provision(identity)
    new = ROOT.answer(request(identity, renew=True), Wish(ends=NOW + 100 * HOUR))
    with pytest.MonkeyPatch.context() as patched:
        cut_after(patched, steps)
        try:
            stage(identity, new, NOW)
            commit(identity)
        except Cut:
            pass
    complete(identity)
    assert fits(identity)
    assert identity.cert_file.read_bytes() in {old, new}
    if not identity.is_in_place(new):
        stage(identity, new, NOW)
        commit(identity)
    assert identity.is_in_place(new)
    assert fits(identity)
    assert not (identity.state / ACCEPTED).exists()
    assert not list(identity.cert_file.parent.glob(".*"))


def test_what_an_earlier_run_left_accepted_does_not_stop_the_next(identity: DeviceIdentity) -> None:
    stage(identity, ROOT.answer(request(identity)), NOW)
    (identity.state / STAGED).rename(identity.state / ACCEPTED)
    new = ROOT.answer(identity.request_file, Wish(ends=NOW + 9 * HOUR))
    stage(identity, new, NOW)
    commit(identity)
    assert identity.is_in_place(new)
    assert fits(identity)


def test_a_full_disk_is_said_and_the_old_pair_stays(
    identity: DeviceIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision(identity)
    new = ROOT.answer(request(identity, renew=True))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match="No space left"):
            stage(identity, new, NOW)
    assert fits(identity)
    assert not identity.is_in_place(new)


def test_a_state_folder_of_somebody_else_is_refused_with_the_command(identity: DeviceIdentity) -> None:
    identity.state.mkdir()
    try:
        os.chown(identity.state, 65534, -1)
    except PermissionError:
        pytest.skip("only root can give a folder away")
    with pytest.raises(ConfigError, match="belongs to nobody") as refused:
        request(identity)
    assert refused.value.hint == "sudo -u nobody lsi-edge provision"


def test_a_place_that_is_not_there_is_said_before_anything_is_asked_for(identity: DeviceIdentity) -> None:
    away = replace(identity, cert_file=identity.state.parent / "gone" / "mqtt.crt")
    with pytest.raises(ConfigError, match="could not be put into"):
        request(away)
    assert not (identity.state / PENDING).exists()


def test_the_certificate_of_the_authority_may_be_a_link(identity: DeviceIdentity, tmp_path: Path) -> None:
    link = tmp_path / "link.crt"
    link.symlink_to("ca.crt")
    linked = replace(identity, ca_file=link)
    assert stage(linked, ROOT.answer(request(linked)), NOW).ca_file == link


def test_several_certificates_are_kept_in_their_order(identity: DeviceIdentity) -> None:
    between = Signer("between", ROOT)
    content = between.answer(request(identity)) + between.certificate.public_bytes(Encoding.PEM)
    stage(identity, content, NOW)
    commit(identity)
    assert identity.cert_file.read_bytes() == content


def test_a_configuration_without_a_place_for_them_is_refused() -> None:
    with pytest.raises(AppConfigError, match="names no client certificate"):
        DeviceIdentity.of(config_of(None))


@pytest.mark.parametrize("name", ["homeassistant", "decoder", "sink"])
def test_a_device_may_not_bear_the_name_of_another_user(name: str) -> None:
    tls = TlsSettings(None, Path("/a.crt"), Path("/a.key"))
    with pytest.raises(AppConfigError, match="name of another user"):
        DeviceIdentity.of(replace(config_of(tls), device_id=name))
    with pytest.raises(AppConfigError, match="one file"):
        DeviceIdentity.of(config_of(TlsSettings(None, Path("/a.pem"), Path("/a.pem"))))


def test_what_only_systemd_can_replace_is_not_provisioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    tls = TlsSettings(None, tmp_path / "device.crt", tmp_path / "device.key")
    with pytest.raises(AppConfigError, match="only systemd can replace"):
        DeviceIdentity.of(config_of(tls))
