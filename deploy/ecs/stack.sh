# shellcheck shell=bash disable=SC2154
# What the scripts here share; they source it with $stack set.

# Prints an output of the stack; fails where there is none, as while the stack is being created.
output() {
    local value
    value=$(aws cloudformation describe-stacks --stack-name "$stack" \
        --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text) || return 1
    [[ -n $value && $value != None ]] || {
        echo "The stack $stack has no output $1; is it complete?" >&2
        return 1
    }
    echo "$value"
}

# `aws ecs wait` gives up after ten minutes; asks again for up to forty.
await() {
    local _
    for _ in 1 2 3 4; do
        aws ecs wait "$@" && return
    done
    return 1
}
