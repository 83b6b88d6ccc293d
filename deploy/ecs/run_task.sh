#!/usr/bin/env bash
# Runs one command in the worker image, as a task of its own beside a stack's services, and waits:
#   deploy/ecs/run_task.sh STACK COMMAND...
#   deploy/ecs/run_task.sh musicrec python manage.py migrate --no-input
# Ends with 1 where the command failed or never ran. TASK_DEFINITION names another revision than the
# newest of the family STACK-migrate.
set -euo pipefail

(($# >= 2)) || { echo "usage: $0 STACK COMMAND..." >&2; exit 2; }
stack=$1
shift
# shellcheck source=stack.sh
source "$(dirname "$0")/stack.sh"

cluster=$(output ClusterName)
subnets=$(output TaskSubnets)
group=$(output TaskGroup)
logs=$(output LogGroup)
overrides=$(python3 -c '
import json, sys
print(json.dumps({"containerOverrides": [{"name": "migrate", "command": sys.argv[1:]}]}))' "$@")

task=$(aws ecs run-task --cluster "$cluster" --launch-type FARGATE \
    --task-definition "${TASK_DEFINITION:-$stack-migrate}" \
    --network-configuration "awsvpcConfiguration={subnets=[$subnets],securityGroups=[$group],assignPublicIp=ENABLED}" \
    --overrides "$overrides" --query 'tasks[0].taskArn' --output text)
[[ -n $task && $task != None ]] || { echo "ECS started no task." >&2; exit 1; }
echo "Its log: aws logs tail $logs --follow --log-stream-names migrate/migrate/${task##*/}"
await tasks-stopped --cluster "$cluster" --tasks "$task" || true  # what became of it is asked next
status=$(aws ecs describe-tasks --cluster "$cluster" --tasks "$task" \
    --query 'tasks[0].containers[0].exitCode' --output text)
[[ $status == 0 ]] || {
    echo "The task ended with $status: $*" >&2
    aws ecs describe-tasks --cluster "$cluster" --tasks "$task" \
        --query 'tasks[0].stoppedReason' --output text >&2
    exit 1
}
