"""deploy/ecs/*.sh: what they ask AWS for, in which order, and where they stop."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from musicrec.tests.test_ecs import FOLDER, template

OUTPUTS = {
    "ClusterName": "musicrec",
    "TaskSubnets": "subnet-a,subnet-b",
    "TaskGroup": "sg-tasks",
    "LogGroup": "musicrec-Logs",
}
MIGRATION = ["python", "manage.py", "migrate", "--no-input"]


class Aws:
    """The command `aws`, replaced by one that notes and answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        command = bin_folder / "aws"
        stub = Path(__file__).with_name("aws_stub.py")
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stub}" "$@"\n')
        command.chmod(0o755)
        self._environment = os.environ | {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "AWS_STUB": str(folder),
        }

    def run(self, script, *arguments, **scenario):
        """Run a script of deploy/ecs while AWS behaves as the scenario says."""
        scenario = {"outputs": OUTPUTS} | scenario
        (self._folder / "scenario.json").write_text(json.dumps(scenario))
        return subprocess.run(  # noqa: S603 (our own script)
            ["bash", FOLDER / script, *arguments],  # noqa: S607
            env=self._environment,
            capture_output=True,
            text=True,
        )

    @property
    def calls(self):
        lines = (self._folder / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def acts(self):
        """What was asked for, but for what only reads the stack: names, with what they act on."""
        named = []
        for call in self.calls:
            options, operation = call["options"], call["waiter"] or call["operation"]
            if operation in ("describe-stacks", "describe-task-definition"):
                continue
            about = options.get("--service") or options.get("--services") or []
            if "input" in call:
                about = [call["input"]["family"]]
            named.append(" ".join([operation, *about]))
        return named


@pytest.fixture
def aws(tmp_path):
    return Aws(tmp_path)


REGISTERED = [
    f"register-task-definition musicrec-{name}" for name in ("web", "worker", "training", "beat")
]
UPDATED = [f"update-service {name}" for name in ("web", "worker", "training", "beat")]
AWAITED = [
    "services-stable web worker training beat",
    *(f"describe-services {name}" for name in ("web", "worker", "training", "beat")),
]


def test_a_release_is_registered_migrated_and_only_then_rolled_out(aws):
    done = aws.run("roll_out.sh", "musicrec", "v2", "--migrate")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("All services run v2.\n")
    assert aws.acts == [
        *REGISTERED,
        "register-task-definition musicrec-migrate",
        "run-task",
        "tasks-stopped",
        "describe-tasks",
        *UPDATED,
        *AWAITED,
    ]
    (run,) = [call["options"] for call in aws.calls if call["operation"] == "run-task"]
    assert run["--task-definition"] == [
        "arn:aws:ecs:eu-west-1:1:task-definition/musicrec-migrate:8"
    ]
    assert json.loads(run["--overrides"][0]) == {
        "containerOverrides": [{"name": "migrate", "command": MIGRATION}]
    }
    assert run["--network-configuration"] == [
        "awsvpcConfiguration={subnets=[subnet-a,subnet-b],securityGroups=[sg-tasks],"
        "assignPublicIp=ENABLED}"
    ]


def test_a_definition_is_registered_as_it_is_but_for_the_image_and_with_its_tags(aws):
    aws.run("roll_out.sh", "musicrec", "v2")
    (web,) = [
        call["input"] for call in aws.calls if call.get("input", {}).get("family") == "musicrec-web"
    ]
    (container,) = web["containerDefinitions"]
    assert container["image"] == "1.dkr.ecr.eu-west-1.amazonaws.com/musicrec-web:v2"
    assert container["mountPoints"] == [{"sourceVolume": "tmp", "containerPath": "/tmp"}]
    assert web["tags"] == [{"key": "musicrec:stack", "value": "musicrec"}]


def test_a_roll_back_migrates_nothing(aws):
    done = aws.run("roll_out.sh", "musicrec", "v1")
    assert (done.returncode, done.stderr) == (0, "")
    assert aws.acts == [*REGISTERED, *UPDATED, *AWAITED]


@pytest.mark.parametrize(
    "scenario",
    [{"exit_code": 1}, {"exit_code": None}, {"no_task": True}, {"fails": "run-task"}],
    ids=["it fails", "its image is not there", "ECS starts none", "it may not"],
)
def test_nothing_is_rolled_out_where_the_migration_did_not_succeed(aws, scenario):
    done = aws.run("roll_out.sh", "musicrec", "v2", "--migrate", **scenario)
    assert done.returncode == 1
    assert "nothing was rolled out" in done.stderr
    assert not set(aws.acts) & {*UPDATED, *AWAITED}


def test_nothing_is_rolled_out_where_a_definition_cannot_be_registered(aws):
    done = aws.run("roll_out.sh", "musicrec", "v2", fails="register-task-definition")
    assert done.returncode != 0
    assert aws.acts == REGISTERED[:1]


def test_a_service_that_went_back_by_itself_fails_the_release_by_name(aws):
    done = aws.run("roll_out.sh", "musicrec", "v2", goes_back="worker")
    assert done.returncode == 1
    assert "worker went back by itself" in done.stderr


def test_services_that_never_become_stable_fail_the_release(aws):
    done = aws.run("roll_out.sh", "musicrec", "v2", fails="services-stable")
    assert done.returncode == 1
    assert "not stable" in done.stderr
    # A waiter gives up after ten minutes, sooner than a deployment that is going back.
    assert aws.acts.count(AWAITED[0]) > 1


@pytest.mark.parametrize(
    "arguments", [("musicrec", "v2; rm -rf ~"), ("musicrec", "v2", "--migrat"), ("musicrec", "")]
)
def test_what_is_no_tag_and_no_option_is_refused_before_aws_is_asked(aws, tmp_path, arguments):
    assert aws.run("roll_out.sh", *arguments).returncode == 2
    assert not (tmp_path / "calls.jsonl").exists()


def test_a_stack_that_is_not_there_yet_is_told_and_nothing_is_done(aws):
    done = aws.run("roll_out.sh", "musicrec", "v2", outputs={})
    assert done.returncode == 1
    assert "no output ClusterName" in done.stderr
    assert aws.acts == []


def test_a_command_is_run_once_word_by_word_and_ends_as_it_ended(aws):
    command = [
        "sh",
        "-c",
        'python deploy/fetch.py "$1" /tmp/x && echo "it\'s there"',
        "-",
        "s3://b/k",
    ]
    done = aws.run("run_task.sh", "musicrec", *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert aws.acts == ["run-task", "tasks-stopped", "describe-tasks"]
    (run,) = [call["options"] for call in aws.calls if call["operation"] == "run-task"]
    assert run["--task-definition"] == ["musicrec-migrate"]  # the newest
    assert json.loads(run["--overrides"][0])["containerOverrides"][0]["command"] == command
    assert aws.run("run_task.sh", "musicrec", *command, exit_code=3).returncode == 1
    assert aws.run("run_task.sh", "musicrec").returncode == 2


# -- What the stub cannot know: whether AWS takes such calls, and from whom


def model_of(service):
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def test_every_call_is_one_that_aws_describes(aws):
    aws.run("roll_out.sh", "musicrec", "v2", "--migrate")
    for call in aws.calls:
        if call["waiter"]:
            waiters = Loader().load_service_model(call["service"], "waiters-2")["waiters"]
            waiter = {xform_name(name, "-"): found for name, found in waiters.items()}[
                call["waiter"]
            ]
            operation = waiter["operation"]
        else:
            operation = call["operation"].title().replace("-", "")
        shape = model_of(call["service"]).operation_model(operation).input_shape
        known = {f"--{xform_name(name, '-')}" for name in shape.members}
        given = set(call["options"]) - {"--query", "--output", "--cli-input-json"}
        assert given <= known, call
        if "input" not in call:
            wanted = {f"--{xform_name(name, '-')}" for name in shape.required_members}
            assert wanted <= given, call
        else:
            assert not ParamValidator().validate(call["input"], shape).has_errors()
        if overrides := call["options"].get("--overrides"):
            report = ParamValidator().validate(json.loads(overrides[0]), shape.members["overrides"])
            assert not report.has_errors(), report.generate_report()


# Of the command line alone, or described elsewhere.
NO_OPERATION = {"s3", "wait", "deploy", "tail", "get-login-password"}


@pytest.mark.parametrize("name", ["deploy.md", "operations.md"])
def test_what_the_docs_ask_aws_for_exists(name):
    text = (FOLDER.parents[1] / "docs" / name).read_text().replace("\\\n", "")
    asked = 0
    for service, operation, rest in re.findall(r"\baws ([a-z0-9]+) ([a-z0-9-]+)([^\n`|]*)", text):
        if NO_OPERATION & {service, operation}:
            continue
        model = model_of(service.removesuffix("api"))  # s3api
        names = {xform_name(name, "-"): name for name in model.operation_names}
        known = {
            xform_name(name, "-")
            for name in model.operation_model(names[operation]).input_shape.members
        }
        given = re.findall(r"--([a-z][a-z-]*)", rest)
        assert {option.removeprefix("no-") for option in given} <= known | {"query", "output"}
        asked += 1
    assert asked >= 2


def test_the_scripts_read_outputs_that_the_stack_has_and_override_a_container_that_it_has():
    assert set(OUTPUTS) <= set(template("musicrec")["Outputs"])
    properties = template("musicrec")["Resources"]["MigrateTask"]["Properties"]
    (container,) = properties["ContainerDefinitions"]
    assert (container["Name"], container["Command"]) == ("migrate", MIGRATION)
    assert properties["Family"] == "Sub ${AWS::StackName}-migrate"
    logging = container["LogConfiguration"]["Options"]
    assert logging["awslogs-stream-prefix"] == "migrate"  # stream migrate/migrate/TASK


def test_the_role_of_github_may_do_whatever_a_release_asks_for(aws):
    aws.run("roll_out.sh", "musicrec", "v2", "--migrate")
    policies = template("github")["Resources"]["DeployRole"]["Properties"]["Policies"]
    statements = [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]
    allowed = set()
    for statement in statements:
        actions = statement["Action"]
        allowed |= {actions} if isinstance(actions, str) else set(actions)
    asked = {"iam:PassRole"}
    for call in aws.calls:
        operation = call["operation"].title().replace("-", "")
        if call["waiter"]:
            operation = {"tasks-stopped": "DescribeTasks", "services-stable": "DescribeServices"}[
                call["waiter"]
            ]
        asked.add(f"{call['service']}:{operation}")
        if "tags" in call.get("input", {}):
            asked.add("ecs:TagResource")
    assert asked <= allowed
    # Tags decide what the role may touch; so it sets them at a birth, and never after.
    (tagging,) = [s for s in statements if s["Action"] == "ecs:TagResource"]
    assert tagging["Condition"] == {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}
    assert tagging["Resource"].endswith(":task-definition/${StackName}-*")
