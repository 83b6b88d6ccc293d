"""The form of a report in the API."""

from typing import Any

from rest_framework import serializers


class SettingsSerializer(serializers.Serializer[dict[str, Any]]):
    """A bandit's settings."""

    key = serializers.CharField()
    policy = serializers.CharField()
    version = serializers.IntegerField()
    floor = serializers.FloatField()
    exploration = serializers.FloatField()
    half_life_days = serializers.FloatField(allow_null=True)
    attribution_window_minutes = serializers.FloatField()
    pinned_arm = serializers.CharField(allow_null=True)


class ArmSerializer(serializers.Serializer[dict[str, Any]]):
    """What one arm was shown and earned; intervals may be looked at any time."""

    arm = serializers.CharField()
    status = serializers.CharField()
    pulls = serializers.IntegerField()
    share = serializers.FloatField(allow_null=True)
    rewarded = serializers.IntegerField()
    waiting = serializers.IntegerField()
    explored = serializers.IntegerField()
    fallbacks = serializers.IntegerField()
    mean_reward = serializers.FloatField(allow_null=True)
    mean_reward_low = serializers.FloatField(allow_null=True)
    mean_reward_high = serializers.FloatField(allow_null=True)
    expected_reward = serializers.FloatField(allow_null=True)
    probability_best = serializers.FloatField(allow_null=True)


class BeliefSerializer(serializers.Serializer[dict[str, Any]]):
    """What the posterior says of an arm in a situation."""

    expected_reward = serializers.FloatField()
    sd = serializers.FloatField()
    probability_best = serializers.FloatField()


class SituationSerializer(serializers.Serializer[dict[str, Any]]):
    """A situation, all else as it is on average."""

    key = serializers.CharField()
    label = serializers.CharField()
    arms = serializers.DictField(child=BeliefSerializer())


class ExplorationSerializer(serializers.Serializer[dict[str, Any]]):
    """How often another arm than the best guess was chosen."""

    explored = serializers.IntegerField()
    exploited = serializers.IntegerField()
    share = serializers.FloatField()


class PlayedAlwaysSerializer(serializers.Serializer[dict[str, Any]]):
    """One arm wherever eligible, else as logged (`left_out`); or `refused` with the reason."""

    refused = serializers.CharField(required=False)
    value = serializers.FloatField(required=False)
    low = serializers.FloatField(required=False)
    high = serializers.FloatField(required=False)
    advantage = serializers.FloatField(required=False)
    advantage_low = serializers.FloatField(required=False)
    advantage_high = serializers.FloatField(required=False)
    effective_sample_size = serializers.FloatField(required=False)
    largest_weight = serializers.FloatField(required=False)
    left_out = serializers.IntegerField(required=False)


class RegretSerializer(serializers.Serializer[dict[str, Any]]):
    """What the best arm, wherever it was eligible, would have earned more, per decision."""

    best_arm = serializers.CharField()
    per_decision = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class OffPolicySerializer(serializers.Serializer[dict[str, Any]]):
    """Every arm played wherever eligible, from decisions whose reward is final."""

    estimator = serializers.CharField()
    decisions = serializers.IntegerField()
    listeners = serializers.IntegerField()
    logged_mean = serializers.FloatField(allow_null=True)
    arms = serializers.DictField(child=PlayedAlwaysSerializer())
    regret = RegretSerializer(allow_null=True)


class PointSerializer(serializers.Serializer[dict[str, Any]]):
    """The arms' standing at a time."""

    at = serializers.DateTimeField()
    probability_best = serializers.DictField(child=serializers.FloatField())


class ReportSerializer(serializers.Serializer[dict[str, Any]]):
    """What is known of a bandit; null where nothing is known yet."""

    bandit = SettingsSerializer()
    generated_at = serializers.DateTimeField()
    is_simulated = serializers.BooleanField()
    decisions = serializers.IntegerField()
    listeners = serializers.IntegerField()
    waiting = serializers.IntegerField()
    provisional = serializers.IntegerField()
    expired = serializers.IntegerField()
    unfolded = serializers.IntegerField()
    last_decision_at = serializers.DateTimeField(allow_null=True)
    last_reward_at = serializers.DateTimeField(allow_null=True)
    arms = ArmSerializer(many=True)
    standing = serializers.DictField(child=serializers.FloatField())
    situations = SituationSerializer(many=True)
    exploration = ExplorationSerializer(allow_null=True)
    off_policy = OffPolicySerializer()
    over_time = PointSerializer(many=True)


class BanditsSerializer(serializers.Serializer[dict[str, Any]]):
    """Every bandit's report."""

    bandits = ReportSerializer(many=True)
