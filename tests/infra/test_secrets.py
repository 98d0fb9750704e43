"""What is sealed can be opened with the same key, and with no other."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from domain.failures import Conflict, Unavailable
from infra.secrets import FILE, SecretBox
from infra.settings import SettingsError, describe, load_settings

KEY = "0123456789abcdef0123456789abcdef"


def test_a_sealed_value_shows_nothing_and_opens_again(tmp_path: Path) -> None:
    sealed = SecretBox(KEY, tmp_path).seal(b"hunter2")
    assert b"hunter2" not in f"{sealed}".encode()
    assert SecretBox(KEY, tmp_path).open(sealed) == b"hunter2"


def test_equal_values_have_equal_digests_and_different_ciphertexts(tmp_path: Path) -> None:
    box = SecretBox(KEY, tmp_path)
    one, same, other = box.seal(b"a"), box.seal(b"a"), box.seal(b"b")
    assert one.digest == same.digest != other.digest
    assert one.ciphertext != same.ciphertext


def test_a_digest_cannot_be_guessed_without_the_key(tmp_path: Path) -> None:
    other = SecretBox(KEY[::-1], tmp_path)
    assert SecretBox(KEY, tmp_path).seal(b"a").digest != other.seal(b"a").digest


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    sealed = SecretBox(KEY, tmp_path).seal(b"hunter2")
    with pytest.raises(Conflict, match="another secret key"):
        SecretBox(KEY[::-1], tmp_path).open(sealed)


def test_a_key_is_made_when_it_is_needed_and_is_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    box = SecretBox(None, folder)
    assert not folder.exists()
    sealed = box.seal(b"hunter2")
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert SecretBox(None, folder).open(sealed) == b"hunter2"


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda _: SecretBox(None, tmp_path).seal(b"x"), range(16)))
    assert len({one.digest for one in sealed}) == 1


def test_a_key_that_cannot_be_kept_is_no_mystery(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="ERRATA_SECRET_KEY"):
        SecretBox(None, tmp_path / "file").seal(b"x")


def test_the_key_is_masked_in_the_settings() -> None:
    settings = load_settings({"ERRATA_SECRET_KEY": KEY})
    row = next(row for row in describe(settings) if row.name == "ERRATA_SECRET_KEY")
    assert (settings.secret_key, row.value) == (KEY, "****")
    assert KEY not in repr(settings)


@pytest.mark.parametrize("text", ["short", "a" * 64])
def test_a_weak_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(SettingsError, match="32 random characters") as refused:
        load_settings({"ERRATA_SECRET_KEY": text})
    assert text not in str(refused.value)
