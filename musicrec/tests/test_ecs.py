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


# moto passes the group itself on where its name is wanted, and makes no names of services in
# CloudFormation; cfn-lint checks these lines.
UNKNOWN_TO_MOTO = (
    "      DBParameterGroupName: !Ref DatabaseParameters\n",
    "      ServiceRegistries: [{RegistryArn: !GetAtt WebNames.Arn}]\n",
)


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short functions: !Ref X is "Ref X", !If [a, b] is {"If": [a, b]}."""


def _function(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return f"{suffix} {node.value}"
    return {suffix: loader.construct_sequence(node, deep=True)}


Template.add_multi_constructor("!", _function)

NOTHING = "Ref AWS::NoValue"


def template(name, **conditions):
    """Return the template with every !If decided: the conditions are true unless given."""
    parsed = yaml.load((FOLDER / f"{name}.yml").read_text(), Template)  # noqa: S506 (a safe loader)
    return decide(parsed, conditions)


def decide(part, conditions):
    if isinstance(part, list):
        decided = [decide(item, conditions) for item in part]
        return [item for item in decided if item != NOTHING]
    if not isinstance(part, dict):
        return part
    if set(part) == {"If"}:
        name, one, other = part["If"]
        return decide(one if conditions.get(name, True) else other, conditions)
    return {key: decide(value, conditions) for key, value in part.items()}


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield


def body(name):
    """Return the template's text as far as moto can follow it."""
    text = (FOLDER / f"{name}.yml").read_text()
    for line in UNKNOWN_TO_MOTO if name == "musicrec" else ():
        assert line in text
        text = text.replace(line, "")
    return text


def deploy(name, **parameters):
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=body(name),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in (PARAMETERS[name] | parameters).items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def deploy_musicrec(**parameters):
    certificate = boto3.client("acm").request_certificate(DomainName="music.example")
    return deploy("musicrec", CertificateArn=certificate["CertificateArn"], **parameters)


def desired_counts():
    ecs = boto3.client("ecs")
    arns = ecs.list_services(cluster="musicrec")["serviceArns"]
    services = ecs.describe_services(cluster="musicrec", services=arns)["services"]
    return {service["serviceName"]: service["desiredCount"] for service in services}


def secrets_of(family):
    """Return the names of the secrets in a family's definition."""
    found = boto3.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    (container,) = found["containerDefinitions"]
    # moto leaves a None where CloudFormation leaves out what is AWS::NoValue.
    return {secret["name"] for secret in container["secrets"] if secret is not None}


