"""What may stand in a pipeline file. The JSON schema for editors is made from these classes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tagback.pipeline.durations import seconds

Duration = Annotated[str | int | float, Meta(description="A length of time: 500ms, 10s, 5m, 1h 30m, or seconds.")]
Expression = Annotated[str, Meta(description="An expression: steps.deploy.ok and variables.region == 'eu'.")]
Scalar = str | int | float | bool | None


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A part of the file: no other keys than these."""


# ---------------------------------------------------------------------- what a pipeline works on


class Target(Part, frozen=True, kw_only=True):
    """A database. `url` may come from a secret: ${{ secrets.NAME }}."""

    url: Annotated[str, Meta(description="sqlite:///file.db, postgresql://user@host/database, ${{ secrets.NAME }}.")]
    environment: str = ""
    tags: list[str] = []
    at_worst: Annotated[
        Literal["free", "captured", "conditional"] | None,
        Meta(description="The worst verdict on the way back that a deployment may have here; worse is refused."),
    ] = None
    lock_timeout: Annotated[Duration | None, Meta(description="How long a statement may wait for a lock.")] = None
    lock_wait: Annotated[Duration, Meta(description="How long to wait for somebody else's deployment to end.")] = 60

    def __post_init__(self) -> None:
        _lengths(self.lock_timeout, self.lock_wait)


class Secret(Part, frozen=True, kw_only=True):
    """Where a secret comes from: an environment variable, a file, or what a command prints."""

    env: str | None = None
    file: str | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        _one_of(self, "env", "file", "command")


# ---------------------------------------------------------------------- health


class HttpCheck(Part, frozen=True, kw_only=True):
    """An HTTP service answers as it should."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str | None = None
    status: int | tuple[int, ...] = 200
    contains: str | None = None
    json: dict[str, Scalar] = {}
    within: Duration = 10

    def __post_init__(self) -> None:
        _lengths(self.within)


class SqlCheck(Part, frozen=True, kw_only=True):
    """A query's first row, by column, and an expression over it. `before` has the values before the deployment."""

    target: str
    query: str
    expect: Expression
    within: Duration = 30

    def __post_init__(self) -> None:
        _lengths(self.within)


class CommandCheck(Part, frozen=True, kw_only=True):
    """A command ends with 0."""

    run: str | list[str]
    env: dict[str, str] = {}
    contains: str | None = None
    within: Duration = 60

    def __post_init__(self) -> None:
        _some(self.run)
        _lengths(self.within)


class PrometheusCheck(Part, frozen=True, kw_only=True):
    """An instant query at a Prometheus server; `value` is the first series' in the expression."""

    url: str
    query: str
    expect: Expression
    within: Duration = 10

    def __post_init__(self) -> None:
        _lengths(self.within)


