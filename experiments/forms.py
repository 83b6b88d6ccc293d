"""Forms of the acts an operator confirms in the admin."""

from django import forms

from experiments.models import Experiment, ExperimentMetric, Metric


class ConfirmForm(forms.Form):
    """An act that needs nothing but a yes."""


class ReasonForm(forms.Form):
    """An act whose reason the history keeps."""

    reason = forms.CharField(max_length=90, widget=forms.TextInput(attrs={"size": 60}))


class CoverageForm(forms.Form):
    """A new share of the eligible."""

    coverage = forms.FloatField(
        min_value=0, max_value=1, help_text="0 to 1; nobody who is in changes variant"
    )


class ShipForm(ReasonForm):
    """The variant whose policy becomes the default."""

    variant = forms.ChoiceField()
    field_order = ["variant", "reason"]

    def __init__(self, *args, experiment: Experiment, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["variant"].choices = [
            (variant.key, f"{variant.key} ({variant.policy})")
            for variant in experiment.variants.all()
        ]


class TemplateForm(forms.Form):
    """A draft with equal weights and every built-in metric."""

    key = forms.SlugField()
    hypothesis = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}))
    policies = forms.CharField(
        help_text="two or more, with commas, the baseline first: neural_cf, hybrid_ensemble"
    )
    goal = forms.ModelChoiceField(Metric.objects.all(), to_field_name="key")
    guardrails = forms.ModelMultipleChoiceField(
        Metric.objects.all(), to_field_name="key", required=False
    )

    def clean_key(self) -> str:
        """Refuse a key that is taken."""
        key = self.cleaned_data["key"]
        if Experiment.objects.filter(key=key).exists():
            raise forms.ValidationError(f"There is an experiment named {key} already.")
        return key

    def clean_policies(self) -> list[str]:
        """Split at commas."""
        return [name.strip() for name in self.cleaned_data["policies"].split(",") if name.strip()]


class MetricRolesFormSet(forms.BaseInlineFormSet):
    """Every experiment has exactly one goal."""

    def clean(self) -> None:
        """Refuse none and several."""
        super().clean()
        goals = sum(
            form.cleaned_data.get("role") == ExperimentMetric.Role.GOAL
            for form in self.forms
            if form.cleaned_data and not form.cleaned_data.get("DELETE")
        )
        if goals != 1:
            raise forms.ValidationError(f"An experiment has one goal, got {goals}.")
