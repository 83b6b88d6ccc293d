"""What GitHub runs: who may enter AWS, what is pushed, and whose code does it."""

import re

import pytest
import yaml
from django.conf import settings

FOLDER = settings.BASE_DIR / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))


def jobs():
    """Yield each job with the names of its workflow and itself."""
    for path in FILES:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield path.stem, name, job


def uses(job, action):
    return [step for step in job["steps"] if step.get("uses", "").startswith(f"{action}@")]


# Those before run on a Node that GitHub took from its machines in September 2026.
LEAST = {
    "actions/checkout": 5,
    "actions/setup-python": 6,
    "actions/upload-artifact": 6,
    "aws-actions/amazon-ecr-login": 2,
    "aws-actions/configure-aws-credentials": 6,
    "docker/build-push-action": 7,
    "docker/setup-buildx-action": 4,
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_run_on_a_node_that_is_there_or_are_pinned_to_a_commit(path):
    """A tag can be moved to other code, as those of trivy-action were in March 2026."""
    found = re.findall(r"uses: (\S+)@(\S+)", path.read_text())
    assert found
    for action, version in found:
        if action in LEAST:
            assert int(version.removeprefix("v")) >= LEAST[action], action
        else:
            assert re.fullmatch("[0-9a-f]{40}", version), action


def test_only_jobs_of_the_environment_production_enter_aws_and_they_may():
    entering = [(file, name) for file, name, job in jobs() if job.get("environment")]
    assert entering == [("deploy", "images"), ("deploy", "roll-out"), ("roll-back", "roll-back")]
    for file, name, job in jobs():
        asks = bool(uses(job, "aws-actions/configure-aws-credentials"))
        assert asks == ((file, name) in entering)
        permissions = job.get("permissions", {})
        # A job's permissions replace the workflow's, so reading is named again.
        assert permissions == ({"contents": "read", "id-token": "write"} if asks else {})


def test_the_image_that_is_pushed_is_the_one_that_was_scanned():
    (job,) = [job for file, name, job in jobs() if (file, name) == ("deploy", "images")]
    steps = job["steps"]
    (build,) = uses(job, "docker/build-push-action")
    (scan,) = uses(job, "aquasecurity/trivy-action")
    (push,) = [step for step in steps if "docker push" in step.get("run", "")]
    assert steps.index(build) < steps.index(scan) < steps.index(push)
    assert build["with"]["tags"] == scan["with"]["image-ref"] == push["env"]["IMAGE"]
    assert build["with"]["load"] is True
    assert not build["with"].get("push")
    assert build["with"]["context"] == "."  # what was checked out, and not fetched once more
    assert scan["with"]["exit-code"] == "1"


def test_the_release_before_is_there_for_the_tests_that_run_it():
    """A checkout has one commit unless told otherwise."""
    trying = 0
    for _, _, job in jobs():
        if any("test-chaos" in step.get("run", "") for step in job["steps"]):
            (checkout,) = uses(job, "actions/checkout")
            assert checkout["with"]["fetch-depth"] == 0
            trying += 1
    assert trying == 2


def test_whatever_is_rolled_out_was_tested_and_goes_one_at_a_time():
    deploy = yaml.safe_load((FOLDER / "deploy.yml").read_text())
    back = yaml.safe_load((FOLDER / "roll-back.yml").read_text())
    assert deploy["jobs"]["images"]["needs"] == "test"
    assert deploy["jobs"]["roll-out"]["needs"] == "images"
    assert deploy["concurrency"] == back["concurrency"]
    assert deploy["concurrency"]["cancel-in-progress"] is False
