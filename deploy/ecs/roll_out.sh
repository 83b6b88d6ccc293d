#!/usr/bin/env bash
# Brings the services of a stack to the images of a tag:
#   deploy/ecs/roll_out.sh STACK TAG [--migrate]
# Each task definition is registered again with the other image; with --migrate the migration runs
# first, as a task of its own, and nothing is rolled out where it fails. A service that does not
# become healthy goes back by itself (its deployment circuit breaker), and this ends with 1.
set -euo pipefail

stack=$1 tag=$2 migrate=${3:-}
[[ $tag =~ ^[A-Za-z0-9_.-]+$ ]] || { echo "This is no tag: $tag" >&2; exit 2; }

output() {
    aws cloudformation describe-stacks --stack-name "$stack" \
        --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text
}

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
json.dump(task, sys.stdout)' "$tag" > "$work/$1.json"
    aws ecs register-task-definition --cli-input-json "file://$work/$1.json" \
        --query taskDefinition.taskDefinitionArn --output text
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cluster=$(output ClusterName)

if [[ $migrate == --migrate ]]; then
    network="awsvpcConfiguration={subnets=[$(output TaskSubnets)],securityGroups=[$(output TaskGroup)],assignPublicIp=ENABLED}"
    task=$(aws ecs run-task --cluster "$cluster" --launch-type FARGATE \
        --task-definition "$(register migrate)" --network-configuration "$network" \
        --query 'tasks[0].taskArn' --output text)
    aws ecs wait tasks-stopped --cluster "$cluster" --tasks "$task"
    status=$(aws ecs describe-tasks --cluster "$cluster" --tasks "$task" \
        --query 'tasks[0].containers[0].exitCode' --output text)
    [[ $status == 0 ]] || { echo "The migration ended with $status; nothing was rolled out." >&2; exit 1; }
fi

services=(web worker training beat)
for service in "${services[@]}"; do
    definition=$(register "$service")
    echo "$definition" > "$work/$service.arn"
    aws ecs update-service --cluster "$cluster" --service "$service" \
        --task-definition "$definition" --query service.serviceName --output text
done
aws ecs wait services-stable --cluster "$cluster" --services "${services[@]}"
for service in "${services[@]}"; do
    serving=$(aws ecs describe-services --cluster "$cluster" --services "$service" \
        --query 'services[0].taskDefinition' --output text)
    [[ $serving == "$(cat "$work/$service.arn")" ]] || {
        echo "$service went back by itself; its events say why." >&2
        exit 1
    }
done
echo "All services run $tag."
