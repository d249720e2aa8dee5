from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from lzc_flows.errors import InputError
from lzc_flows.launch.configuration import Answers, answers_before, answers_of, external_server, plain_uri, uri_in_file

NAMES = ("cluster", "partition", "gpu_partition", "account", "qos")
ALLOWED = set(string.ascii_letters + string.digits + "_.,+@-")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("account", 'chem"; rm', "allowed: letters, digits and _ "),
        ("account", "chem\n#SBATCH --nodes=99", "letters, digits"),
        ("account", "-x", "letters, digits"),
        ("cluster", "", "letters, digits"),
        ("walltime", "24h", "HH:MM:SS or D-HH:MM:SS"),
        ("walltime", "00:00:00", "above 00:00:00"),
        ("walltime", "0-00:00:00", "above 00:00:00"),
        ("walltime", "01:60:00", "HH:MM:SS"),
        ("cores", 0, "greater than or equal to 1"),
        ("cores", "many", "integer"),
        ("gpus", -1, "greater than or equal to 1"),
        ("jobs_in_queue", 10**9, "less than or equal to 100000"),
        ("modules", ("vasp; rm",), "the name of an environment module"),
        ("vasp", "srun 'vasp_std", "this is no command"),
        ("vasp", "srun\nvasp_std", "one line of printable characters"),
        ("vasp", "srun $$x", r"without \$\$"),
        ("vasp", "", "a command, such as"),
        ("potcars", "/a\nb", "one line of printable characters"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line_that_names_the_option(name: str, value: Any, allowed: str) -> None:
    option = {"modules": "--module", "gpu_partition": "--gpu-partition", "jobs_in_queue": "--jobs-in-queue"}
    with pytest.raises(InputError, match=allowed) as refusal:
        answers_of({name: value})
    assert str(refusal.value).startswith(option.get(name, f"--{name}"))
    assert len(str(refusal.value).splitlines()) == 1


@given(name=st.sampled_from(NAMES), value=st.text(max_size=20))
def test_a_name_has_only_letters_digits_and_a_few_signs_or_is_refused(name: str, value: str) -> None:
    if value == "" and name != "cluster":
        assert getattr(answers_of({name: value}), name) is None
    elif value and set(value) <= ALLOWED and value[0] not in ".,+@-":
        assert getattr(answers_of({name: value}), name) == value
    else:
        with pytest.raises(InputError) as refusal:
            answers_of({name: value})
        assert len(str(refusal.value).splitlines()) == 1


def test_the_gamma_only_vasp_is_called_like_the_other() -> None:
    assert answers_of({"vasp": "mpirun -np 4 /opt/vasp_std"}).gamma_command == "mpirun -np 4 /opt/vasp_gam"
    assert answers_of({"vasp": "vasp"}).gamma_command == "vasp"
    assert answers_of({"vasp_gamma": "srun g"}).gamma_command == "srun g"


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert answers_of({"potcars": "library"}).potcars == tmp_path / "library"
    assert answers_of({"potcars": ""}).potcars is None


@pytest.mark.parametrize("text", ["[", "- 1", "", "cores: 0", "nodes: 3", "\x00"])
def test_what_was_told_before_is_what_was_written_or_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "init.yaml"
    assert answers_before(file) == {}
    file.write_text(text)
    with pytest.raises(InputError, match="is not what `lzc init` wrote: mend or remove it"):
        answers_before(file)


def test_only_what_was_told_before_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "init.yaml"
    file.write_text("cores: 4\n")
    assert answers_before(file) == {"cores": 4}
    assert answers_of(answers_before(file) | {"gpus": 2}) == Answers(cores=4, gpus=2)


# ---- the server ----


def test_a_password_is_refused_on_a_command_line() -> None:
    with pytest.raises(InputError, match="give --uri-file FILE, or set LZC_MONGO_URI") as refusal:
        plain_uri("mongodb://curie:Sesame@host/")
    assert "Sesame" not in str(refusal.value)
    assert plain_uri("mongodb://host/?tls=true").get_secret_value() == "mongodb://host/?tls=true"


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("host:27017", "is not a MongoDB URI"),
        ("mongodb://curie:Sesame@host:port", "is not a MongoDB URI"),
        (
            "mongodb://curie:Sesame@host/?tls=true&tlsCAFile=ca.pem",
            "tlsCAFile of the MongoDB URI: allowed is an absolute",
        ),
        ("mongodb://curie:Sesame@host/?tls=true&tlsCAFile=/no/such/file", "cannot be read: No such file"),
    ],
)
def test_a_uri_that_cannot_be_used(uri: str, line: str) -> None:
    with pytest.raises(InputError, match=line) as refusal:
        external_server(SecretStr(uri), "lzc")
    assert "Sesame" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b", "a$", "x" * 64, "a\n"])
def test_names_that_no_database_can_have(name: str) -> None:
    with pytest.raises(InputError, match="--database"):
        external_server(SecretStr("mongodb://host/"), name)


def test_a_file_of_the_users_own_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "uri"
    file.write_text(" mongodb://curie:Sesame@host/\n")
    file.chmod(0o640)
    with pytest.raises(
        InputError, match=r"--uri-file: .*can be read or written by others \(mode 0640\): run `chmod 600`"
    ):
        uri_in_file(file, "lzc")
    file.chmod(0o400)
    server = uri_in_file(file, "lzc")
    assert (server.uri.get_secret_value(), server.uri_file) == ("mongodb://curie:Sesame@host/", file)
    assert "Sesame" not in repr(server)
