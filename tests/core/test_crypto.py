from __future__ import annotations

import base64
import traceback

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from portal.core import crypto
from portal.core.crypto import DecryptionError, Keyring, KeyringError, SignatureError

OLD = "2025:" + base64.b64encode(b"o" * 32).decode()
NEW = "2026:" + base64.b64encode(b"n" * 32).decode()


@pytest.fixture
def ring() -> Keyring:
    return Keyring.parse([NEW, OLD])


@given(st.binary(max_size=200), st.text(max_size=30))
def test_an_envelope_gives_back_what_was_put_in(data: bytes, context: str) -> None:
    ring = Keyring.parse([NEW])
    assert ring.decrypt(ring.encrypt(data, context=context), context=context) == data


def test_an_envelope_shows_nothing_and_is_never_the_same_twice(ring: Keyring) -> None:
    one, other = (ring.encrypt(b"the secret value", context="x") for _ in range(2))
    assert one != other
    assert "secret" not in one
    assert one.startswith("cb1:2026:")


def test_an_envelope_opens_in_its_own_place_only(ring: Keyring) -> None:
    envelope = ring.encrypt(b"secret", context="runs.secret:1")
    with pytest.raises(DecryptionError):
        ring.decrypt(envelope, context="runs.secret:2")


def test_any_change_of_an_envelope_is_noticed(ring: Keyring) -> None:
    envelope = ring.encrypt(b"secret", context="x")
    version, name, body = envelope.split(":")
    raw = bytearray(base64.urlsafe_b64decode(body))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(DecryptionError):
            ring.decrypt(f"{version}:{name}:{base64.urlsafe_b64encode(changed).decode()}", context="x")
    with pytest.raises(DecryptionError):  # also that it claims another key
        ring.decrypt(f"{version}:2025:{body}", context="x")


@pytest.mark.parametrize(
    "text",
    ["", "cb1", "cb1:2026", "cb1:2026:", "cb1:2026:%%%", "cb1:2026:é", "cb2:2026:AAAA", "cb1:2026:AAAA"],
)
def test_what_is_not_an_envelope_is_refused(ring: Keyring, text: str) -> None:
    with pytest.raises(DecryptionError) as caught:
        ring.decrypt(text, context="x")
    assert caught.value.remedy


def test_keys_are_changed_without_losing_anything() -> None:
    before, during, after = Keyring.parse([OLD]), Keyring.parse([NEW, OLD]), Keyring.parse([NEW])
    envelope = before.encrypt(b"secret", context="x")
    assert not before.needs_rotation(envelope)
    assert during.needs_rotation(envelope)
    renewed = during.encrypt(during.decrypt(envelope, context="x"), context="x")
    assert not during.needs_rotation(renewed)
    assert after.decrypt(renewed, context="x") == b"secret"
    with pytest.raises(KeyringError, match="'2025' is not in CALLBOARD_KEYS"):
        after.decrypt(envelope, context="x")


def test_signatures_hold_for_their_bytes_only(ring: Keyring) -> None:
    signature = ring.sign(b"data")
    ring.verify(b"data", signature)
    crypto.verify_with(ring.public_key(), b"data", signature)
    for data, bad in [
        (b"Data", signature),
        (b"data", signature[:-4] + "AAAA"),
        (b"data", "2026:"),
        (b"data", "2026:%"),
    ]:
        with pytest.raises(SignatureError):
            ring.verify(data, bad)
        with pytest.raises(SignatureError):
            crypto.verify_with(ring.public_key(), data, bad)
    with pytest.raises(SignatureError):
        crypto.verify_with(ring.public_key("2025"), b"data", signature)


def test_signatures_of_earlier_keys_still_hold(ring: Keyring) -> None:
    signature = Keyring.parse([OLD]).sign(b"data")
    ring.verify(b"data", signature)
    with pytest.raises(KeyringError):
        Keyring.parse([NEW]).verify(b"data", signature)


def test_a_chain_goes_on_over_a_change_of_keys(ring: Keyring) -> None:
    first = Keyring.parse([OLD]).chain_hash("", b"one")
    second = ring.chain_hash(first, b"two")
    assert ring.chain_matches(first, "", b"one")
    assert ring.chain_matches(second, first, b"two")
    assert not ring.chain_matches(second, first, b"Two")
    assert not ring.chain_matches(second, "", b"two")
    assert not Keyring.parse([NEW]).chain_matches(first, "", b"one")
    assert len(first) == 64


def test_the_border_between_previous_and_payload_counts(ring: Keyring) -> None:
    assert ring.chain_hash("ab", b"c") != ring.chain_hash("a", b"bc")


def test_each_use_has_a_key_of_its_own() -> None:
    derived = {crypto._derived(b"n" * 32, purpose) for purpose in ("encrypt", "sign", "chain")}
    assert len(derived) == 3
    assert b"n" * 32 not in derived


@pytest.mark.parametrize(
    "entries",
    [[], [""], ["no-colon"], ["id:short"], ["id:" + "!" * 44], ["bad id:" + OLD[5:]], [OLD, OLD], [":" + OLD[5:]]],
)  # fmt: skip
def test_keys_that_cannot_be_used_are_refused_without_showing_them(entries: list[str]) -> None:
    with pytest.raises(KeyringError) as caught:
        Keyring.parse(entries)
    shown = "".join(traceback.format_exception(caught.value))
    assert "CALLBOARD_KEYS" in caught.value.message + caught.value.remedy
    assert OLD[5:] not in shown
    assert OLD[5:] not in repr(Keyring.parse([OLD]))


def test_the_keys_of_the_settings_are_used() -> None:
    with override_settings(CALLBOARD_KEYS=[NEW, OLD]):
        envelope = crypto.encrypt(b"secret", context="x")
        assert crypto.decrypt(envelope, context="x") == b"secret"
        assert not crypto.needs_rotation(envelope)
        crypto.verify(b"data", crypto.sign(b"data"))
        assert crypto.chain_matches(crypto.chain_hash("", b"x"), "", b"x")
    with override_settings(CALLBOARD_KEYS=[]), pytest.raises(KeyringError, match="no key"):
        crypto.chain_hash("", b"x")


def test_tokens_are_hashed_and_compared() -> None:
    assert crypto.hash_token("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert crypto.same("é", "é")
    assert not crypto.same("a", "b")


def test_new_keys_are_long_enough_and_random() -> None:
    one, other = crypto.new_key(), crypto.new_key()
    assert one != other
    assert Keyring.parse([f"a:{one}", f"b:{other}"]).current_id == "a"
