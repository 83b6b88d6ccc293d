#!/usr/bin/env bash
# Brings the services of a stack to the images of a tag:
#   deploy/ecs/roll_out.sh STACK TAG [--migrate]
# Each task definition is registered again with the other image; with --migrate the migration runs
# first, as a task of its own, and nothing is rolled out where it fails. A service that does not
# become healthy goes back by itself (its deployment circuit breaker), and this ends with 1.
set -euo pipefail

stack=$1 tag=$2 migrate=${3:-}
[[ $tag =~ ^[A-Za-z0-9_.-]+$ ]] || { echo "This is no tag: $tag" >&2; exit 2; }
[[ -z $migrate || $migrate == --migrate ]] || { echo "This is no option: $migrate" >&2; exit 2; }
here=$(dirname "$0")
# shellcheck source=stack.sh
source "$here/stack.sh"

# The ARN of the family's newest definition, registered again with the tag.
register() {
    aws ecs describe-task-definition --task-definition "$stack-$1" --include TAGS |
        python3 -c '
import json, sys
found, tag = json.load(sys.stdin), sys.argv[1]
task = found["taskDefinition"]
for name in ("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities",
             "registeredAt", "registeredBy", "deregisteredAt"):
    task.pop(name, None)
for container in task["containerDefinitions"]:
    container["image"] = container["image"].rsplit(":", 1)[0] + ":" + tag
task["tags"] = found.get("tags", [])
json.dump(task, sys.stdout)' "$tag" > "$work/$1.json" || return 1
    aws ecs register-task-definition --cli-input-json "file://$work/$1.json" \
        --query taskDefinition.taskDefinitionArn --output text
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cluster=$(output ClusterName)

# All of them before anything is changed: what cannot be registered is rolled out in no service.
services=(web worker training beat)
for service in "${services[@]}"; do
    register "$service" > "$work/$service.arn"
done

if [[ $migrate == --migrate ]]; then
    register migrate > "$work/migrate.arn"
    TASK_DEFINITION=$(cat "$work/migrate.arn") \
        bash "$here/run_task.sh" "$stack" python manage.py migrate --no-input || {
        echo "The migration failed; nothing was rolled out." >&2
        exit 1
    }
fi

for service in "${services[@]}"; do
    aws ecs update-service --cluster "$cluster" --service "$service" \
        --task-definition "$(cat "$work/$service.arn")" --query service.serviceName --output text
done
await services-stable --cluster "$cluster" --services "${services[@]}" || {
    echo "The services are not stable yet; their events say why." >&2
    exit 1
}
for service in "${services[@]}"; do
    serving=$(aws ecs describe-services --cluster "$cluster" --services "$service" \
        --query 'services[0].taskDefinition' --output text)
    [[ $serving == "$(cat "$work/$service.arn")" ]] || {
        echo "$service went back by itself; its events say why." >&2
        exit 1
    }
done
echo "All services run $tag."
