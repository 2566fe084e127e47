"""The programs that are compared: their command lines, their configurations, the modes that they have."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODES = ("memory", "os", "fsync")
AGENT = "sidelight"
FLOOR = "relay"
EXPORTERS = {"grpc": "otlp_grpc", "http": "otlp_http"}


class Unusable(Exception):
    """A program or its template that is not there, or not as it must be."""


@dataclass(frozen=True)
class System:
    """`templates` is by mode; without any the command line says everything."""

    name: str
    command: str
    modes: tuple[str, ...]
    templates: dict[str, Path] = field(default_factory=dict)
    # Holds nothing back and answers nothing itself, so an outage or overload is not its own.
    passes_through: bool = False

    @property
    def binary(self) -> Path:
        return Path(next(word for word in shlex.split(self.command) if "=" not in word and Path(word).name != "env"))

    def start_command(self, mode: str, values: dict[str, object]) -> list[str]:
        values = values | {"mode": mode}
        template = self.templates.get(mode)
        if template is not None:
            config = Path(str(values["directory"])) / "config.yaml"
            config.write_text(filled(template.read_text(), values))
            values["config"] = config
        return [filled(word, values) for word in shlex.split(self.command)]


def filled(text: str, values: dict[str, object]) -> str:
    """Puts values where `{their_name}` stands; every other brace is the text's own."""
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), text)


def agent(binary: Path) -> System:
    checked(binary, "the agent: cargo build --release, then --agent target/release/sidelight")
    command = f"{shlex.quote(str(binary))} run -c {{config}}"
    return System(AGENT, command, MODES, dict.fromkeys(MODES, HERE / "peers/sidelight.yaml"))


def peer(text: str) -> System:
    """`NAME[:TEMPLATE]=COMMANDLINE`, as `--peer` takes it."""
    name, separator, command = text.partition("=")
    name, _, template = name.partition(":")
    template = template or name
    if not separator or not re.fullmatch(r"[\w.-]+", name) or not command.strip():
        raise Unusable(f"--peer {text}: not NAME[:TEMPLATE]=COMMANDLINE")
    if name in (AGENT, FLOOR):
        raise Unusable(f"--peer {text}: {name} has a row already; give it another name, as in old:sidelight=COMMANDLINE")
    templates = {}
    for mode in MODES:
        for path in (HERE / f"peers/{template}.{mode}.yaml", HERE / f"peers/{template}.yaml"):
            if path.exists():
                templates.setdefault(mode, path)
    if "{config}" in command and not templates:
        modes = ", ".join(MODES)
        raise Unusable(f"--peer {name}: no template bench/peers/{template}.yaml or {template}.MODE.yaml, MODE one of {modes}")
    modes = tuple(templates) if "{config}" in command else ("memory",)
    system = System(name, command, modes, templates if "{config}" in command else {})
    checked(system.binary, f"peer {name}")
    return system


def relay(binary: Path | None, build_directory: Path) -> System:
    """Bytes in, bytes out; built with rustc, which takes a second, unless it is given."""
    if binary is None:
        compiler = shutil.which("rustc")
        if compiler is None:
            raise Unusable("rustc is not installed: the floor needs it, or --relay BINARY, or --no-relay")
        binary = build_directory / "relay"
        build = [compiler, "-O", "--edition", "2024", "-D", "warnings", str(HERE / "relay.rs"), "-o", str(binary)]
        built = subprocess.run(build, capture_output=True, text=True, cwd=HERE)
        if built.returncode:
            raise Unusable(f"bench/relay.rs does not build:\n{built.stderr}")
    checked(binary, "the relay")
    pairs = "127.0.0.1:{grpc}=127.0.0.1:{sink_grpc} 127.0.0.1:{http}=127.0.0.1:{sink_http}"
    return System(FLOOR, f"{shlex.quote(str(binary))} {pairs}", ("-",), passes_through=True)


def checked(binary: Path, what: str) -> None:
    found = shutil.which(str(binary))
    if found is None or not os.access(found, os.X_OK):
        raise Unusable(f"{binary} is not a program that can be run ({what})")


def binary_bytes(system: System) -> int:
    return Path(shutil.which(str(system.binary)) or system.binary).stat().st_size
