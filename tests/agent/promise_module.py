"""A module of a custom promise type, as somebody would write it.

A test writes a module that calls `serve`. Its promises say in their attributes what it answers:
`valid`, `result`, `complain` and `say` (levels to log at when validating and when evaluating),
`classes_set`, and `do`: `die`, `babble`, or `write` (put `content` into the promiser). All that it
hears goes to a file.
"""

import json
import os
import sys
from typing import Any


def serve(header: str, heard: str) -> None:
    """Greet with HEADER, then answer; what is heard is written to the file HEARD."""
    with open(heard, "a") as log:
        _read(log)
        print(header + "\n", flush=True)
        in_json = "json_based" in header
        while lines := _read(log):
            question = _json(lines) if in_json else _plain(lines)
            answer = _answer(question)
            if in_json:
                print(json.dumps(answer) + "\n", flush=True)
            else:
                print("".join([f"{key}={value}\n" for key, value in answer.items()]), flush=True)
            if question["operation"] == "terminate":
                break


def _read(log: Any) -> list[str]:
    """The lines up to an empty one; none at the end."""
    lines = []
    for line in sys.stdin:
        log.write(line)
        log.flush()
        if line == "\n":
            break
        lines.append(line.rstrip("\n"))
    return lines


def _json(lines: list[str]) -> dict[str, Any]:
    question: dict[str, Any] = json.loads(lines[0])
    return question


def _plain(lines: list[str]) -> dict[str, Any]:
    pairs = dict(line.split("=", 1) for line in lines)
    prefix = "attribute_"
    told = {key[len(prefix) :]: value for key, value in pairs.items() if key.startswith(prefix)}
    return {**pairs, "attributes": told}


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    told = question.get("attributes", {})
    operation = question["operation"]
    answer = {"operation": operation, "promiser": question.get("promiser", "")}
    if operation == "terminate":
        return {**answer, "result": "success"}
    if operation == "validate_promise":
        result = told.get("valid", "valid")
        _log(told.get("complain", ""))
    else:
        result = _kept(question["promiser"], told)
        if "classes_set" in told:
            answer["result_classes"] = told["classes_set"]
    return {**answer, "result": result} if result != "none" else answer


def _log(levels: str) -> None:
    for level in levels.split():
        print(f"log_{level}=said {level} by {os.getpid()}")


def _kept(promiser: str, told: dict[str, Any]) -> str:
    _log(told.get("say", ""))
    do = told.get("do")
    if do == "die":
        sys.exit(3)
    if do == "babble":
        print("babble\n", flush=True)
    if do != "write":
        return str(told.get("result", "kept"))
    if os.path.exists(promiser):
        return "kept"
    if told.get("action_policy") in ("warn", "nop"):
        print(f"log_warning=Should write file '{promiser}', but only warning promised")
        return "not_kept"
    with open(promiser, "w") as file:
        file.write(told["content"])
    print(f"log_info=wrote file '{promiser}'")
    return "repaired"
