"""Forms of the account pages."""

from typing import Any, Self

from allauth.account import forms as allauth
from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError

from accounts.models import MAX_EMAIL, Listener
from accounts.vocabulary import Mood


class LoginForm(allauth.LoginForm):
    """Email and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs["autofocus"] = True
        self.fields["password"].max_length = 128


class RegistrationForm(allauth.SignupForm):
    """A new account."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].max_length = 128
        self.fields["password1"].help_text = " ".join(password_validators_help_texts()[1:2])

    def clean_email(self) -> str:
        """Fold to lower case, as emails are kept; that may make them longer."""
        if len(self.cleaned_data["email"].lower()) > MAX_EMAIL:
            raise ValidationError(f"This is longer than {MAX_EMAIL} characters.")
        email: str = super().clean_email()
        return email


class PreferencesForm(forms.Form):
    """What a listener says they like."""

    genres = forms.CharField(
        required=False, max_length=2000, help_text="Separated by commas, for example: jazz, soul"
    )
    energy = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        help_text="0 is calm, 1 is intense",
        widget=forms.NumberInput(attrs={"step": 0.1}),
    )
    mood = forms.ChoiceField(required=False, choices=[("", "No mood"), *Mood.choices])

    @classmethod
    def of(cls, listener: Listener) -> Self:
        """Return the form filled with what the listener said before."""
        preferences = getattr(listener, "preferences", None)
        if preferences is None:
            return cls()
        return cls(
            initial={
                "genres": ", ".join(preferences.genres),
                "energy": preferences.energy,
                "mood": preferences.mood,
            }
        )

    def clean_genres(self) -> list[str]:
        """Split at commas, fold to lower case, keep each once."""
        names = [name.strip().lower() for name in self.cleaned_data["genres"].split(",")]
        genres = list(dict.fromkeys(name for name in names if name))
        if len(genres) > 50 or any(len(name) > 100 for name in genres):
            raise ValidationError("At most 50 genres, of at most 100 characters each.")
        return genres
