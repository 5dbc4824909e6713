"""The plan as units of systemd: a service that is locked up, and a timer with explicit instants."""

from __future__ import annotations

import pwd
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar.calling import plan_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline_ops.calendar.calling import Calling
    from pipeline_ops.calendar.plan import Planned
    from pipeline_ops.calendar.settings import CloseCalendar

_UNIT = "d365fo-tableau-close"

#: The same as in deploy/systemd, but for homes: a key may lie there, and is read only.
_HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# A core dump would hold what is in memory, secrets among it.
LimitCORE=0
"""


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """What of a service the plan does not say.

    Attributes:
        user: Who the driver and its runs are.
        environment_file: Settings of the pipeline; ``None`` where the project has them all.
        service: A service that is there already, so that only the timer is made.
    """

    user: str
    environment_file: Path | None = None
    service: str | None = None

    def check(self) -> None:
        """Refuse what systemd would only refuse when the first run is due.

        Raises:
            ConfigError: says what.
        """
        if self.service is not None:
            if not re.fullmatch(r"[\w:.@-]+\.service", self.service):
                message = f"--service is {self.service!r}; give the name of a unit, x.service"
                raise ConfigError(message)
            return
        try:
            pwd.getpwnam(self.user)
        except KeyError as error:
            message = f"this machine has no user {self.user!r}; make one or pass another --user"
            raise ConfigError(message) from error
        if self.environment_file is not None and not self.environment_file.is_file():
            message = f"--environment-file {self.environment_file} is no file; write it first"
            raise ConfigError(message)


def to_systemd(
    calendar: CloseCalendar, planned: Sequence[Planned], calling: Calling, rules: ServiceRules
) -> dict[str, str]:
    """Names and contents of a service and its timer; of the timer alone where a service is named.

    Instants are written in UTC: a local time that comes twice or never would be ambiguous.

    Raises:
        ConfigError: the user or a file is not there.
    """
    rules.check()
    name = f"{_UNIT}-{calendar.name}"
    service = rules.service or f"{name}.service"
    made = {f"{name}.timer": _timer(calendar, planned, service)}
    if rules.service is None:
        made = {service: _service(calendar, calling, rules), **made}
    return made


def _service(calendar: CloseCalendar, calling: Calling, rules: ServiceRules) -> str:
    call = " ".join(_quoted(word, dollar="$$") for word in calling.words("--wait"))
    # The home is read-only, where Meltano would keep its own log.
    beside = str(calling.store.parent)
    state_home = _quoted(f"XDG_STATE_HOME={beside}")
    writable = " ".join(_quoted(f"-{folder}") for folder in _writable(calling))
    environment = (
        ""
        if rules.environment_file is None
        else f"EnvironmentFile={_plain(rules.environment_file.absolute())}\n"
    )
    return f"""# Close calendar {calendar.name}, from {calendar.path.name}.
[Unit]
Description=Close calendar {calendar.name}: start what is due
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={call}
# The driver stops its run itself and records it.
KillMode=mixed
SuccessExitStatus=143
# Killed, not failed: the next driver finds out what was under way.
Restart=on-abnormal
RestartSec=60
# Each run has a limit of its own, `timeout` of the calendar; one call may start several.
TimeoutStartSec=infinity
TimeoutStopSec=2min
User={rules.user}
WorkingDirectory={_plain(calling.project)}
{environment}Environment={state_home}
UMask=0077

# Hardening. hyperd compiles queries to machine code and asks how much memory there is, so
# MemoryDenyWriteExecute= and ProcSubset= must stay off; it talks over a Unix socket.
# What lies elsewhere (output_dir, archive_path) needs a ReadWritePaths= of its own.
ReadWritePaths={writable}
{_HARDENING}"""


def _writable(calling: Calling) -> list[Path]:
    """The project and the folders of what is kept, none twice."""
    wanted = [calling.project, calling.store.parent, calling.ledger.parent]
    if calling.periods is not None:
        wanted.append(calling.periods.parent)
    return [
        folder
        for number, folder in enumerate(wanted)
        if not any(folder.is_relative_to(other) for other in wanted[:number])
    ]


def _timer(calendar: CloseCalendar, planned: Sequence[Planned], service: str) -> str:
    instants = sorted({each.due for each in planned})
    return "\n".join(
        [
            f"# Close calendar {calendar.name}, from {calendar.path.name}.",
            "# systemd knows no working days: these are the instants of the periods that are known",
            "# now. Export again before the last one; `calendar run` fails when none lies ahead.",
            *plan_lines(planned),
            "[Unit]",
            f"Description=Close calendar {calendar.name}",
            "",
            "[Timer]",
            *(f"OnCalendar={instant:%Y-%m-%d %H:%M:%S} UTC" for instant in instants),
            "# A run that the machine's end cut off is found out soon after its next start.",
            "OnBootSec=2min",
            "AccuracySec=1s",
            "Persistent=true",
            f"Unit={service}",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _plain(path: Path) -> str:
    """A path that is a whole setting by itself: nothing is quoted there but ``%``."""
    return str(path).replace("%", "%%")


def _quoted(word: str, *, dollar: str = "$") -> str:
    r"""A word among others: ``%`` is doubled, quotes and backslashes escaped.

    ``$`` means something in ``ExecStart=`` alone, and is doubled there.
    """
    escaped = word.replace("\\", r"\\").replace('"', r"\"").replace("%", "%%").replace("$", dollar)
    return f'"{escaped}"' if any(c in word for c in " \t'\"\\;") else escaped
