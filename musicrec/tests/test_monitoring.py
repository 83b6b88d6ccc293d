"""Alarms and alerts: that what they look for is what is written, counted and scraped."""

import re
from datetime import timedelta

import pytest
import yaml
from django.conf import settings

from musicrec.overview import overview
from musicrec.schedule import SCHEDULE
from musicrec.tests.test_ecs import template
from musicrec.tests.test_observing import written  # noqa: F401 (a fixture)
from recommendations import tasks
from recommendations.gauges import DatabaseCollector
from recommendations.models import TrainingRun
from recommendations.services import train
from recommendations.tests.factories import NOW, make_run

FOLDER = settings.BASE_DIR / "deploy" / "monitoring"

# A field that is a text without wildcards; whatever else CloudWatch may know is not relied on.
EQUALS = re.compile(r'\{ \$\.(\w+) = "([^"*]+)" \}')


def of_type(kind):
    resources = template("musicrec")["Resources"]
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


@pytest.mark.django_db
def test_each_metric_of_the_log_counts_the_line_that_the_code_writes(written):  # noqa: F811
    tasks.log_queue_age()
    make_run(status="running")  # which no process holds
    assert train.fail_dead_runs() == 1
    lines = written()
    filters = of_type("AWS::Logs::MetricFilter")
    assert set(filters) == {"QueueAge", "TrainingFailures"}
    for found in filters.values():
        key, value = EQUALS.fullmatch(found["FilterPattern"]).groups()
        (line,) = [line for line in lines if line.get(key) == value]
        (metric,) = found["MetricTransformations"]
        if metric["MetricValue"].startswith("$."):
            assert isinstance(line[metric["MetricValue"].removeprefix("$.")], float)
        else:
            assert metric["MetricValue"] == "1"


def test_what_metrics_are_made_of_is_written_in_production_and_in_time():
    dockerfile = (settings.BASE_DIR / "Dockerfile").read_text()
    assert "MUSICREC_LOG_FORMAT=json" in dockerfile
    for task in of_type("AWS::ECS::TaskDefinition").values():
        (container,) = task["ContainerDefinitions"]
        assert {"Name": "MUSICREC_LOG_LEVEL", "Value": "INFO"} in container["Environment"]
    (every,) = [
        entry["schedule"]
        for entry in SCHEDULE.values()
        if entry["task"] == tasks.log_queue_age.name
    ]
    # Of a minute without a sample the alarm thinks the worst.
    alarm = of_type("AWS::CloudWatch::Alarm")["QueueAlarm"]
    assert (alarm["TreatMissingData"], alarm["MetricName"]) == ("breaching", "QueueAge")
    assert every <= alarm["Period"] / 2


def test_a_database_that_fails_over_costs_no_web_task_and_a_hanging_process_does():
    targets = template("musicrec")["Resources"]["Targets"]["Properties"]
    seconds = targets["HealthCheckIntervalSeconds"] * targets["UnhealthyThresholdCount"]
    # "Failover times are typically 60-120 seconds", says RDS of instances in two zones.
    assert targets["HealthCheckPath"] == "/readyz"
    assert 120 < seconds <= 300
    assert targets["UnhealthyThresholdCount"] <= 10  # more the balancer does not take
    tasks_of = of_type("AWS::ECS::TaskDefinition")
    (web,) = tasks_of["WebTask"]["ContainerDefinitions"]
    check = web["HealthCheck"]
    assert check["Command"][-1] == "deploy/healthcheck.py"  # /livez, which asks no database
    assert check["Interval"] * check["Retries"] <= 60
    for name in ("WorkerTask", "TrainingTask"):  # whose check asks Redis
        (worker,) = tasks_of[name]["ContainerDefinitions"]
        assert worker["HealthCheck"]["Interval"] * worker["HealthCheck"]["Retries"] >= 300


# -- Prometheus


def rules():
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def scraping():
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    (job,) = config["scrape_configs"]
    return job


def test_an_alert_fires_when_no_web_process_is_left_be_it_unreachable_or_unknown():
    """What is there no more has no samples, and of no samples no comparison is true."""
    rule = rules()["MusicrecWebDown"]
    job = scraping()["job_name"]
    assert rule["expr"] == f'(sum(up{{job="{job}"}}) or vector(0)) == 0'
    assert rule["labels"]["severity"] == "page"


def test_prometheus_asks_every_web_process_and_shows_the_token():
    job = scraping()
    assert job.get("metrics_path", "/metrics") == "/metrics"
    assert job["authorization"].get("type", "Bearer") == "Bearer"
    (names,) = job["dns_sd_configs"]
    assert (names["names"], names["type"], names["port"]) == (["web"], "A", 8000)
    services = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())["services"]
    assert "web" in services  # by whose name compose knows all of its containers
    found = template("musicrec")["Resources"]
    assert found["WebNames"]["Properties"]["Name"] == "web"
    assert found["Names"]["Properties"]["Name"] == "Sub ${AWS::StackName}.internal"
    assert found["WebService"]["Properties"]["ServiceRegistries"] == [
        {"RegistryArn": "GetAtt WebNames.Arn"}
    ]
    admitted = {
        rule["SourceSecurityGroupId"]: rule["FromPort"]
        for rule in found["TaskGroup"]["Properties"]["SecurityGroupIngress"]
    }
    assert admitted == {"Ref BalancerGroup": 8000, "Ref MonitorGroup": 8000}


@pytest.mark.django_db
def test_that_the_newest_run_failed_is_still_said_while_the_next_one_is_at_work():
    def last_failed():
        gauges = {gauge.name: gauge for gauge in DatabaseCollector().collect()}
        said = "training-failed" in {alarm.key for alarm in overview(at=NOW).alarms}
        assert said == gauges["musicrec_training_last_failed"].samples[0].value
        return said

    assert not last_failed()
    make_run(status=TrainingRun.Status.FAILED, error="no space left", requested_at=NOW)
    assert last_failed()
    run = make_run(status=TrainingRun.Status.RUNNING, requested_at=NOW + timedelta(minutes=1))
    assert last_failed()
    TrainingRun.objects.filter(pk=run.pk).update(status=TrainingRun.Status.SUCCEEDED)
    assert not last_failed()


def test_what_promtool_tries_are_alerts_that_exist():
    """CI runs it: promtool test rules deploy/monitoring/alerts_test.yml."""
    suite = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())
    assert suite["rule_files"] == ["alerts.yml"]
    tried = {case["alertname"] for test in suite["tests"] for case in test["alert_rule_test"]}
    assert {"MusicrecWebDown"} <= tried <= set(rules())


def test_the_docs_say_what_to_look_at_for_every_alert():
    text = (settings.BASE_DIR / "docs" / "operations.md").read_text()
    table = re.findall(r"^\| (Musicrec[\w, ]+) \|", text, re.MULTILINE)
    assert {name for cell in table for name in cell.split(", ")} == set(rules())


def test_each_alarm_of_redis_names_what_its_measure_is_published_of():
    """A node's id: that of its group with -001 and on; the group itself has no such measure.

    docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.html
    """
    alarms = [
        alarm
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Namespace"] == "AWS/ElastiCache"
    ]
    nodes = [alarm["Dimensions"] for alarm in alarms]
    assert nodes == [[{"Name": "CacheClusterId", "Value": f"Sub ${{Redis}}-00{i}"}] for i in (1, 2)]