def test_the_templates_pass_cfn_lint():
    done = subprocess.run(  # noqa: S603 (our own command)
        [tool("cfn-lint"), *map(str, sorted(FOLDER.glob("*.yml")))],
        capture_output=True,
        text=True,
        cwd=FOLDER,
    )
    assert (done.returncode, done.stdout) == (0, "")
    # More than that AWS takes from a bucket only, and none is there before the stack.
    assert all(path.stat().st_size <= 51_200 for path in FOLDER.glob("*.yml"))


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_the_stack_comes_up_with_every_service_and_nothing_public_in_the_bucket(aws):
    found = deploy_musicrec()
    assert set(found) == set(template("musicrec")["Outputs"])
    ecs = boto3.client("ecs")
    cluster = found["ClusterName"]
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
        secret = secrets_of(arn)
        assert {"DJANGO_SECRET_KEY", "DATABASE_URL", "REDIS_URL"} <= secret
        assert not secret & given
    assert boto3.client("s3").get_bucket_versioning(Bucket=found["ModelsBucket"])
    bucket = template("musicrec")["Resources"]["Models"]["Properties"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
@pytest.mark.parametrize(
    ("parameters", "running"),
    [
        # Else creation would wait for ready web tasks, and these for the migration of a database
        # that is known when the stack is there.
        ({}, {"web": 0, "worker": 0, "training": 0, "beat": 0}),
        ({"Started": "false", "Size": "large"}, {"web": 0, "worker": 0, "training": 0, "beat": 0}),
        ({"Started": "true"}, {"web": 2, "worker": 2, "training": 1, "beat": 1}),
        ({"Started": "true", "Size": "large"}, {"web": 12, "worker": 2, "training": 1, "beat": 1}),
    ],
)
def test_a_new_stack_runs_nothing_until_it_is_started_and_then_what_its_size_says(
    aws, parameters, running
):
    deploy_musicrec(**parameters)
    assert desired_counts() == running


@pytest.mark.parametrize("is_started", [True, False])
def test_no_autoscaler_starts_what_is_not_to_run_and_none_alarms_of_it(is_started):
    # moto makes no scalable targets, so they are read in the template.
    resources = template("musicrec", IsStarted=is_started)["Resources"]
    for service, scaling in (("WebService", "WebScaling"), ("WorkerService", "WorkerScaling")):
        wanted = resources[service]["Properties"]["DesiredCount"]
        assert resources[scaling]["Properties"]["MinCapacity"] == wanted
        assert (wanted == 0) == (not is_started)
    for resource in resources.values():
        alarm = resource.get("Properties", {})
        if resource["Type"].endswith("::Alarm") and alarm["TreatMissingData"] == "breaching":
            assert alarm["ActionsEnabled"] is is_started


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
@pytest.mark.parametrize("replica", ["false", "true"])
def test_the_pages_of_analytics_read_a_replica_where_one_is_wanted(aws, replica):
    deploy_musicrec(AnalyticsReplica=replica)
    sources = [
        instance.get("ReadReplicaSourceDBInstanceIdentifier", "")
        for instance in boto3.client("rds").describe_db_instances()["DBInstances"]
    ]
    assert len(sources) == 1 + (replica == "true")
    assert sum(bool(source) for source in sources) == (replica == "true")
    names = ("web", "worker", "training", "beat", "migrate")
    reading = [name for name in names if "ANALYTICS_DATABASE_URL" in secrets_of(f"musicrec-{name}")]
    assert reading == (["web"] if replica == "true" else [])


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
@pytest.mark.parametrize("secret", ["", "arn:aws:secretsmanager:eu-west-1:1:secret:musicrec-mail"])
def test_mail_goes_out_from_the_web_tasks_where_a_secret_says_how(aws, secret):
    deploy_musicrec(MailSecret=secret)
    assert ("EMAIL_URL" in secrets_of("musicrec-web")) == bool(secret)


def test_whatever_a_task_takes_from_the_secrets_its_role_may_read():
    for has in (True, False):
        resources = template("musicrec", HasReplica=has, HasMail=has)["Resources"]
        (policy,) = resources["ExecutionRole"]["Properties"]["Policies"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        taken = {
            secret["ValueFrom"]
            for resource in resources.values()
            if resource["Type"] == "AWS::ECS::TaskDefinition"
            for secret in resource["Properties"]["ContainerDefinitions"][0]["Secrets"]
        }
        assert taken == set(statement["Resource"])


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_images_have_a_place_and_only_the_environment_production_may_deploy(aws):
    found = deploy("github")
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
    assert found["DeployRole"].startswith("arn:aws:iam::")


@pytest.mark.parametrize(
    ("repository", "is_one"),
    [
        ("someone/musicrec", True),
        (
            "someone@123456/music.rec@456789",
            True,
        ),  # GitHub's tokens, of what is new since July 2026
        ("someone/*", False),
        ("someone", False),
        ("someone/musicrec:environment", False),
    ],
)
def test_the_role_knows_a_repository_by_the_names_that_github_gives_it(repository, is_one):
    pattern = template("github")["Parameters"]["Repository"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, repository)) == is_one


def test_tasks_name_every_variable_that_production_needs_and_only_known_ones():
    known = {
        line.lstrip("#").partition("=")[0]
        for line in (FOLDER.parents[1] / ".env.example").read_text().splitlines()
        if "=" in line
    } | {"AWS_DEFAULT_REGION", "DJANGO_SUPERUSER_PASSWORD"}  # which boto3 and Django read
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


def number(text):
    return int(text.replace(",", ""))


def test_both_docs_name_the_same_listeners_for_a_size_and_the_template_carries_them():
    docs = FOLDER.parents[1] / "docs"
    scale = (docs / "scale.md").read_text()
    reckoned = {
        size: (number(listeners), number(cores))
        for listeners, cores, size in re.findall(
            r"^\| ([\d,]+) \| [\d.]+ \| (\d+) \| [\d,]+ \|.*`Size=(\w+)`", scale, re.MULTILINE
        )
    }
    (row,) = re.findall(
        r"^\| for about \| (.+) \|$", (docs / "deploy.md").read_text(), re.MULTILINE
    )
    # Memory of a training by what was measured at 10,000 and at 100,000 listeners, in MB.
    (measured,) = re.findall(
        r"^\| training \| .+, .+ \| .+, (.+) MB \| .+, (.+) MB \|", scale, re.M
    )
    few, many = map(number, measured)
    sizes = template("musicrec")["Mappings"]["Sizes"]
    assert set(reckoned) == set(sizes)
    for cell, (name, size) in zip(row.split(" | "), sizes.items(), strict=True):
        listeners, cores = reckoned[name]
        named = [number(text) for text in re.findall(r"[\d,]{3,}", cell)]
        assert named[0] == listeners
        assert cores <= int(size["Web"])
        trained = min(named)
        need = few + (many - few) / 90_000 * (trained - 10_000)
        beside = 400  # the worker that started it
        assert need + beside <= int(size["TrainingMemory"]) * 1.048576, name


def test_the_server_keeps_an_idle_connection_longer_than_the_balancer_does():
    """Else the balancer sends a request on one that is just being closed, and answers 502."""
    balancer = template("musicrec")["Resources"]["Balancer"]["Properties"]
    attributes = {row["Key"]: row["Value"] for row in balancer["LoadBalancerAttributes"]}
    server = (FOLDER.parent / "gunicorn.conf.py").read_text()
    (seconds,) = re.findall(r"^keepalive = (\d+)", server, re.MULTILINE)
    assert int(seconds) > int(attributes["idle_timeout.timeout_seconds"])