class TcpCheck(Part, frozen=True, kw_only=True):
    """A TCP port takes a connection."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]
    within: Duration = 5

    def __post_init__(self) -> None:
        _lengths(self.within)


class Check(Part, frozen=True, kw_only=True):
    """A health check, once or watched. `baseline` names a step of this check made before, whose values are `before`."""

    http: HttpCheck | None = None
    sql: SqlCheck | None = None
    command: CommandCheck | None = None
    prometheus: PrometheusCheck | None = None
    tcp: TcpCheck | None = None
    for_: Duration | None = msgspec.field(name="for", default=None)
    every: Duration = 5
    fail_after: Annotated[str, Meta(description="`3 consecutive` or `5 %` of the looks.")] = "1 consecutive"
    baseline: str | None = None

    def __post_init__(self) -> None:
        _one_of(self, "http", "sql", "command", "prometheus", "tcp")
        _lengths(self.for_, self.every)
        words = self.fail_after.replace("%", " %").split()
        if len(words) != 2 or words[1] not in ("consecutive", "%") or not words[0].isdigit():
            raise ValueError("fail_after is written as `3 consecutive` or `5 %`")
        if (words[1] == "consecutive" and int(words[0]) < 1) or (words[1] == "%" and int(words[0]) > 99):
            raise ValueError("fail_after has 1 or more in a row, or 0 to 99 %")


# ---------------------------------------------------------------------- steps


class Apply(Part, frozen=True, kw_only=True):
    """Deploys the pending changesets. The states before and after get tags, also where nothing is pending."""

    target: str
    changelog: str
    tag: str | None = None
    tag_before: str | None = None
    to: str | None = None
    granular: bool = False
    allow_irreversible: bool = False


class Rollback(Part, frozen=True, kw_only=True):
    """The Rollback Schema step. Without a place: the state before this run."""

    target: str
    to: str | None = None
    deployment: int | str | None = None
    count: int | None = None
    on_conflict: Literal["keep", "restore", "fail"] = "keep"
    on_drift: Literal["refuse", "keep", "undo"] = "refuse"

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.to, self.deployment, self.count)) > 1:
            raise ValueError("to, deployment and count exclude each other")
        if self.count is not None and self.count < 1:
            raise ValueError("count is 1 or more")
        if isinstance(self.deployment, str) and not self.deployment.isdecimal() and "${{" not in self.deployment:
            raise ValueError(f"{self.deployment!r} is no deployment: `tagback history` has their numbers")

    @property
    def placed(self) -> bool:
        """Whether it says where to go back to."""
        return (self.to, self.deployment, self.count) != (None, None, None)


class Preview(Part, frozen=True, kw_only=True):
    """SQL and verdict of an apply or a rollback, without doing it; kept for whoever approves."""

    apply: Apply | None = None
    rollback: Rollback | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        _one_of(self, "apply", "rollback")


class Verify(Part, frozen=True, kw_only=True):
    """The live schema against the recorded one, or a tag's."""

    target: str
    tag: str | None = None


class Rehearse(Part, frozen=True, kw_only=True):
    """What is pending, tried there and back in a scratch database: on the target's server, or on that of `scratch`."""

    target: str
    changelog: str
    to: str | None = None
    scratch: str | None = None


class Run(Part, frozen=True, kw_only=True):
    """Any command: deploying the application is one. Its output is streamed, its exit status is the result."""

    command: str | list[str]
    env: dict[str, str] = {}
    cwd: str | None = None

    def __post_init__(self) -> None:
        _some(self.command)


class Http(Part, frozen=True, kw_only=True):
    """Calls an API. A status that is not expected is a failure."""

    url: str
    method: str = "POST"
    headers: dict[str, str] = {}
    body: str | None = None
    status: int | tuple[int, ...] = (200, 201, 202, 204)
    within: Duration = 30

    def __post_init__(self) -> None:
        _lengths(self.within)


class Approve(Part, frozen=True, kw_only=True):
    """Waits for people. `by`: who may; `count`: how many must; without `initiator` not the one who started the run."""

    message: str = ""
    by: list[str] = []
    count: int = 1
    initiator: bool = False

    def __post_init__(self) -> None:
        if self.count < 1 or (self.by and self.count > len(set(self.by))):
            raise ValueError(f"{self.count} approvals can't be had from {len(set(self.by)) or 'any'} people")


class Wait(Part, frozen=True, kw_only=True):
    """Lets time pass: a soak."""

    for_: Duration = msgspec.field(name="for")

    def __post_init__(self) -> None:
        _lengths(self.for_)


class SetTag(Part, frozen=True, kw_only=True):
    """Marks a target's present state."""

    target: str
    name: str
    move: bool = False


class Notify(Part, frozen=True, kw_only=True):
    """Tells somebody: by a webhook that gets `body` as it is, or by mail and chat, `to` an address as Apprise writes it."""

    webhook: str | None = None
    to: Annotated[
        str | list[str] | None,
        Meta(description="slack://…, mailto://…, msteams://… as Apprise has them; best ${{ secrets.NAME }}."),
    ] = None
    title: str | None = None
    body: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=lambda: {"Content-Type": "application/json"})

    def __post_init__(self) -> None:
        _one_of(self, "webhook", "to")


class Chained(Part, frozen=True, kw_only=True):
    """Another pipeline file, relative to this one's folder. Its run is a part of this run, and goes back with it."""

    file: str
    variables: dict[str, Scalar] = {}


