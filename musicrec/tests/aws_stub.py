"""Stands in for the command ``aws`` in tests of scripts: notes each call, answers as AWS would.

The folder in ``$AWS_STUB`` has ``scenario.json``, what is to happen, and gets ``calls.jsonl``, a
line for each call.  Whether the calls are such as AWS knows is for the test to check.
"""

import json
import os
import sys
from pathlib import Path

import jmespath

FOLDER = Path(os.environ["AWS_STUB"])
CALLS = FOLDER / "calls.jsonl"


def main() -> int:
    """Note the call, print the answer to its query, and return the exit status."""
    service, operation, *rest = sys.argv[1:]
    waiter = rest.pop(0) if operation == "wait" else None
    options: dict[str, list[str]] = {}
    for word in rest:
        if word.startswith("--"):
            options[word] = []
        else:
            options[list(options)[-1]].append(word)
    scenario = json.loads((FOLDER / "scenario.json").read_text())
    before = [json.loads(line) for line in CALLS.open()] if CALLS.exists() else []
    call = {"service": service, "operation": operation, "waiter": waiter, "options": options}
    for value in options.get("--cli-input-json", []):
        call["input"] = json.loads(Path(value.removeprefix("file://")).read_text())
    with CALLS.open("a") as file:
        file.write(json.dumps(call) + "\n")
    if scenario.get("fails") == (waiter or operation):
        print(f"An error occurred when calling {operation}", file=sys.stderr)
        return 254
    if waiter is None:
        answer = ANSWERS[operation](options, scenario, before, call)
        if query := options.get("--query"):
            answer = jmespath.search(query[0], answer)
        print(as_text(answer) if options.get("--output") == ["text"] else json.dumps(answer))
    return 0


def as_text(value) -> str:
    """Write a value as ``--output text`` does."""
    return "\t".join(map(str, value)) if isinstance(value, list) else str(value)


def _stack(options, scenario, before, call):
    outputs = [{"OutputKey": k, "OutputValue": v} for k, v in scenario["outputs"].items()]
    return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": outputs or None}]}


def _definition(options, scenario, before, call):
    (family,) = options["--task-definition"]
    return {
        "taskDefinition": {
            "taskDefinitionArn": f"arn:aws:ecs:eu-west-1:1:task-definition/{family}:7",
            "family": family,
            "revision": 7,
            "status": "ACTIVE",
            "registeredAt": "2026-01-01T00:00:00",
            "registeredBy": "somebody",
            "compatibilities": ["EC2", "FARGATE"],
            "requiresAttributes": [{"name": "ecs.capability"}],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "1024",
            "containerDefinitions": [
                {
                    "name": family.rsplit("-", 1)[1],
                    "image": f"1.dkr.ecr.eu-west-1.amazonaws.com/{family}:v1",
                    "essential": True,
                    "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "host": {}}],
        },
        "tags": [{"key": "musicrec:stack", "value": "musicrec"}],
    }


def _registered(options, scenario, before, call):
    family = call["input"]["family"]
    return {
        "taskDefinition": {
            "taskDefinitionArn": f"arn:aws:ecs:eu-west-1:1:task-definition/{family}:8"
        }
    }


def _started(options, scenario, before, call):
    tasks = [{"taskArn": "arn:aws:ecs:eu-west-1:1:task/musicrec/0123456789abcdef"}]
    return {"tasks": [] if scenario.get("no_task") else tasks, "failures": []}


def _task(options, scenario, before, call):
    status = scenario.get("exit_code", 0)
    container = {"name": "migrate"} | ({} if status is None else {"exitCode": status})
    return {"tasks": [{"containers": [container], "stoppedReason": "it stopped"}]}


def _updated(options, scenario, before, call):
    return {"service": {"serviceName": options["--service"][0]}}


def _service(options, scenario, before, call):
    (name,) = options["--services"]
    given = [
        earlier["options"]["--task-definition"][0]
        for earlier in before
        if earlier["operation"] == "update-service" and earlier["options"]["--service"] == [name]
    ]
    if name == scenario.get("goes_back"):
        given = [f"arn:aws:ecs:eu-west-1:1:task-definition/musicrec-{name}:7"]
    return {"services": [{"serviceName": name, "taskDefinition": given[-1]}]}


ANSWERS = {
    "describe-stacks": _stack,
    "describe-task-definition": _definition,
    "register-task-definition": _registered,
    "run-task": _started,
    "describe-tasks": _task,
    "update-service": _updated,
    "describe-services": _service,
}

if __name__ == "__main__":
    sys.exit(main())
