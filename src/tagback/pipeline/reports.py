"""A run for other programs: JUnit XML, and a summary in Markdown."""

from __future__ import annotations

import datetime
import re
import xml.etree.ElementTree as xml
from collections.abc import Sequence

from tagback.pipeline.durations import told
from tagback.pipeline.records import Change, StepRecord
from tagback.pipeline.runner import Outcome

_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(outcome: Outcome, changes: Sequence[Change]) -> str:
    """Each step as a test case, in a suite for each stage."""
    root = xml.Element("testsuites", name=outcome.run.pipeline)
    suites: dict[str, xml.Element] = {}
    for s in outcome.steps.values():
        stage = s.path.partition("/")[0]
        if stage not in suites:
            suites[stage] = xml.SubElement(root, "testsuite", name=stage)
        case = xml.SubElement(suites[stage], "testcase", name=s.path, classname=s.kind, time=f"{_seconds(s):.3f}")
        if s.state.value == "failed":
            failure = xml.SubElement(
                case, "failure", type=str(s.error.get("type", "")), message=_clean(s.error.get("message"))
            )
            failure.text = _clean(s.error.get("hint"))
        elif s.state.value in ("skipped", "ignored"):
            xml.SubElement(case, "skipped", message=_clean(s.outputs.get("why") or s.error.get("message")))
    for suite in suites.values():
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    properties = xml.SubElement(next(iter(suites.values()), root), "system-out")
    properties.text = _clean("\n".join(f"{c.target}: {c.state.value} {c.detail}" for c in changes))
    text: bytes = xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"


def markdown(outcome: Outcome, changes: Sequence[Change]) -> str:
    """What a person wants to see on the page of a merge request."""
    lines = [f"## {outcome.run.pipeline}: {outcome.run.state.value}", ""]
    if outcome.failure:
        error = outcome.failure.get("error", {})
        lines += [f"**{outcome.failure.get('step')}** failed ({error.get('type')}): {_cell(error.get('message'))}", ""]
    lines += ["| step | | state | time |", "| --- | --- | --- | ---: |"]
    lines += [f"| {_cell(s.path)} | {s.kind} | {s.state.value} | {told(_seconds(s))} |" for s in outcome.steps.values()]
    if changes:
        lines += ["", "| database | stands | found at | |", "| --- | --- | --- | --- |"]
        lines += [f"| {c.target} | {c.state.value} | {_cell(c.tag_before)} | {_cell(c.detail)} |" for c in changes]
    return "\n".join(lines) + "\n"


def _seconds(s: StepRecord) -> float:
    if not s.ended or not s.started:
        return 0.0
    began, ended = (datetime.datetime.fromisoformat(t) for t in (s.started, s.ended))
    return max(0.0, (ended - began).total_seconds())


def _clean(text: object) -> str:
    """Without what XML can't have."""
    return _NOT_IN_XML.sub("", str(text or ""))


def _cell(text: object) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")