class Strategy(Part, frozen=True, kw_only=True):
    """What to do when something fails. `errors`: which; without it any."""

    do: Literal[
        "retry",
        "retry_group",
        "ignore",
        "mark_success",
        "mark_failure",
        "abort",
        "manual",
        "rollback_group",
        "rollback_stage",
        "rollback_pipeline",
    ]
    errors: list[str] = []
    times: int = 3
    every: Duration = 5
    backoff: float = 2.0
    jitter: float = 0.2
    timeout: Duration = "1h"
    then: Literal["abort", "ignore", "mark_success", "rollback_pipeline"] = "rollback_pipeline"

    def __post_init__(self) -> None:
        from tagback.pipeline.failures import ERRORS

        for length in (self.every, self.timeout):
            seconds(length)
        if self.times < 1 or not 1 <= self.backoff <= 100 or not 0 <= self.jitter <= 1:
            raise ValueError("times is 1 or more, backoff 1 to 100, jitter 0 to 1")
        unknown = [e for e in self.errors if e not in ERRORS]
        if unknown:
            raise ValueError(f"no error type is called {unknown[0]!r}; there are {', '.join(ERRORS)}")


KINDS = (
    "apply", "rollback", "preview", "verify", "rehearse", "check", "run", "http", "approve", "wait", "tag", "notify",
    "pipeline",
)  # fmt: skip


class Step(Part, frozen=True, kw_only=True):
    """One step, of one kind; or a group of steps. `when` decides whether it runs; `matrix` makes it many."""

    name: str
    when: Expression | None = None
    needs: list[str] = []
    matrix: dict[str, list[Any]] = {}
    timeout: Duration | None = None
    on_failure: list[Strategy] = []
    apply: Apply | None = None
    rollback: Rollback | None = None
    preview: Preview | None = None
    verify: Verify | None = None
    rehearse: Rehearse | None = None
    check: Check | None = None
    run: Run | None = None
    http: Http | None = None
    approve: Approve | None = None
    wait: Wait | None = None
    tag: SetTag | None = None
    notify: Notify | None = None
    pipeline: Chained | None = None
    steps: list[Step] | None = None
    parallel: Annotated[int, Meta(description="How many of the group's steps run at once.")] = 1

    def __post_init__(self) -> None:
        _named(self.name)
        _one_of(self, *KINDS, "steps")
        _lengths(self.timeout)
        if self.steps is not None and self.timeout is not None:
            raise ValueError("a group has no timeout; its steps have")
        if self.parallel < 1 or (self.steps is None and self.parallel != 1):
            raise ValueError("parallel is 1 or more, and stands at a group")

    @property
    def kind(self) -> str:
        """The key that says what it does."""
        return next(k for k in (*KINDS, "steps") if getattr(self, k) is not None)


class Stage(Part, frozen=True, kw_only=True):
    """Steps in order, after the stages that it needs: without `needs`, after the one before it."""

    name: str
    steps: list[Step]
    when: Expression | None = None
    needs: list[str] | None = None
    on_failure: list[Strategy] = []

    def __post_init__(self) -> None:
        _named(self.name)


class Pipeline(Part, frozen=True, kw_only=True):
    """The whole file. `control`: the URL of the database that keeps the runs."""

    name: str
    stages: list[Stage]
    variables: dict[str, Scalar] = {}
    secrets: dict[str, Secret] = {}
    targets: dict[str, Target] = {}
    on_failure: list[Strategy] = []
    control: str | None = None


def _one_of(part: Part, *names: str) -> None:
    given = [n for n in names if getattr(part, n) is not None]
    if len(given) != 1:
        told = f"{' and '.join(given)} exclude each other" if given else f"one of {', '.join(names)} is needed"
        raise ValueError(told)


def _some(command: str | list[str]) -> None:
    if not command:
        raise ValueError("the command is empty")


def _lengths(*given: str | int | float | None) -> None:
    """Those that have an expression in them are looked at when that has its value."""
    for length in given:
        if length is not None and not (isinstance(length, str) and "${{" in length):
            seconds(length)


def _named(name: str) -> None:
    if not name or not all(c.isalnum() or c in "_-" for c in name):
        raise ValueError(f"{name!r} is no name: letters, digits, - and _")
