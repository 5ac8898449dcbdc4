"""Settings come from the environment alone, and a mistake in them is told before anything starts."""

from pathlib import Path

import pytest

from asissto.platform.errors import BadSetting, UnknownSetting
from asissto.platform.settings import Settings, environment_name, read_settings


def test_everything_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty environment gives the settings of one machine without a model's key."""
    monkeypatch.setenv("XDG_DATA_HOME", "/srv/data")
    settings = read_settings({})
    assert settings == Settings(data_dir=Path("/srv/data/asissto"))
    assert (settings.host, settings.port, settings.database_url, settings.has_chat_model) == (
        "127.0.0.1",
        8000,
        None,
        False,
    )


def test_without_xdg_the_data_lies_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder is found the same way on every start."""
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/dora")
    assert read_settings({}).data_dir == Path("/home/dora/.local/share/asissto")


def test_values_take_the_type_of_their_field() -> None:
    """Text from the environment becomes numbers, switches and folders; an empty value is none."""
    given = {
        "ASISSTO_DATA_DIR": "~/asissto",
        "ASISSTO_PORT": "9000",
        "ASISSTO_SAMPLE": "false",
        "ASISSTO_HOST": "",
        "OPENAI_API_KEY": "sk-1",
        "PATH": "/bin",
    }
    settings = read_settings(given)
    assert settings == Settings(
        data_dir=Path("~/asissto").expanduser(), port=9000, sample=False, host="127.0.0.1", openai_api_key="sk-1"
    )
    assert settings.has_chat_model


def test_unknown_names_stop_the_start() -> None:
    """A misspelt setting is named, all of them at once, and never ignored."""
    with pytest.raises(UnknownSetting) as caught:
        read_settings({"ASISSTO_PROT": "1", "ASISSTO_HOTS": "a", "ASISSTO_PORT": "1"})
    assert caught.value.params == {"names": "ASISSTO_HOTS, ASISSTO_PROT"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASISSTO_PORT", "http"),
        ("ASISSTO_PORT", "0"),
        ("ASISSTO_PORT", "65536"),
        ("ASISSTO_LANGUAGE", "de"),
        ("ASISSTO_SAMPLE", "perhaps"),
        ("ASISSTO_WORKER_JOBS", "0"),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: str) -> None:
    """The error says which setting it is about."""
    with pytest.raises(BadSetting) as caught:
        read_settings({name: value})
    assert caught.value.params["name"] == name
    assert name in caught.value.sentence("ru")


def test_only_the_names_of_the_sdk_have_no_prefix() -> None:
    """Every other setting begins with ASISSTO_, so that a misspelt one can be told."""
    names = [environment_name(field) for field in Settings.__struct_fields__]
    assert [name for name in names if not name.startswith("ASISSTO_")] == ["OPENAI_API_KEY", "OPENAI_BASE_URL"]
