"""The CloudFormation templates: linted, and deployed to a simulated AWS."""

import re
import subprocess
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws

from musicrec.tests.test_shipping import tool

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "ecs"
PARAMETERS = {
    "github": {"Repository": "someone/musicrec"},
    "musicrec": {
        "ImageTag": "v1",
        "Domain": "music.example",
        "AlertAddress": "operators@music.example",
    },
}


# moto passes the group itself on where its name is wanted; cfn-lint checks this line.
UNKNOWN_TO_MOTO = "      DBParameterGroupName: !Ref DatabaseParameters\n"


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short functions as text: !Ref Name is "Name"."""


Template.add_multi_constructor("!", lambda loader, suffix, node: f"{suffix} {node.value}")


def template(name):
    return yaml.load((FOLDER / f"{name}.yml").read_text(), Template)  # noqa: S506 (a safe loader)


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield


def deploy(name, **parameters):
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=(FOLDER / f"{name}.yml").read_text().replace(UNKNOWN_TO_MOTO, ""),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in (PARAMETERS[name] | parameters).items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def test_the_templates_pass_cfn_lint():
    done = subprocess.run(  # noqa: S603 (our own command)
        [tool("cfn-lint"), *map(str, sorted(FOLDER.glob("*.yml")))],
        capture_output=True,
        text=True,
        cwd=FOLDER,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_the_stack_comes_up_with_every_service_and_nothing_public_in_the_bucket(aws):
    certificate = boto3.client("acm").request_certificate(DomainName="music.example")
    outputs = deploy("musicrec", CertificateArn=certificate["CertificateArn"])
    assert set(outputs) == set(template("musicrec")["Outputs"])
    ecs = boto3.client("ecs")
    cluster = outputs["ClusterName"]
    arns = ecs.list_services(cluster=cluster)["serviceArns"]
    services = ecs.describe_services(cluster=cluster, services=arns)["services"]
    assert {service["serviceName"] for service in services} == {
        "web", "worker", "training", "beat",
    }  # fmt: skip
    for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
        task = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        (container,) = task["containerDefinitions"]
        assert container["readonlyRootFilesystem"] is True
        given = {variable["name"] for variable in container["environment"]}
        secret = {variable["name"] for variable in container["secrets"]}
        assert {"DJANGO_SECRET_KEY", "DATABASE_URL", "REDIS_URL"} <= secret
        assert not secret & given
    assert boto3.client("s3").get_bucket_versioning(Bucket=outputs["ModelsBucket"])
    bucket = template("musicrec")["Resources"]["Models"]["Properties"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_images_have_a_place_and_only_the_environment_production_may_deploy(aws):
    outputs = deploy("github")
    repositories = boto3.client("ecr").describe_repositories()["repositories"]
    assert {repository["repositoryName"] for repository in repositories} == {
        "musicrec-web",
        "musicrec-worker",
    }
    assert all(r["imageTagMutability"] == "IMMUTABLE" for r in repositories)
    role = template("github")["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = role["Statement"]
    subject = statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject == "Sub repo:${Repository}:environment:production"
    assert outputs["DeployRole"].startswith("arn:aws:iam::")


def test_tasks_name_every_variable_that_production_needs_and_only_known_ones():
    known = {
        line.lstrip("#").partition("=")[0]
        for line in (FOLDER.parents[1] / ".env.example").read_text().splitlines()
        if "=" in line
    } | {"AWS_DEFAULT_REGION"}
    for name, resource in template("musicrec")["Resources"].items():
        if resource["Type"] == "AWS::ECS::TaskDefinition":
            (container,) = resource["Properties"]["ContainerDefinitions"]
            named = {v["Name"] for v in (*container["Environment"], *container["Secrets"])}
            assert named <= known, name
            assert {"DJANGO_ALLOWED_HOSTS", "MUSICREC_MODELS_URL"} <= named, name


def test_the_schedule_runs_once_and_web_is_drained_before_it_stops():
    resources = template("musicrec")["Resources"]
    beat = resources["BeatService"]["Properties"]
    assert (beat["DesiredCount"], beat["DeploymentConfiguration"]["MaximumPercent"]) == (1, 100)
    targets = resources["Targets"]["Properties"]
    assert targets["HealthCheckPath"] == "/readyz"
    attributes = {a["Key"]: a["Value"] for a in targets["TargetGroupAttributes"]}
    delay = int(attributes["deregistration_delay.timeout_seconds"])
    container = resources["WebTask"]["Properties"]["ContainerDefinitions"][0]
    assert delay >= container["StopTimeout"] >= 20  # gunicorn's graceful_timeout


def test_the_costs_in_the_docs_follow_from_their_unit_prices_and_the_template():
    text = (FOLDER.parents[1] / "docs" / "deploy.md").read_text().split("## What it costs")[1]
    rows = {
        cells[0].strip(): [cell.strip(" *") for cell in cells[1:]]
        for line in text.splitlines()
        if line.startswith("| ") and len(cells := line.strip("| ").split("|")) > 1
    }

    def price(start):
        (cells,) = [cells for name, cells in rows.items() if name.startswith(start)]
        return [float(part) for part in re.split("[;,] ", cells[0])]

    (vcpu,), (gb,), (address,) = price("vCPU"), price("GB of memory"), price("public address (")
    disk, caches, rest = price("GB of RDS"), price("cache."), price("load balancer with")
    resources = template("musicrec")["Resources"]

    def task(name, size):
        properties = resources[name]["Properties"]
        cpu, memory = properties["Cpu"], properties["Memory"]
        if name == "TrainingTask":
            cpu, memory = size["TrainingCpu"], size["TrainingMemory"]
        return 730 * (int(cpu) / 1024 * vcpu + int(memory) / 1024 * gb)

    said = {
        name: [int(cell.rsplit(": ", 1)[-1].replace(",", "")) for cell in cells]
        for name, cells in rows.items()
        if len(cells) == 3 and name not in ("", "---", "for about") and "-" not in cells[0]
    }
    for column, size in enumerate(template("musicrec")["Mappings"]["Sizes"].values()):
        is_double = size["MultiAz"] == "true"
        parts = {
            "web": int(size["Web"]) * task("WebTask", size),
            "worker": resources["WorkerService"]["Properties"]["DesiredCount"]
            * task("WorkerTask", size),
            "training": task("TrainingTask", size),
            "schedule": task("BeatTask", size),
            "public": (int(size["Web"]) + 2 + 1 + 1 + 2) * address * 730,
            "RDS": 730 * price(size["Database"])[0],
            "storage": int(size["Storage"]) * disk[is_double],
            "ElastiCache": (2 if is_double else 1) * caches[column] * 730,
            "load balancer": rest[column],
        }
        for start, dollars in parts.items():
            (named,) = [cells for name, cells in said.items() if name.startswith(start)]
            assert abs(named[column] - dollars) <= 1, (start, column, dollars)
        together = next(cells for name, cells in said.items() if "together" in name)
        assert together[column] == sum(
            cells[column] for name, cells in said.items() if "together" not in name
        )


def test_the_server_keeps_an_idle_connection_longer_than_the_balancer_does():
    """Else the balancer sends a request on one that is just being closed, and answers 502."""
    balancer = template("musicrec")["Resources"]["Balancer"]["Properties"]
    attributes = {row["Key"]: row["Value"] for row in balancer["LoadBalancerAttributes"]}
    server = (FOLDER.parent / "gunicorn.conf.py").read_text()
    (seconds,) = re.findall(r"^keepalive = (\d+)", server, re.MULTILINE)
    assert int(seconds) > int(attributes["idle_timeout.timeout_seconds"])
